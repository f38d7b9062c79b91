package nanolock_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

func TestSession(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), nil)
	for _, tc := range []struct {
		name   string
		change func(*policy.Rights)
		want   error
	}{
		{"nobody", func(r *policy.Rights) { r.Authority = "" }, nanolock.ErrRegion},
		{"unknown", func(r *policy.Rights) { r.Authority = "stranger" }, nanolock.ErrRegion},
		{"span", func(r *policy.Rights) { r.Span.Len = 257 }, nvm.ErrRange},
		{"negative span", func(r *policy.Rights) { r.Span.Off = -1 }, nvm.ErrRange},
		{"negative bytes", func(r *policy.Rights) { r.ProgramBytes = -1 }, nvm.ErrRange},
		{"negative erases", func(r *policy.Rights) { r.Erases = -1 }, nvm.ErrRange},
	} {
		r := everything()
		tc.change(&r)
		if h, err := l.Session(r); h != nil || !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, %v", tc.name, h, err)
		}
	}

	// Reads are exact to the byte, changes are rounded inward to whole blocks.
	r := everything()
	r.Span = nvm.Span{Off: 8, Len: 48}
	s := session(t, l, r)
	r.Span, r.Ops = nvm.Span{Len: 256}, nvm.AllOps // the caller's copy is the caller's
	mem.taken()
	denied(t, mem, write(s, 8, "x"), nanolock.CauseRule)
	denied(t, mem, write(s, 47, "xy"), nanolock.CauseRule)
	denied(t, mem, s.Erase(0, 16), nanolock.CauseRule)
	ok(t, write(s, 16, "x"))
	ok(t, write(s, 47, "x"))
	ok(t, s.Erase(16, 32))
	r.Ops = nvm.Write
	s = session(t, l, r)
	mem.taken()
	denied(t, mem, s.Erase(0, 16), nanolock.CauseRule)
	if _, err := s.ReadAt(make([]byte, 1), 240); !errors.Is(err, nil) {
		t.Errorf("blank: %v", err)
	}

	// The policy is the Lock's own once it was given.
	p := toy()
	l = newLock(t, mem, p, nil)
	p.Map[0].Write, p.Map[1].Read = anyone, policy.Rule{}
	mem.taken()
	denied(t, mem, write(l.Host(), 0, "x"), nanolock.CauseRule)
	if _, err := l.Host().ReadAt(make([]byte, 1), 64); err != nil {
		t.Error(err)
	}

	// A handle ends alone, by its own Lock only, and twice is once.
	other := newLock(t, newRAM(nor), toy(), nil)
	a, b := session(t, l, everything()), session(t, l, everything())
	other.End(a)
	ok(t, write(a, 0, "x"))
	l.End(a)
	ok(t, a.Close())
	mem.taken()
	denied(t, mem, write(a, 0, "x"), nanolock.CauseEnded)
	ok(t, write(b, 0, "x"))
	if a.ID() == b.ID() || a.ID() == 0 {
		t.Error("handles share a number")
	}

	// A policy without the authority ends its sessions for good.
	p = toy()
	for i := range p.Map {
		p.Map[i].Access = policy.Access{Read: anyone}
	}
	p.Authorities = p.Authorities[1:]
	ok(t, l.SetPolicy(p, 0))
	ok(t, l.SetPolicy(toy(), 0))
	mem.taken()
	denied(t, mem, write(b, 0, "x"), nanolock.CauseEnded)
	ok(t, l.Close())
	if h, err := l.Session(everything()); h != nil || !errors.Is(err, nanolock.ErrEnded) {
		t.Errorf("after Close: %v", err)
	}
	if log := mem.taken(); len(log) != 1 || log[0].op != nvm.AllOps {
		t.Errorf("Close has to Sync: %+v", log)
	}
}

func TestSetPolicyErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		st     policy.State
		flip   bool
		change func(*policy.Policy)
		to     policy.State
		want   error // nil: accepted
	}{
		{"same again", 0, false, func(*policy.Policy) {}, 0, nil},
		{"newer", 0, false, func(p *policy.Policy) { p.Version++ }, 0, nil},
		{"older", 0, false, func(p *policy.Policy) { p.Version-- }, 0, nanolock.ErrRollback},
		{"older in manufacturing", policy.Manufacturing, false, func(p *policy.Policy) { p.Version-- }, 0, nanolock.ErrRollback},
		{"invalid", 0, false, func(p *policy.Policy) { p.Map[1].ID = 0 }, 0, policy.ErrInvalid},
		{"unknown state", 0, false, func(*policy.Policy) {}, 9, policy.ErrInvalid},
		{"confidential", 0, false, func(p *policy.Policy) { p.Map[4].Confidential = true }, 0, policy.ErrInvalid},
		{"other size", 0, false, func(p *policy.Policy) { p.Memory.Size = 512 }, 0, nanolock.ErrMemory},
		{"moved", 0, false, func(p *policy.Policy) { p.Map[1].Span.Len = 16 }, 0, nanolock.ErrMemory},
		{"moved on the way out of deployed", 0, false, func(p *policy.Policy) { p.Map[1].Span.Len = 16 }, policy.RMA, nanolock.ErrMemory},
		{"vault becomes audit", 0, false, func(p *policy.Policy) { p.Memory.Hidden[1].Kind = policy.Audit }, 0, nanolock.ErrMemory},
		{"moved in manufacturing", policy.Manufacturing, false, func(p *policy.Policy) { p.Map[1].Span.Len = 16 }, policy.Manufacturing, nil},
		{"moved under a flip", policy.Manufacturing, true, func(p *policy.Policy) { p.Map[1].Span.Len = 16 }, policy.Manufacturing, nanolock.ErrMemory},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mem := newRAM(nor)
			l := newLock(t, mem, toy(), &nanolock.Config{State: tc.st})
			if tc.flip {
				ok(t, l.Activate("boot", 1))
			}
			l.Freeze()
			h := l.Host()
			p := toy()
			p.Map[1].Read = policy.Rule{}
			tc.change(p)
			if err := l.SetPolicy(p, tc.to); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			_, rerr := h.ReadAt(make([]byte, 1), 64)
			werr := write(h, 64, "x")
			if tc.want == nil && (!errors.Is(rerr, nanolock.ErrDenied) || werr != nil) {
				t.Errorf("not in force, or still frozen: %v, %v", rerr, werr)
			}
			if tc.want != nil && (rerr != nil || !errors.Is(werr, nanolock.ErrDenied)) {
				t.Errorf("refused, yet something changed: %v, %v", rerr, werr)
			}
		})
	}

	// A seal that cannot be stored keeps the old policy.
	fail := errors.New("journal full")
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), &nanolock.Config{State: policy.Manufacturing, Persist: func(uint32, policy.Usage) (policy.Usage, error) { return policy.Usage{}, fail }})
	next := toy()
	next.Map[1].Write = policy.Rule{}
	if err := l.SetPolicy(next, policy.Deployed); !errors.Is(err, nanolock.ErrPersist) || !errors.Is(err, fail) {
		t.Errorf("got %v", err)
	}
	ok(t, write(l.Host(), 192, "still open"))
	ok(t, write(session(t, l, everything()), 64, "still open"))
	if d := l.Explain(nvm.Write, 64, 1); !d.Allow {
		t.Errorf("explains the policy that was refused: %+v", d)
	}
}

func TestExplain(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), nil)
	explain := func(op nvm.Op, off, n int64, allow bool, region, rule string) {
		t.Helper()
		if d := l.Explain(op, off, n); d.Allow != allow || d.Region != region || d.Rule != rule {
			t.Errorf("%v [%d,+%d): %+v, want %v %q %q", op, off, n, d, allow, region, rule)
		}
	}
	explain(nvm.Read, 0, 10, true, "boot", "read: any")
	explain(nvm.Write, 0, 10, false, "boot", "write: grant vendor")
	explain(nvm.Write, 64, 10, true, "data", "write: any")
	explain(nvm.Write, 64, 0, true, "", "nothing asked")
	explain(nvm.Write, 192, 1, false, "cal", "write: once: sealed")
	explain(nvm.Erase, 65, 1, false, "", "not whole erase blocks: refused")
	explain(nvm.Read, 240, 1, true, "key", "read: grant vendor")
	explain(nvm.Read, 255, 1, false, "", "read: no region, denied")
	ok(t, write(l.Host(), 96, "ab"))
	explain(nvm.Write, 97, 1, false, "log", "write: append: below the mark")
	l.Freeze()
	explain(nvm.Write, 64, 10, false, "data", "write: any: lock frozen")
	if l.Denials() != 0 {
		t.Error("asking is counted")
	}
	g := nor
	g.PageSize = 8
	l = newLock(t, newRAM(g), toy(), nil)
	explain(nvm.Write, 70, 4, false, "", nvm.ErrAlign.Error())
}

// flipped is a memory on which an update region has neighbours on both sides.
func flipped() *policy.Policy {
	all := policy.Access{Read: anyone, Write: anyone, Erase: anyone}
	return &policy.Policy{Version: 1, Memory: policy.Memory{Size: 256, Granule: 16, Hidden: []policy.Area{
		{ID: 4, Name: "b", Span: nvm.Span{Off: 128, Len: 32}, Kind: policy.Slot}, {ID: 5, Name: "d", Span: nvm.Span{Off: 160, Len: 32}, Kind: policy.Slot}, {ID: 6, Name: "v", Span: nvm.Span{Off: 192, Len: 32}, Kind: policy.Vault}}},
		Map: []policy.Region{
			{ID: 1, Name: "low", Span: nvm.Span{Len: 32}, Access: all},
			{ID: 2, Name: "a", Span: nvm.Span{Off: 32, Len: 32}, Access: all, Update: &policy.Update{Slot: "b"}},
			{ID: 3, Name: "c", Span: nvm.Span{Off: 64, Len: 32}, Access: all, Update: &policy.Update{Slot: "d"}},
			{ID: 7, Name: "high", Span: nvm.Span{Off: 96, Len: 32}, Access: all},
		}}
}

// Every access across every border, in each of the four positions of two slots,
// with and without a mapping.
func TestActivate(t *testing.T) {
	for name, wrap := range map[string]func(*ram) nvm.NVM{
		"plain": func(r *ram) nvm.NVM { return r }, "mapped": func(r *ram) nvm.NVM { return mapped{r} },
		"remapped": func(r *ram) nvm.NVM { return &remapped{mapped: mapped{r}} }, "remap refused": func(r *ram) nvm.NVM { return &remapped{mapped{r}, true} },
	} {
		t.Run(name, func(t *testing.T) {
			mem := newRAM(nor)
			mem.geo.Program = nvm.Rewrite
			l := newLock(t, wrap(mem), flipped(), nil)
			h := l.Host()
			for pos := range 4 {
				ok(t, l.Activate("a", pos&1))
				ok(t, l.Activate("c", pos>>1))
				phys := func(i int64) int64 {
					switch {
					case pos&1 == 1 && i >= 32 && i < 64:
						return i + 96
					case pos>>1 == 1 && i >= 64 && i < 96:
						return i + 96
					}
					return i
				}
				for off := int64(0); off < 128; off += 5 {
					for n := int64(1); n <= 128-off; n += 7 {
						want, got := mem.content(), make([]byte, n)
						if k, err := h.ReadAt(got, off); int64(k) != n || err != nil {
							t.Fatal(k, err)
						}
						p := make([]byte, n)
						for i := range n {
							if got[i] != want[phys(off+i)] {
								t.Fatalf("pos %d: read [%d,+%d): byte %d", pos, off, n, i)
							}
							p[i] = got[i] + byte(n)
							want[phys(off+i)] = p[i]
						}
						if k, err := h.WriteAt(p, off); int64(k) != n || err != nil {
							t.Fatal(k, err)
						}
						if !bytes.Equal(mem.content(), want) {
							t.Fatalf("pos %d: write [%d,+%d)", pos, off, n)
						}
					}
				}
				want := mem.content()
				for i := int64(16); i < 112; i++ {
					want[phys(i)] = 0xFF
				}
				if ok(t, h.Erase(16, 96)); !bytes.Equal(mem.content(), want) {
					t.Fatalf("pos %d: erase", pos)
				}
				if v, err := h.View(32, 1); err == nil {
					t.Errorf("view of an update region: %v", v)
				}
			}
		})
	}
	l := newLock(t, newRAM(nor), flipped(), nil)
	for _, tc := range []struct {
		region string
		slot   int
	}{{"none", 0}, {"low", 1}, {"a", 2}, {"a", -1}, {"b", 1}} {
		if err := l.Activate(tc.region, tc.slot); !errors.Is(err, nanolock.ErrRegion) {
			t.Errorf("Activate(%q, %d): %v", tc.region, tc.slot, err)
		}
	}
}

func TestArea(t *testing.T) {
	g := nor
	g.BadBlocks = true
	raw := newRAM(g)
	mem := &flawed{raw, map[int64]bool{}}
	l := newLock(t, mem, flipped(), nil)
	for _, tc := range []struct {
		name string
		slot int
	}{{"none", 0}, {"low", 0}, {"low", 1}, {"v", 1}, {"b", 1}, {"a", 2}, {"a", -1}} {
		if a, err := l.Area(tc.name, tc.slot); a != nil || !errors.Is(err, nanolock.ErrRegion) {
			t.Errorf("Area(%q, %d): %v", tc.name, tc.slot, err)
		}
	}
	open := func(name string, slot int) nvm.NVM {
		t.Helper()
		a, err := l.Area(name, slot)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	vault, first, other, hidden := open("v", 0), open("a", 0), open("a", 1), open("b", 0)
	if g := vault.Geometry(); g.Size != 32 {
		t.Errorf("geometry %+v", g)
	}
	p := []byte("x")
	change := func(a nvm.NVM) [3]error {
		_, err := a.WriteAt(p, 3)
		return [3]error{err, a.Erase(16, 16), a.(nvm.BadBlocker).MarkBad(0)}
	}
	check := func(what string, a nvm.NVM, want error, cause nanolock.Cause) {
		t.Helper()
		raw.taken()
		for _, err := range change(a) {
			var deny *nanolock.DenyError
			if want == nil && err != nil || want != nil && (!errors.As(err, &deny) || deny.Cause != cause || !errors.Is(err, nanolock.ErrDenied)) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if want != nil && len(raw.taken()) != 0 {
			t.Errorf("%s: the memory was asked", what)
		}
	}
	check("vault", vault, nil, 0)
	if mem.content()[195] != mem.content()[195]&'x' || !mem.bad[192] {
		t.Error("the vault's window is somewhere else")
	}
	check("slot in use", first, nanolock.ErrDenied, nanolock.CauseActive)
	check("spare slot", other, nil, 0)
	check("spare slot by its own name", hidden, nil, 0)
	ok(t, l.Activate("a", 1))
	check("first slot, now spare", first, nil, 0)
	check("second slot, now in use", other, nanolock.ErrDenied, nanolock.CauseActive)
	check("the same by its own name", hidden, nanolock.ErrDenied, nanolock.CauseActive)
	l.Freeze()
	check("frozen is for hosts", vault, nil, 0)
	if _, err := vault.WriteAt(p, 32); !errors.Is(err, nvm.ErrRange) {
		t.Errorf("outside: %v", err)
	}
	got := make([]byte, 32)
	if _, err := vault.ReadAt(got, 0); err != nil || !bytes.Equal(got, mem.content()[192:224]) {
		t.Errorf("read: %v", err)
	}
	ok(t, l.Close())
	check("closed", vault, nanolock.ErrDenied, nanolock.CauseEnded)
}

func TestView(t *testing.T) {
	mem := newRAM(nor)
	p := toy()
	p.Map[3].In = map[policy.State]policy.Access{policy.RMA: {}}
	l := newLock(t, mapped{mem}, p, nil)
	h := l.Host()
	v, err := h.View(64, 8)
	if err != nil || len(v) != 8 || cap(v) != 8 || !bytes.Equal(v, mem.content()[64:72]) {
		t.Fatalf("%v, %v", v, err)
	}
	ok(t, h.Erase(64, 16))
	ok(t, write(h, 66, "now"))
	if string(v[2:5]) != "now" || v[0] != 0xFF {
		t.Errorf("does not follow: %q", v)
	}
	if v, err := h.View(64, 64); err != nil || len(v) != 64 { // two regions
		t.Error(err)
	}
	if v, err := h.View(64, 0); err != nil || len(v) != 0 || cap(v) != 0 {
		t.Error(v, err)
	}
	for off, cause := range map[int64]nanolock.Cause{0: nanolock.CauseNoView, 192: nanolock.CauseNoView, 208: nanolock.CauseRule, 240: nanolock.CauseRule, 255: nanolock.CauseRule, 127: nanolock.CauseRule} {
		v, err := h.View(off, min(2, 256-off))
		if v != nil {
			t.Errorf("View(%d) gives %v", off, v)
		}
		mem.taken()
		denied(t, mem, err, cause)
	}
	s := session(t, l, everything())
	if _, err := s.View(240, 1); !errors.Is(err, nanolock.ErrDenied) {
		t.Errorf("a session's right gives no view: %v", err)
	}
	if _, err := h.View(250, 10); err != nvm.ErrRange {
		t.Error(err)
	}
	_, err = newLock(t, mem, toy(), nil).Host().View(64, 1)
	denied(t, mem, err, nanolock.CauseUnmapped)
	short := newLock(t, halfMapped{mem}, toy(), nil)
	if _, err := short.Host().View(64, 1); !errors.Is(err, nanolock.ErrDenied) {
		t.Errorf("a mapping of a part: %v", err)
	}
}

// halfMapped breaks the contract of Mapper.
type halfMapped struct{ *ram }

func (h halfMapped) Bytes() []byte { return h.data[:128] }

// A window that was opened under other extents is over: its place may be a
// host's region by now.
func TestAreaAfterExtentsMoved(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), &nanolock.Config{State: policy.Manufacturing})
	vault, err := l.Area("vault", 0)
	if err != nil {
		t.Fatal(err)
	}
	spare, err := l.Area("boot", 1)
	if err != nil {
		t.Fatal(err)
	}
	rules := toy()
	rules.Map[1].Write = policy.Rule{}
	ok(t, l.SetPolicy(rules, policy.Manufacturing))
	ok(t, vault.Erase(0, 16))
	ok(t, spare.Erase(0, 16))

	moved := toy()
	moved.Map[3].Span.Off, moved.Memory.Hidden[1].Span.Off = 224, 192
	ok(t, l.SetPolicy(moved, policy.Manufacturing))
	mem.taken()
	denied(t, mem, vault.Erase(16, 16), nanolock.CauseEnded)
	denied(t, mem, spare.Erase(0, 16), nanolock.CauseEnded)
	vault, err = l.Area("vault", 0)
	if err != nil {
		t.Fatal(err)
	}
	ok(t, vault.Erase(0, 16))
	if log := mem.taken(); len(log) != 1 || log[0].off != 192 {
		t.Errorf("%+v", log)
	}
}
