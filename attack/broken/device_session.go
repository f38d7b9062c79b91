package broken

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func (m *model) ctx() context.Context { return context.Background() }

// grant opens a session.
func (m *model) grant(s *said, g *order.GrantBody, next *state) (*order.SessionID, error) {
	rights, err := m.rights(s.Authority, g)
	if err != nil {
		return nil, err
	}
	if m.s.Frozen && !m.is("grants-in-a-freeze") {
		return nil, fmt.Errorf("%w: frozen", errRefused)
	}
	if len(m.sessions) >= 16 && !m.is("sessions-unbounded") {
		return nil, errBusy
	}
	var id order.SessionID
	if m.opened++; m.is("session-ids-counted") {
		id[15] = byte(m.opened)
	} else if _, err := io.ReadFull(m.p.Config.Rand, id[:]); err != nil {
		return nil, err
	}
	ends := m.p.Config.Tick() + uint64(g.Uptime)
	if m.is("sessions-kept") {
		if next.Sessions, err = json.Marshal(saved{id, rights, ends}); err != nil {
			return nil, err
		}
	}
	m.kind = "grant"
	if err := m.commit(next, func() error { return nil }); err != nil {
		return nil, err
	}
	return &id, m.admit(id, rights, ends, g.Digests)
}

// saved is a session as a model keeps it that should not.
type saved struct {
	ID     order.SessionID
	Rights policy.Rights
	Ends   uint64
}

// restore opens what was kept.
func (m *model) restore() {
	var k saved
	if json.Unmarshal(m.s.Sessions, &k) == nil && k.Ends > 0 {
		_ = m.admit(k.ID, k.Rights, k.Ends, nil)
	}
}

func (m *model) admit(id order.SessionID, r policy.Rights, ends uint64, digests [][32]byte) error {
	var check func(int64, []byte) bool
	if digests != nil && !m.is("digests-unread") && !m.is("short-programs-unchecked") {
		check = func(off int64, block []byte) bool {
			i := (off - r.Span.Off) / m.geo.EraseSize
			return i < int64(len(digests)) && sha256.Sum256(block) == digests[i]
		}
	}
	over := m.lock
	if m.is("sessions-everywhere") || m.is("freeze-spares-sessions") || m.is("budgets-unbooked") {
		l, err := nanolock.New(m.p.Memory, m.spoilt(r.Authority), &nanolock.Config{State: m.s.Life, Usage: m.s.Usage, Persist: m.persist})
		if err != nil {
			return err
		}
		over = l
	}
	if m.is("sessions-everywhere") {
		r.Span = nvm.Span{Len: m.geo.Size}
	}
	if m.is("budgets-unbooked") {
		r.ProgramBytes, r.Erases = 1<<40, 1<<30
	}
	h, err := over.Checked(r, check)
	if err != nil {
		return err
	}
	w := &window{handle: h, given: h, ends: ends}
	if m.is("short-programs-unchecked") && digests != nil {
		w.given = blockwise{h, m.geo.EraseSize, r.Span.Off, digests}
	}
	m.sessions[id] = w
	return nil
}

// spoilt is the policy as a model reads it whose sessions may go anywhere.
func (m *model) spoilt(authority string) *policy.Policy {
	p := m.pol.Clone()
	if m.is("sessions-everywhere") {
		for i := range p.Map {
			by := policy.Rule{Mode: policy.Grant, Authority: authority}
			if r := &p.Map[i]; r.Name == "calibration" || r.Name == "secret" {
				r.Access, r.In = policy.Access{Read: by, Write: by, Erase: by}, nil
			}
		}
	}
	return p
}

// blockwise looks at whole blocks only.
type blockwise struct {
	attack.Handle
	size, base int64
	want       [][32]byte
}

func (b blockwise) WriteAt(p []byte, off int64) (int, error) {
	if int64(len(p)) == b.size && sha256.Sum256(p) != b.want[(off-b.base)/b.size] {
		return 0, errRefused
	}
	return b.Handle.WriteAt(p, off)
}

// rights are what a grant gives.
func (m *model) rights(authority string, g *order.GrantBody) (r policy.Rights, err error) {
	var at *policy.Region
	for i := range m.pol.Map {
		if m.pol.Map[i].ID == g.Region {
			at = &m.pol.Map[i]
		}
	}
	if at == nil {
		return r, errRefused
	}
	for bit, op := range map[uint8]nvm.Op{order.OpRead: nvm.Read, order.OpWrite: nvm.Write, order.OpErase: nvm.Erase} {
		rule := at.AccessIn(m.s.Life).Rule(op)
		if g.Ops&bit == 0 || rule.Mode == policy.Any {
			continue
		}
		if rule.Mode != policy.Grant || rule.Authority != authority && !m.is("regions-of-anybody") {
			return r, errRefused
		}
		r.Ops |= op
		r.Authority = rule.Authority
	}
	if m.is("grants-for-all-operations") {
		r.Ops = nvm.AllOps
	}
	size := uint64(at.Span.Len)
	if r.Ops == 0 || g.Off > size || g.Len > size-g.Off {
		return r, errRefused
	}
	r.Span = nvm.Span{Off: at.Span.Off + int64(g.Off), Len: int64(g.Len)}
	if m.is("offsets-unadded") {
		r.Span = at.Span
	}
	r.ProgramBytes, r.Erases = int64(g.Bytes), int64(g.Erases)
	return r, nil
}

// Session is what a grant opened.
func (m *model) Session(id order.SessionID) (attack.Handle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.sessions[id]
	if w == nil {
		return nil, errRefused
	}
	return w.given, nil
}
