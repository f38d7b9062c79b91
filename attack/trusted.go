package attack

import (
	"reflect"
	"slices"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// The trusted side of a Target: each change of rights takes effect for the
// oracle when the lock's call has returned, and no later.

// End ends a subject.
func (t *Target) End(s *Subject) {
	t.Sys.End(s.h)
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	s.s.ended = true
}

// CloseHandle ends a subject by its own wish.
func (t *Target) CloseHandle(s *Subject) {
	_ = s.h.Close()
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	s.s.ended = true
}

// Freeze freezes.
func (t *Target) Freeze() {
	t.Sys.Freeze()
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	t.chip.m.frozen = true
}

// SetPolicy swaps the policy. Where others act at the same time the new one must
// allow no more than the old one.
func (t *Target) SetPolicy(p *policy.Policy, st policy.State) error {
	if err := t.Sys.SetPolicy(p.Clone(), st); err != nil {
		return err
	}
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	old := t.chip.m
	t.chip.m = newModel(t.Geo, p, st, old)
	t.Policy, t.State = p, t.chip.m.state
	for _, s := range t.chip.live {
		if s.rights != nil && (old.state != t.State || !sameSigners(old.pol, p, s.rights.Authority)) {
			s.ended = true
		}
	}
	return nil
}

// sameSigners tells whether whoever could open a session can still.
func sameSigners(p, q *policy.Policy, name string) bool {
	named := func(a policy.Authority) bool { return a.Name == name }
	i, j := slices.IndexFunc(p.Authorities, named), slices.IndexFunc(q.Authorities, named)
	return i >= 0 && j >= 0 && reflect.DeepEqual(p.Authorities[i], q.Authorities[j])
}

// Seal seals a region.
func (t *Target) Seal(region string) error {
	if err := t.Sys.Seal(region); err != nil {
		return err
	}
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	u := t.chip.m.of(t.Policy.Region(region).ID)
	u.sealed, u.told = true, true
	return nil
}

// SetUsage raises what a region has used.
func (t *Target) SetUsage(region string, u policy.Usage) error {
	if err := t.Sys.SetUsage(region, u); err != nil {
		return err
	}
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	r := t.Policy.Region(region)
	x := t.chip.m.of(r.ID)
	x.erases, x.allowed = max(x.erases, u.Erases), max(x.allowed, u.Allowed)
	x.sealed = x.sealed || u.Sealed
	if u.Mark > x.mark {
		x.mark = u.Mark
		for at := r.Span.Off; at < r.Span.Off+u.Mark; at = t.Geo.Block(at).End() {
			x.live[t.Geo.Block(at).Off] = true
		}
	}
	return nil
}

// Activate puts a slot in place.
func (t *Target) Activate(region string, slot int) error {
	if err := t.Sys.Activate(region, slot); err != nil {
		return err
	}
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	delete(t.chip.m.active, region)
	if slot == 1 {
		t.chip.m.active[region] = true
	}
	return nil
}

// Area opens the trusted side's window to span.
func (t *Target) Area(name string, slot int, span nvm.Span) (*Subject, error) {
	a, err := t.Sys.Area(name, slot)
	if err != nil {
		return nil, err
	}
	return t.add(areaHandle{a}, &subject{window: span}), nil
}

// areaHandle makes an area look like a handle.
type areaHandle struct{ nvm.NVM }

func (a areaHandle) View(int64, int64) ([]byte, error) { return nil, nvm.ErrReadOnly }
func (a areaHandle) Close() error                      { return nil }

func (a areaHandle) IsBad(off int64) (bool, error) {
	if b, ok := a.NVM.(nvm.BadBlocker); ok {
		return b.IsBad(off)
	}
	return false, nil
}

func (a areaHandle) MarkBad(off int64) error {
	if b, ok := a.NVM.(nvm.BadBlocker); ok {
		return b.MarkBad(off)
	}
	return nvm.ErrBadBlock
}
