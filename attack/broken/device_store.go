package broken

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/policy"
)

// state is what a model remembers. It is one document, written to two erase
// blocks in turn: plain, and slow to wear nothing.
type state struct {
	Seq      uint64
	Anchor   uint64 // the value that the anchor has once this is settled; 0 = no anchor
	Epoch    uint32
	Root     [32]byte // of the owner's keys
	Life     policy.State
	Frozen   bool
	RMA      bool
	Wipe     bool              // rma has begun
	Counters map[string]uint64 // by name of spending
	Revoked  [][32]byte
	Usage    map[uint32]policy.Usage
	Set      int // which copy holds the policy order
	Policy   [32]byte
	Sessions []byte     // of a model that keeps them
	Used     [][32]byte // of a model that remembers orders
}

func (s *state) clone() *state {
	b, err := json.Marshal(s)
	c := new(state)
	if err == nil {
		err = json.Unmarshal(b, c)
	}
	if err != nil {
		return &state{}
	}
	if c.Counters == nil {
		c.Counters = map[string]uint64{}
	}
	if c.Usage == nil {
		c.Usage = map[uint32]policy.Usage{}
	}
	return c
}

var errLost = errors.New("broken: the state is lost")

// frame is length, document and MAC.
func (m *model) frame(doc []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(doc)))
	b = append(b, doc...)
	mac := m.mac(b)
	return append(b, mac[:]...)
}

func (m *model) mac(b []byte) [32]byte {
	h := hmac.New(sha256.New, m.key[:])
	h.Write(b)
	return [32]byte(h.Sum(nil))
}

// unframe returns the document of a block, nil if there is none.
func (m *model) unframe(b []byte) []byte {
	n := int64(binary.LittleEndian.Uint32(b))
	if n == 0 || n > int64(len(b))-36 {
		return nil
	}
	mac := m.mac(b[:4+n])
	if !m.is("state-unsigned") && !hmac.Equal(mac[:], b[4+n:4+n+32]) {
		return nil
	}
	return b[4 : 4+n]
}

func (m *model) block(i int64) int64 { return m.p.Config.Vault.Off + i*m.geo.EraseSize }

// burn erases a place and programs b into it, page by page.
func (m *model) burn(at, room int64, b []byte) error {
	if int64(len(b)) > room {
		return errors.New("broken: no room")
	}
	if err := m.p.Memory.Erase(at, room); err != nil {
		return err
	}
	page := m.geo.PageSize
	if page == 0 {
		page = m.geo.EraseSize
	}
	for i := int64(0); i < int64(len(b)); i += page {
		if _, err := m.p.Memory.WriteAt(b[i:min(i+page, int64(len(b)))], at+i); err != nil {
			return err
		}
	}
	return m.p.Memory.Sync()
}

// write makes a state durable, the older of two blocks is given up for it.
func (m *model) write(s *state) error {
	s.Seq++
	doc, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return m.burn(m.block(int64(s.Seq%2)), m.geo.EraseSize, m.frame(doc))
}

// newest returns the last state of an epoch that the latch knows, or of the next
// one, whose latch was cut off.
func (m *model) newest() (newest *state, err error) {
	for i := range int64(2) {
		b := make([]byte, m.geo.EraseSize)
		if _, err := m.p.Memory.ReadAt(b, m.block(i)); err != nil {
			return nil, err
		}
		s := new(state)
		if doc := m.unframe(b); doc == nil || json.Unmarshal(doc, s) != nil {
			continue
		}
		if newest == nil || s.Seq > newest.Seq {
			newest = s
		}
	}
	if newest == nil {
		return nil, errLost
	}
	newest = newest.clone()
	if e := uint64(newest.Epoch); e != m.latch.Epoch && e != m.latch.Epoch+1 && !m.is("latch-unread") {
		return nil, fmt.Errorf("%w: epoch %d", errLost, e)
	}
	return newest, nil
}

// settle holds a state against anchor and latch.
func (m *model) settle(ctx context.Context, s *state) error {
	a := m.p.Keys.Anchor()
	switch {
	case s.Anchor == 0:
	case a == nil:
		if !m.is("anchor-optional") {
			return errors.New("broken: no anchor")
		}
	default:
		v, err := a.Read(ctx)
		switch {
		case m.is("anchor-unread"):
		case err != nil:
			if !m.is("anchor-silence-ok") {
				return err
			}
		case v == s.Anchor:
		case v+1 == s.Anchor:
			return a.Advance(ctx, s.Anchor)
		case v > s.Anchor && m.is("anchor-ahead-ok"), v < s.Anchor && m.is("anchor-behind-ok"):
		default:
			return fmt.Errorf("broken: the anchor is at %d, the state at %d", v, s.Anchor)
		}
	}
	if uint64(s.Epoch) == m.latch.Epoch+1 {
		return m.crown(ctx, s)
	}
	return nil
}

// crown moves the latch to the owner of s.
func (m *model) crown(ctx context.Context, s *state) error {
	next := keystore.Record{Root: s.Root, Epoch: uint64(s.Epoch)}
	if err := m.p.Keys.Latch().Set(ctx, next); err != nil {
		return err
	}
	m.latch = next
	return nil
}

// commit makes next durable and in force: first the flash, then the anchor.
// Where that does not answer, the effect waits.
func (m *model) commit(next *state, effect func() error) error {
	a := m.p.Keys.Anchor()
	if m.volatile(next) {
		m.s = next
		return effect()
	}
	if a != nil && m.s.Anchor != 0 {
		next.Anchor = m.s.Anchor + 1
	}
	if m.is("latch-first") && next.Epoch != m.s.Epoch {
		if err := m.crown(context.Background(), next); err != nil {
			return err
		}
	}
	if err := m.write(next); err != nil {
		return err
	}
	m.s = next
	if m.is("anchor-afterwards") {
		if err := effect(); err != nil {
			return err
		}
		effect = func() error { return nil }
	}
	if next.Anchor != 0 && a != nil {
		if err := a.Advance(context.Background(), next.Anchor); err != nil {
			m.later = effect
			return fmt.Errorf("%w: %w", errBusy, err)
		}
	}
	return effect()
}

// volatile tells whether a bug keeps this change from the flash for now.
func (m *model) volatile(next *state) bool {
	switch {
	case m.is("spent-in-ram"):
		next.Seq, next.Anchor = m.s.Seq, m.s.Anchor
		return m.kind == "grant"
	case m.is("spent-at-close"):
		m.dirty = m.dirty || m.kind == "grant"
		return m.kind == "grant"
	case m.is("freeze-in-ram"):
		return m.kind == "freeze"
	case m.is("revoked-in-ram"):
		return m.kind == "revoke"
	case m.is("revoked-lazily"):
		m.dirty = m.dirty || m.kind == "revoke"
		return m.kind == "revoke"
	}
	return false
}

// copies of the policy order are in the rest of the vault, one half each.
func (m *model) copyAt(set int) (at, room int64) {
	n := (m.p.Config.Vault.Len/m.geo.EraseSize - 2) / 2
	return m.block(2 + int64(set)*n), n * m.geo.EraseSize
}

func (m *model) keep(next *state, msg []byte) error {
	if next.Set = 1 - m.s.Set; m.is("policy-in-place") {
		next.Set = m.s.Set
	}
	next.Policy = sha256.Sum256(msg)
	at, room := m.copyAt(next.Set)
	return m.burn(at, room, append(binary.LittleEndian.AppendUint32(nil, uint32(len(msg))), msg...))
}

// kept returns the policy order of a state.
func (m *model) kept(s *state) ([]byte, error) {
	at, room := m.copyAt(s.Set)
	b := make([]byte, room)
	if _, err := m.p.Memory.ReadAt(b, at); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > room-4 {
		return nil, errLost
	}
	b = bytes.Clone(b[4 : 4+n])
	if sha256.Sum256(b) != s.Policy && !m.is("policy-unbound") {
		return nil, errLost
	}
	return b, nil
}
