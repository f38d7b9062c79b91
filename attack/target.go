package attack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Target is one guarded memory under one attack: the image, a fresh lock over
// it, and the oracle between the two. What an attack does as the host goes
// through a Subject; what the trusted side does goes through the Target, so that
// the oracle knows of it.
type Target struct {
	Policy *policy.Policy // in force; attacks must not change it
	State  policy.State
	Geo    nvm.Geometry
	Rand   *rand.Rand
	Sys    System // for what does not change rights

	g    *ground
	chip *chip
	hung bool

	mu      sync.Mutex
	tried   int
	refused int
	by      map[string]int
	onDeny  func(nanolock.Denial)
	persist func(uint32, policy.Usage) (policy.Usage, error)
}

// notApplicable is why there is nothing to attack.
type notApplicable struct{ why string }

func (e notApplicable) Error() string { return "does not apply: " + e.why }

// Skip is what an attack returns that has nothing to attack.
func Skip(why string) error { return notApplicable{why} }

func newTarget(g *ground) *Target {
	t := &Target{g: g, Geo: g.geo, by: map[string]int{}}
	t.Rand = rand.New(rand.NewPCG(g.c.Seed, 0x6E616E6F6C6F636B))
	t.chip = &chip{raw: g.raw, geo: g.geo, want: g.want, store: map[uint32]policy.Usage{}, touched: map[int64]bool{}}
	return t
}

// open puts a lock over the memory, with what was made durable before.
func (t *Target) open(p *policy.Policy, st policy.State) error {
	c := t.chip
	c.mu.Lock()
	c.m = newModel(t.Geo, p, st, c.m)
	c.m.active = map[string]bool{} // slots are put in place again after a start
	c.live = nil
	use := map[uint32]policy.Usage{}
	for id, u := range c.store {
		use[id] = u
	}
	c.mu.Unlock()
	sys, err := t.g.c.New(c.nvm(), p.Clone(), &nanolock.Config{State: st, OnDeny: t.denied, Usage: use, Persist: t.durable})
	if err != nil {
		return err
	}
	t.Sys, t.Policy, t.State = sys, p, c.m.state
	return nil
}

// Restart closes the lock and opens it again, in force p and st, as a reboot
// does. ok is false if the lock does not come up.
func (t *Target) Restart(p *policy.Policy, st policy.State) bool {
	t.Within(func() { _ = t.Sys.Close() })
	if err := t.open(p, st); err != nil {
		t.Fail(Breach{What: fmt.Sprintf("the lock does not start again: %v", err)})
		return false
	}
	return true
}

func (t *Target) denied(d nanolock.Denial) {
	t.mu.Lock()
	key := "?"
	if d.Err != nil {
		key = d.Err.Region + " " + d.Err.Rule
		if d.Err.Region == "" {
			key = d.Err.Rule
		}
		if c := d.Err.Cause.String(); c != "" {
			key += ": " + c
		}
	}
	t.by[key]++
	hook := t.onDeny
	t.mu.Unlock()
	if hook != nil {
		hook(d)
	}
}

// durable is the Persist of the lock under attack.
func (t *Target) durable(id uint32, want policy.Usage) (policy.Usage, error) {
	t.mu.Lock()
	hook := t.persist
	t.mu.Unlock()
	if hook != nil {
		return hook(id, want)
	}
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	t.chip.store[id] = t.chip.store[id].Join(want)
	return t.chip.store[id], nil
}

// Fail records a breach that the oracle cannot see by itself.
func (t *Target) Fail(b Breach) {
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	t.chip.fail(b)
}

// Failed tells whether the attack has succeeded already.
func (t *Target) Failed() bool {
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	return t.chip.breach != nil
}

// Within runs f and tells whether it came back in time. A lock that hangs is
// beaten.
func (t *Target) Within(f func()) bool {
	if t.returns(f) {
		return true
	}
	t.hung = true
	t.Fail(Breach{What: "the lock hangs"})
	return false
}

// returns runs f in a goroutine and waits for it as long as the Config says.
func (t *Target) returns(f func()) bool {
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	select {
	case v := <-done:
		if v != nil {
			panic(v)
		}
		return true
	case <-time.After(t.g.c.Patience):
		return false
	}
}

// finish compares the whole memory and all counters.
func (t *Target) finish() {
	if t.hung || t.Sys == nil {
		return
	}
	t.chip.mu.Lock()
	t.chip.actor, t.chip.onChange, t.chip.after = nil, nil, nil
	t.chip.mu.Unlock()
	t.mu.Lock()
	t.onDeny, t.persist = nil, nil
	t.mu.Unlock()
	t.counters()
	t.Within(func() { _ = t.Sys.Close() })
	t.compare()
}

func (t *Target) compare() {
	got := t.g.scratch
	if _, err := t.g.raw.ReadAt(got, 0); err != nil {
		t.Fail(Breach{What: "the memory cannot be read any more: " + err.Error()})
		return
	}
	if bytes.Equal(got, t.chip.want) {
		return
	}
	for off := int64(0); off < t.Geo.Size; {
		b := t.Geo.Block(off)
		if !bytes.Equal(got[b.Off:b.End()], t.chip.want[b.Off:b.End()]) {
			region, rule := t.chip.m.where(t.chip.m.logical(b.Off), nvm.Write)
			t.chip.touched[b.Off] = true
			t.Fail(Breach{What: "content changed past every program and erase", Region: region, Span: b, Rule: rule})
		}
		off = b.End()
	}
}

// counters: the lock never thinks that less was used than was used.
func (t *Target) counters() {
	for i := range t.Policy.Map {
		r := &t.Policy.Map[i]
		var got policy.Usage
		if !t.Within(func() { got = t.Sys.Usage(r.Name) }) {
			return
		}
		t.chip.mu.Lock()
		u, known := t.chip.m.use[r.ID]
		if known {
			_, ledger := t.chip.m.limit(r)
			rule := fmt.Sprintf("region %q", r.Name)
			switch {
			case ledger && got.Erases < u.erases:
				t.chip.fail(Breach{What: fmt.Sprintf("the ledger counts %d of %d erases", got.Erases, u.erases), Region: r.Name, Rule: rule + ": wear"})
			case got.Mark < u.mark:
				t.chip.fail(Breach{What: fmt.Sprintf("the mark fell from %d to %d", u.mark, got.Mark), Region: r.Name, Rule: rule + ": write: append"})
			case u.told && !got.Sealed:
				t.chip.fail(Breach{What: "the seal is gone", Region: r.Name, Rule: rule + ": write: once"})
			}
		}
		t.chip.mu.Unlock()
	}
}
