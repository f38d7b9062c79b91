package ownerfiles

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// Place is a region or hidden area of an image.
type Place struct {
	ID     uint32 `json:"id"`
	Name   string `json:"name"`
	Kind   string `json:"kind"` // region, or what a hidden area is for
	Span   Extent `json:"span"`
	Erased bool   `json:"erased"` // it holds nothing
	Digest string `json:"digest"`
}

// Found is a document that lies verbatim in an image.
type Found struct {
	Set         int           `json:"set"`
	Copies      int           `json:"copies"` // that are intact, of 2
	Digest      string        `json:"digest"`
	Device      string        `json:"device"`
	Epoch       uint32        `json:"epoch"`
	Policy      *InForce      `json:"policy,omitempty"`
	Signers     []string      `json:"signers,omitempty"` // of the policy, by its own names
	Verified    bool          `json:"verified"`          // a policy by its own owner; nothing else can be here
	Why         string        `json:"why,omitempty"`
	Certificate *order.Report `json:"-"`

	Bytes []byte         `json:"-"`
	Rules *policy.Policy `json:"-"` // of a policy that verifies
}

// Documents finds the policies and certificates that lie verbatim in the vault of
// an image. Whoever can write the image can put such documents there: a policy
// that verifies is one that its own owner signed for that device.
func Documents(ctx context.Context, mem nvm.NVM, at nvm.Span) ([]*Found, error) {
	_, span, err := device.Layout(mem, at)
	if err != nil {
		return nil, err
	}
	w, err := nvm.NewWindow(mem, span)
	if err != nil {
		return nil, err
	}
	c, err := vault.NewCopies(w)
	if err != nil {
		return nil, err
	}
	list := []*Found{}
	var failed error
	for doc, err := range c.All(ctx) {
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		i := slices.IndexFunc(list, func(f *Found) bool { return f.Set == doc.Set && bytes.Equal(f.Bytes, doc.Bytes) })
		if i >= 0 {
			list[i].Copies++
			continue
		}
		list = append(list, read(doc))
	}
	return list, failed
}

// read tells what a document is.
func read(doc vault.Document) *Found {
	digest := sha256.Sum256(doc.Bytes)
	f := &Found{Set: doc.Set, Copies: 1, Digest: hex.EncodeToString(digest[:]), Bytes: bytes.Clone(doc.Bytes)}
	if r, err := order.ParseReport(f.Bytes); err == nil {
		f.Certificate, f.Device, f.Epoch = r, r.Device.String(), r.Epoch
		f.Why = "a certificate: see nanolock report verify"
		return f
	}
	o, err := order.Peek(f.Bytes)
	if err != nil {
		f.Why = err.Error()
		return f
	}
	f.Device, f.Epoch = o.Device.String(), o.Epoch
	if inner, err := PolicyIn(o); err == nil && inner != nil {
		d, _ := PolicyDigest(inner) // it was just read
		f.Policy = &InForce{inner.Name, inner.Version, hex.EncodeToString(d[:])}
		if m, err := Parse(f.Bytes); err == nil {
			f.Signers = signersOf(m, inner)
		}
	}
	if _, p, _, err := order.OpenPolicy(f.Bytes, o.Device); err != nil {
		f.Why = err.Error()
	} else {
		f.Rules, f.Verified = p, true
	}
	return f
}

func signersOf(m *Message, p *policy.Policy) (names []string) {
	s, err := m.Check(p)
	if err != nil {
		return nil
	}
	for _, x := range s.Signers {
		if x.Signed {
			names = append(names, x.Name)
		}
	}
	return names
}

// Newest is the policy to read an image by, if nobody says another: of those that
// verify the one of the latest owner, then of the highest version.
func Newest(list []*Found) (best *Found) {
	for _, f := range list {
		if f.Rules == nil {
			continue
		}
		if best == nil || f.Epoch > best.Epoch || f.Epoch == best.Epoch && f.Rules.Version > best.Rules.Version {
			best = f
		}
	}
	return best
}

// Places digests each region and hidden area of an image.
func Places(ctx context.Context, mem nvm.NVM, p *policy.Policy) ([]Place, error) {
	list := []Place{}
	add := func(id uint32, name, kind string, s nvm.Span) error {
		digest, erased, err := digestOf(ctx, mem, s)
		list = append(list, Place{id, name, kind, Extent(s), erased, hex.EncodeToString(digest[:])})
		return err
	}
	for i := range p.Map {
		if err := add(p.Map[i].ID, p.Map[i].Name, "region", p.Map[i].Span); err != nil {
			return nil, err
		}
	}
	for _, a := range p.Memory.Hidden {
		if err := add(a.ID, a.Name, a.Kind.String(), a.Span); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func digestOf(ctx context.Context, mem nvm.NVM, s nvm.Span) (out [32]byte, erased bool, err error) {
	g := mem.Geometry()
	if !s.In(g.Size) {
		return out, false, nvm.ErrRange
	}
	h := sha256.New()
	erased = true
	buf := make([]byte, min(s.Len, 64<<10))
	for at := s.Off; at < s.End(); at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return out, false, err
		}
		buf = buf[:min(int64(len(buf)), s.End()-at)]
		if _, err := mem.ReadAt(buf, at); err != nil {
			return out, false, err
		}
		for _, b := range buf {
			erased = erased && b == g.Erased
		}
		h.Write(buf)
	}
	return [32]byte(h.Sum(nil)), erased, nil
}

// Rehearsal is a keystore that does what ks does, and changes nothing of it: the
// latch moves in memory, and nothing is destroyed. With it a device is opened on a
// copy of its flash.
func Rehearsal(ks keystore.Keystore) keystore.Keystore { return &rehearsal{Keystore: ks} }

type rehearsal struct {
	keystore.Keystore
	mu  sync.Mutex
	rec *keystore.Record // once it moved
}

func (r *rehearsal) Destroy(ctx context.Context) error { return ctx.Err() }
func (r *rehearsal) Close() error                      { return nil }

// Anchor is that of ks, and stays where it is; nil if there is none.
func (r *rehearsal) Anchor() keystore.Anchor {
	if a := r.Keystore.Anchor(); a != nil {
		return still{a}
	}
	return nil
}

// still is an anchor that nobody moves.
type still struct{ keystore.Anchor }

func (still) Advance(context.Context, uint64) error { return errors.ErrUnsupported }

// Latch is the latch in memory; nil if there is none.
func (r *rehearsal) Latch() keystore.Latch {
	if r.Keystore.Latch() == nil {
		return nil
	}
	return (*rehearsedLatch)(r)
}

type rehearsedLatch rehearsal

func (l *rehearsedLatch) Read(ctx context.Context) (keystore.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rec != nil {
		return *l.rec, ctx.Err()
	}
	return l.Keystore.Latch().Read(ctx)
}

func (l *rehearsedLatch) Set(ctx context.Context, next keystore.Record) error {
	now, err := l.Read(ctx)
	if err != nil {
		return err
	}
	write, err := now.Forward(next)
	if err == nil && write {
		l.mu.Lock()
		l.rec = &next
		l.mu.Unlock()
	}
	return err
}
