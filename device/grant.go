package device

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// maxSessions bounds how many are open at a time.
const maxSessions = 16

// session is what a grant opened.
type session struct {
	handle *nanolock.Handle
	ends   uint64 // uptime
	timer  *time.Timer
}

// operations of a grant, and what the policy calls them.
var operations = []struct {
	bit uint8
	op  nvm.Op
}{{order.OpRead, nvm.Read}, {order.OpWrite, nvm.Write}, {order.OpErase, nvm.Erase}}

// grant opens a session. The order is spent first: whatever fails then, it does
// not open twice.
func (d *Device) grant(ctx context.Context, a *accepted) (*order.SessionID, error) {
	g, ok := a.Body.(*order.GrantBody)
	if !ok {
		return nil, order.ErrMalformed
	}
	rights, check, err := d.rights(a.Authority, g)
	if err != nil {
		return nil, err
	}
	switch {
	case d.health&order.Frozen != 0:
		return nil, ErrFrozen
	case len(d.sessions) >= maxSessions:
		return nil, fmt.Errorf("%w: %d sessions are open", ErrBusy, maxSessions)
	}
	var id order.SessionID
	if _, err := io.ReadFull(d.set.Rand, id[:]); err != nil {
		return nil, fmt.Errorf("device: randomness: %w", err)
	}
	// A grant that waits for its anchor is not opened later: who sent it is gone.
	nothing := func(context.Context) error { return nil }
	if err := d.record(ctx, a, nothing); err != nil {
		return nil, err
	}
	h, err := d.lock.Checked(rights, check)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	d.open(id, h, uint64(g.Uptime))
	return &id, nil
}

// rights are what the grant gives, if the policy lets its signer give it.
func (d *Device) rights(authority string, g *order.GrantBody) (r policy.Rights, check func(int64, []byte) bool, err error) {
	region := d.regionByID(g.Region)
	if region == nil {
		return r, nil, fmt.Errorf("%w: no region %d", ErrNotAllowed, g.Region)
	}
	access := region.AccessIn(d.state)
	for _, o := range operations {
		if g.Ops&o.bit == 0 {
			continue
		}
		rule := access.Rule(o.op)
		if rule.Mode == policy.Any {
			continue // every host may
		}
		if rule.Mode != policy.Grant || rule.Authority != authority {
			return r, nil, fmt.Errorf("%w: region %q: %v is %v, not a grant of %q", ErrNotAllowed, region.Name, o.op, rule, authority)
		}
		r.Ops |= o.op
	}
	if r.Ops == 0 || g.Len == 0 || g.Off > uint64(region.Span.Len) || g.Len > uint64(region.Span.Len)-g.Off {
		return r, nil, fmt.Errorf("%w: region %q has %d bytes", ErrNotAllowed, region.Name, region.Span.Len)
	}
	r.Authority = authority
	r.Span = nvm.Span{Off: region.Span.Off + int64(g.Off), Len: int64(g.Len)}
	r.ProgramBytes = int64(min(g.Bytes, 1<<62))
	r.Erases = int64(g.Erases)
	if g.Digests == nil {
		return r, nil, nil
	}
	check, err = d.contentOf(r.Span, g.Digests)
	return r, check, err
}

// contentOf holds every erase block of s to its digest.
func (d *Device) contentOf(s nvm.Span, digests [][32]byte) (func(int64, []byte) bool, error) {
	want := map[int64][32]byte{}
	if d.set.geo.CheckErase(s.Off, s.Len) != nil {
		return nil, fmt.Errorf("%w: digests are of whole erase blocks, %v is not", ErrNotAllowed, s)
	}
	for at := s.Off; at < s.End(); at = d.set.geo.Block(at).End() {
		if len(want) == len(digests) {
			return nil, fmt.Errorf("%w: %d digests for more erase blocks", ErrNotAllowed, len(digests))
		}
		want[at] = digests[len(want)]
	}
	if len(want) != len(digests) {
		return nil, fmt.Errorf("%w: %d digests for %d erase blocks", ErrNotAllowed, len(digests), len(want))
	}
	return func(off int64, block []byte) bool {
		digest, ok := want[off]
		return ok && sha256.Sum256(block) == digest
	}, nil
}

// open makes a session known and arms its end.
func (d *Device) open(id order.SessionID, h *nanolock.Handle, uptime uint64) {
	s := &session{handle: h, ends: d.set.Tick() + uptime}
	if !d.set.ticking {
		s.timer = time.AfterFunc(time.Duration(uptime)*time.Second, func() { _ = d.EndSession(id) })
	}
	d.sessions[id] = s
	d.forget()
	d.tell(Event{Kind: EventSession, Session: id})
}

// Session returns what a delivered grant has opened, to be bound to a gate.
func (d *Device) Session(id order.SessionID) (*nanolock.Handle, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil {
		return nil, ErrClosed
	}
	d.expire()
	s := d.sessions[id]
	if s == nil {
		return nil, ErrSession
	}
	return s.handle, nil
}

// EndSession takes a session's rights away before its time. When it returns no
// program and no erase of it is under way.
func (d *Device) EndSession(id order.SessionID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sessions[id] == nil {
		return ErrSession
	}
	d.end(id)
	return nil
}

func (d *Device) end(id order.SessionID) {
	s := d.sessions[id]
	if s.timer != nil {
		s.timer.Stop()
	}
	_ = s.handle.Close()
	delete(d.sessions, id)
	clear(d.measured) // it may have written until now
	d.tell(Event{Kind: EventSessionEnd, Session: id})
}

func (d *Device) endSessions() {
	for id := range d.sessions {
		d.end(id)
	}
}

// expire ends the sessions whose time is over.
func (d *Device) expire() {
	now := d.set.Tick()
	for id, s := range d.sessions {
		if now >= s.ends {
			d.end(id)
		}
	}
}

// dropEnded forgets sessions that a change of policy has ended.
func (d *Device) dropEnded() {
	for id, s := range d.sessions {
		if _, err := s.handle.IsBad(0); errors.Is(err, nanolock.ErrEnded) {
			d.end(id)
		}
	}
}

// bucket paces what orders of class operate may spend of an anchor that wears.
type bucket struct {
	tokens, last float64
	begun        bool
}

const day = 24 * 60 * 60

// take tells whether an order of class operate is anchored now. A start begins
// with a quarter of a day's budget, so that restarts do not buy more.
func (b *bucket) take(a keystore.Anchor, now uint64) bool {
	if a == nil {
		return true // it is gone, and the commit will say so
	}
	per := float64(a.Budget().PerDay)
	if per == 0 {
		return true
	}
	if !b.begun {
		b.begun, b.tokens, b.last = true, max(per/4, 1), float64(now)
	}
	b.tokens = min(per, b.tokens+(float64(now)-b.last)*per/day)
	b.last = float64(now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
