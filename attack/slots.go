package attack

import (
	"errors"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// The two places of one region.
var slots = []Attack{
	{"active-slot", "Program the slot in use through the trusted side's window", "CWE-367", "An updater that writes the running image", famSlots, activeSlot},
	{"slot-flip", "Reach the slot that was left, after a flip", "CWE-494", "A/B boots: writes that land in the fallback image", famSlots, slotFlip},
	{"slot-fallback", "Be served the old slot after a flip", "CWE-1328", "Downgrade through the A/B switch", famSlots, slotFallback},
}

// What an access must not do besides.
var effects = []Attack{
	{"denial-side-effects", "Cause flash writes by being denied", "CWE-400", "A90, A92: denials logged to flash wear out the log", famEffects, denialSideEffects},
	{"silent-denial", "Be denied without leaving a trace", "CWE-778", "OpenTitan does not tell software that it filtered a command", famEffects, silentDenial},
	{"callback-reentry", "Call the lock from its denial callback", "CWE-667", "Loggers that query what they log", famEffects, callbackReentry},
	{"memory-panic", "Let the driver panic inside a program", "CWE-667", "The monitor's crash must not open or hang it", famEffects, memoryPanic},
	{"explain-probe", "Use something up by asking what would happen", "CWE-400", "Status calls that change state (fwupd issue 10898)", famEffects, explainProbe},
}

// flippable are the update regions with two slots.
func (t *Target) flippable() []*policy.Region {
	return t.Regions(func(r *policy.Region, _ policy.Access) bool { return r.Update != nil && r.Update.Slot != "" })
}

func activeSlot(t *Target) error {
	rs := t.flippable()
	if len(rs) == 0 {
		return Skip("no region with two slots")
	}
	for _, r := range rs {
		spans := []nvm.Span{r.Span, t.Policy.Area(r.Update.Slot).Span}
		for slot := range 2 {
			if err := t.Activate(r.Name, slot); err != nil {
				t.Fail(Breach{What: "a slot cannot be put in place: " + err.Error(), Region: r.Name})
				return nil
			}
			for window := range 2 {
				t.window(r.Name, window, spans[window])
			}
			t.window(r.Update.Slot, 0, spans[1])
		}
	}
	return nil
}

// window writes through one of the trusted side's windows.
func (t *Target) window(name string, slot int, span nvm.Span) {
	a, err := t.Area(name, slot, span)
	if err != nil {
		t.Fail(Breach{What: "the trusted side gets no window: " + err.Error(), Region: name})
		return
	}
	b := t.Geo.Block(span.Off)
	_ = a.Write(0, t.Geo.ProgramSize)
	_ = a.Write(span.Len-t.Geo.ProgramSize, 2*t.Geo.ProgramSize)
	_ = a.Write(-t.Geo.ProgramSize, t.Geo.ProgramSize)
	_ = a.Erase(0, b.Len)
	_ = a.Erase(0, span.Len+b.Len)
	_ = a.MarkBad(0)
}

func slotFlip(t *Target) error {
	rs := t.flippable()
	if len(rs) == 0 {
		return Skip("no region with two slots")
	}
	for _, r := range rs {
		if err := t.Activate(r.Name, 1); err != nil {
			t.Fail(Breach{What: "a slot cannot be put in place: " + err.Error(), Region: r.Name})
			return nil
		}
		h := t.Host()
		for _, s := range []nvm.Span{r.Span, t.Policy.Area(r.Update.Slot).Span} {
			h.assault(Place{Name: r.Name, Span: s})
		}
		rule := r.AccessIn(t.State).Write
		if rule.Mode != policy.Grant {
			continue
		}
		if s := t.session(policy.Rights{Authority: rule.Authority, Ops: nvm.AllOps, Span: nvm.Span{Len: t.Geo.Size}, ProgramBytes: 1 << 40, Erases: 1 << 30}); s != nil {
			for _, p := range t.Places(everything) {
				s.assault(p)
			}
		}
	}
	return nil
}

func slotFallback(t *Target) error {
	rs := t.flippable()
	if len(rs) == 0 {
		return Skip("no region with two slots")
	}
	for _, r := range rs {
		for _, slot := range []int{1, 0, 1} {
			if err := t.Activate(r.Name, slot); err != nil {
				t.Fail(Breach{What: "a slot cannot be put in place: " + err.Error(), Region: r.Name})
				return nil
			}
			h := t.Host()
			h.Must(nvm.Read, nil, r.Span.Off, min(r.Span.Len, 4096))
			h.Must(nvm.Read, nil, r.Span.End()-16, 16)
			h.Must(nvm.Read, nil, r.Span.Off-16, 32)
		}
	}
	return nil
}

func denialSideEffects(t *Target) error {
	h := t.Host()
	t.chip.mu.Lock()
	before := t.chip.changes
	t.chip.mu.Unlock()
	for _, p := range t.Denied(nvm.Write) {
		_ = h.Write(t.Unit(p.Span.Off).Off, t.Geo.ProgramSize)
	}
	for _, p := range t.Denied(nvm.Erase) {
		b := t.Geo.Block(p.Span.Off)
		_ = h.Erase(b.Off, b.Len)
	}
	for _, p := range t.Denied(nvm.Read) {
		_ = h.Read(p.Span.Off, 1)
	}
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	if n := t.chip.changes - before; n > 0 {
		t.chip.fail(Breach{What: "accesses that were refused caused programs or erases of the memory"})
	}
	return nil
}

func silentDenial(t *Target) error {
	ps := t.Denied(nvm.Write)
	if len(ps) == 0 {
		return Skip("a host may program everything")
	}
	h := t.Host()
	for _, p := range ps {
		u := t.Unit(p.Span.Off)
		calls := 0
		t.mu.Lock()
		t.onDeny = func(nanolock.Denial) { calls++ }
		t.mu.Unlock()
		before := t.Sys.Denials()
		err := h.Write(u.Off, u.Len)
		if !errors.Is(err, nanolock.ErrDenied) {
			t.Fail(Breach{What: "a program that was denied does not say so", Region: p.Name, Span: u})
		}
		if calls != 1 || t.Sys.Denials() != before+1 {
			t.Fail(Breach{What: "a denial left no trace", Region: p.Name, Span: u})
		}
	}
	return nil
}

func callbackReentry(t *Target) error {
	ps := t.Denied(nvm.Write)
	if len(ps) == 0 {
		return Skip("a host may program everything")
	}
	h := t.Host()
	inside := false
	t.mu.Lock()
	t.onDeny = func(nanolock.Denial) {
		if inside {
			return
		}
		inside = true
		_ = t.Sys.Explain(nvm.Write, 0, 1)
		_ = t.Sys.Usage(t.Policy.Map[0].Name)
		_ = t.Sys.Host().Close()
		_ = t.Sys.Denials()
	}
	t.mu.Unlock()
	u := t.Unit(ps[0].Span.Off)
	t.Within(func() {
		_ = h.Write(u.Off, u.Len)
		inside = false
		_ = h.Erase(t.Geo.Block(u.Off).Off, t.Geo.Block(u.Off).Len)
	})
	return nil
}

func memoryPanic(t *Target) error {
	s, op, at := t.changer()
	if s == nil {
		return Skip("nobody may change anything without a ledger")
	}
	t.hook(func(nvm.Op) error { panic("driver") })
	func() {
		defer func() { _ = recover() }()
		_ = s.do(op, at)
	}()
	t.hook(nil)
	t.Within(func() {
		h := t.Host()
		for _, p := range t.Places(func(p Place) bool { return p.Region != nil }) {
			h.assault(p)
		}
		t.End(s)
		_ = s.do(op, at)
	})
	return nil
}

func explainProbe(t *Target) error {
	before := map[string]policy.Usage{}
	for i := range t.Policy.Map {
		before[t.Policy.Map[i].Name] = t.Sys.Usage(t.Policy.Map[i].Name)
	}
	for _, p := range t.Places(everything) {
		for _, op := range []nvm.Op{0, nvm.Read, nvm.Write, nvm.Erase, nvm.AllOps} {
			b := t.Geo.Block(p.Span.Off)
			_ = t.Sys.Explain(op, b.Off, b.Len)
			_ = t.Sys.Explain(op, p.Span.Off, t.Geo.ProgramSize)
			_ = t.Sys.Explain(op, -p.Span.Off-1, p.Span.Len)
		}
	}
	for name, u := range before {
		if now := t.Sys.Usage(name); now != u {
			t.Fail(Breach{What: "asking what would happen used something up", Region: name})
		}
	}
	return nil
}
