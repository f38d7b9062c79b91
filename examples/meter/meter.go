package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/tpm"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

//go:embed policy.yaml
var rules []byte

const granule = 4 << 10

// meter is the device, and the people around it.
type meter struct {
	ctx   context.Context
	out   io.Writer
	image string

	chip  transport.TPM
	blob  []byte        // of the keystore; a file beside the lock, and no secret
	keys  *tpm.Keystore // nil if it could not be opened
	flash *mmap.Memory
	dev   *device.Device
	open  []order.SessionID

	people  map[string]*cose.Signer
	pol     *policy.Policy
	epoch   uint32 // of the owner
	counter uint64 // of the owner's orders
}

func (m *meter) say(f string, args ...any) { fmt.Fprintf(m.out, f+"\n", args...) }

// answer is what happened in words that are the same at each run.
func answer(err error) string {
	var denied *nanolock.DenyError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &denied):
		return "refused: " + denied.Error()
	case errors.Is(err, device.ErrStale):
		return "refused: spent"
	case errors.Is(err, device.ErrDegraded):
		return "refused: degraded"
	case errors.Is(err, order.ErrSignature):
		return "refused: not by the owner"
	}
	return err.Error()
}

// build makes the flash as it comes from the line, the people, and the keys.
func (m *meter) build() {
	m.pol = must(policyfile.Parse(rules))
	m.people = map[string]*cose.Signer{}
	for i := range m.pol.Authorities {
		a := &m.pol.Authorities[i]
		m.people[a.Name] = newPerson()
		a.Keys = []policy.Key{{Name: a.Name, Public: m.people[a.Name].Public().Bytes()}}
	}
	check(mmap.Create(m.image, m.pol.Geometry()))
	m.plug()
	must(nvm.ProgramAll(m.flash, []byte("boot loader 1.0"), m.pol.Region("boot").Span.Off))
	m.newIdentity()
}

func newPerson() *cose.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	return must(cose.NewSigner(cose.Ed25519, key))
}

func (m *meter) plug() {
	if m.flash == nil {
		m.flash = must(mmap.Open(m.image, &mmap.Options{Geometry: m.pol.Geometry()}))
	}
}

// newIdentity has the TPM make the device's keys.
func (m *meter) newIdentity() {
	var err error
	m.keys, m.blob, err = tpm.Create(m.ctx, m.chip, nil)
	check(err)
	m.epoch, m.counter = 1, 0
}

// config is the same at each start. The baseline is what may be read when not even the
// keystore can be opened.
func (m *meter) config() *device.Config { return &device.Config{Baseline: m.pol} }

// provision gives the meter its owner, who has signed the policy for this very device.
func (m *meter) provision() {
	m.plug()
	id := must(order.IdentityKey(m.keys.Identity())).ID()
	m.dev = must(device.Provision(m.ctx, m.flash, m.keys, m.policyOrder(id, m.people[order.Owner], m.pol, m.epoch), m.config()))
}

// start is a boot. A keystore that cannot be opened is none: the device says so and
// serves what it can. An operator whose TPM lost an index would open it with Mend.
func (m *meter) start() {
	m.plug()
	var ks keystore.Keystore
	var err error
	if m.keys, err = tpm.Open(m.ctx, m.chip, m.blob, nil); err == nil {
		ks = m.keys
	}
	m.dev = must(device.Open(m.ctx, m.flash, ks, m.config()))
}

// off takes the power.
func (m *meter) off() {
	if m.dev != nil {
		_ = m.dev.Close()
	}
	if m.keys != nil {
		_ = m.keys.Close()
	}
	if m.flash != nil {
		_ = m.flash.Close()
	}
	m.dev, m.keys, m.flash, m.open = nil, nil, nil, nil
}

// write is the host's.
func (m *meter) write(region string, off int64, content string) error {
	return program(m.dev.Host(), m.pol.Region(region).Span.Off+off, []byte(content))
}

func program(h *nanolock.Handle, off int64, p []byte) error {
	_, err := h.WriteAt(p, off)
	return err
}

func (m *meter) read(region string) error {
	_, err := m.dev.Host().ReadAt(make([]byte, 16), m.pol.Region(region).Span.Off)
	return err
}

// order is signed by who gives it: an answer to the meter's challenge, or the next counter.
func (m *meter) order(who string, kind order.Kind, body order.Body) ([]byte, error) {
	o := &order.Order{Kind: kind, Device: m.dev.ID(), Epoch: m.epoch, Authority: who, Body: body}
	if kind.Opening() {
		c, err := m.dev.Challenge(who, kind.Class())
		if err != nil {
			return nil, err
		}
		o.Fresh.Challenge = c[:]
	} else {
		m.counter++
		o.Fresh.Counter = m.counter
	}
	return order.Sign(o, m.people[who])
}

// policyOrder is signed by the owner whose key is in p.
func (m *meter) policyOrder(id order.DeviceID, owner *cose.Signer, p *policy.Policy, epoch uint32) []byte {
	m.counter++
	return must(order.Sign(&order.Order{Kind: order.Policy, Device: id, Epoch: epoch, Authority: order.Owner,
		Fresh: order.Fresh{Counter: m.counter}, Body: &order.PolicyBody{Policy: must(p.MarshalBinary())}}, owner))
}

func (m *meter) apply(who string, kind order.Kind, body order.Body) error {
	msg, err := m.order(who, kind, body)
	if err == nil {
		_, err = m.dev.Apply(m.ctx, msg)
	}
	return err
}

func (m *meter) lifecycle(st policy.State) error {
	return m.apply(order.Owner, order.Lifecycle, &order.LifecycleBody{State: uint8(st)})
}

// whole is a grant of a whole region for ten minutes.
func (m *meter) whole(region string) *order.GrantBody {
	r := m.pol.Region(region)
	return &order.GrantBody{Region: r.ID, Ops: order.OpRead | order.OpWrite | order.OpErase, Len: uint64(r.Span.Len),
		Bytes: uint64(r.Span.Len), Erases: uint32(r.Span.Len / granule), Uptime: 600}
}

// session delivers a grant and returns what it opens.
func (m *meter) session(msg []byte) (*nanolock.Handle, error) {
	reply, err := m.dev.Apply(m.ctx, msg)
	if err != nil {
		return nil, err
	}
	m.open = append(m.open, *reply.Session)
	return m.dev.Session(*reply.Session)
}

// granted opens a session for a whole region.
func (m *meter) granted(who, region string) *nanolock.Handle {
	return must(m.session(must(m.order(who, order.Grant, m.whole(region)))))
}

func (m *meter) endSessions() {
	for _, id := range m.open {
		check(m.dev.EndSession(id))
	}
	m.open = nil
}

// next is the policy with the next version, signed for the next epoch by the owner in it.
func (m *meter) next(owner *cose.Signer) (*policy.Policy, []byte) {
	p := m.pol.Clone()
	p.Version++
	p.Authorities[0].Keys = []policy.Key{{Name: order.Owner, Public: owner.Public().Bytes()}}
	return p, m.policyOrder(m.dev.ID(), owner, p, m.epoch+1)
}

// recover makes the state anew, in the next epoch.
func (m *meter) recover() {
	p, msg := m.next(m.people[order.Owner])
	check(m.apply(order.Owner, order.Recover, &order.RecoverBody{Policy: msg, State: uint8(policy.Deployed)}))
	m.pol = p
	m.epoch++
}

// rotate replaces the owner's key and returns the old one.
func (m *meter) rotate() (old *cose.Signer) {
	fresh := newPerson()
	p, msg := m.next(fresh)
	check(m.apply(order.Owner, order.Keys, &order.KeysBody{Policy: msg}))
	old, m.people[order.Owner] = m.people[order.Owner], fresh
	m.pol = p
	m.epoch++
	return old
}
