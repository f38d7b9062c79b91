package vault

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

// roomy has blocks as real parts do.
func roomy(t testing.TB) *sim.Flash {
	return part{config: flash(nvm.ClearBits, 2, 4096, 1, 256, 0xFF)}.new(t)
}

func formatted(t testing.TB, f nvm.NVM) *Vault {
	t.Helper()
	v, err := Format(ctx, f, testKey, Options{Intent: 8})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEverythingLasts(t *testing.T) {
	f := roomy(t)
	v, err := Format(ctx, f, testKey, Options{Epoch: 9})
	if err != nil {
		t.Fatal(err)
	}
	k := CounterKey{2, 7, ClassRoot}
	boot := Boot{Active: 1, Trial: 2, Attempts: 3, Sequence: 4, Floor: 5, Manifest: [32]byte{6}}
	use := Usage{Erases: 1, Allowed: 2, Rounds: 3, Mark: 4, Sealed: true}
	intent := Intent{8, []byte("order")}
	if err := v.Commit(ctx, SetOwnerEpoch(2), RaiseCounter(k, 11), PutUsage(3, use), SetLifecycle(4), PutBoot(5, boot),
		OpenIntent(intent), PutSlot(6, []byte("slot")), PutSlot(7, []byte("gone"))); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(ctx, PutSlot(7, nil)); err != nil {
		t.Fatal(err)
	}
	epoch, seq, tag := v.Snapshot().Head()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	ops := f.Ops()
	v, r, err := Open(ctx, f, testKey, Options{Epoch: 9})
	if err != nil || !r.Clean || !r.Settled || f.Ops() != ops {
		t.Fatalf("%+v, %v, %d operations", r, err, f.Ops()-ops)
	}
	s := v.Snapshot()
	if e, n, g := s.Head(); e != epoch || n != seq || g != tag || e != 9 {
		t.Error("another head")
	}
	in := s.Intent()
	if s.OwnerEpoch() != 2 || s.Counter(k) != 11 || s.Usage(3) != use || s.Lifecycle() != 4 || s.Boot(5) != boot ||
		in.Kind != 8 || string(in.Body) != "order" || string(s.Slot(6)) != "slot" || s.Slot(7) != nil {
		t.Errorf("%+v", s)
	}
	if c := s.Counters(); len(c) != 1 || c[0] != k || len(s.Usages()) != 1 || s.Usages()[0] != 3 || s.Boots()[0] != 5 {
		t.Error("lists differ")
	}
	if err := v.Commit(ctx, CloseIntent(), SetOwnerEpoch(3)); err != nil {
		t.Fatal(err)
	}
	if s = v.Snapshot(); s.Counter(k) != 0 || s.Intent().Kind != 0 {
		t.Error("counters of an epoch that is over, or the closed intent, are still there")
	}
}

func TestRefusals(t *testing.T) {
	f := roomy(t)
	v, err := Format(ctx, f, testKey, Options{}, SetOwnerEpoch(5), RaiseCounter(CounterKey{5, 1, 1}, 100),
		PutUsage(1, Usage{Erases: 5, Rounds: 1, Mark: 5, Sealed: true}), PutBoot(1, Boot{Floor: 7}))
	if err != nil {
		t.Fatal(err)
	}
	was, ops := v.Snapshot().s.encode(), f.Ops()
	for _, tc := range []struct {
		name string
		c    Change
		want error
	}{
		{"zero", Change{}, ErrClosed},
		{"same value", RaiseCounter(CounterKey{5, 1, 1}, 100), ErrBackwards},
		{"lower value", RaiseCounter(CounterKey{5, 1, 1}, 99), ErrBackwards},
		{"long step", RaiseCounter(CounterKey{5, 1, 1}, 101+MaxStep), ErrBackwards},
		{"wrap", RaiseCounter(CounterKey{5, 1, 1}, 0), ErrBackwards},
		{"old owner epoch", RaiseCounter(CounterKey{4, 1, 1}, 1), ErrBackwards},
		{"usage", PutUsage(1, Usage{Erases: 4, Rounds: 1, Mark: 5, Sealed: true}), ErrBackwards},
		{"mark", PutUsage(1, Usage{Erases: 5, Rounds: 1, Mark: 4, Sealed: true}), ErrBackwards},
		{"negative mark", PutUsage(2, Usage{Mark: -1}), ErrBackwards},
		{"unsealed", PutUsage(1, Usage{Erases: 5, Rounds: 1, Mark: 5}), ErrBackwards},
		{"floor", PutBoot(1, Boot{Floor: 6}), ErrBackwards},
		{"epoch", SetOwnerEpoch(5), ErrBackwards},
		{"no intent", CloseIntent(), ErrIntent},
		{"intent of no kind", OpenIntent(Intent{}), ErrIntent},
		{"large intent", OpenIntent(Intent{1, make([]byte, 4096)}), ErrFull},
		{"large slot", PutSlot(1, make([]byte, 4096)), ErrFull},
	} {
		if err := v.Commit(ctx, SetLifecycle(9), tc.c); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if !bytes.Equal(was, v.Snapshot().s.encode()) || f.Ops() != ops {
		t.Error("a refused batch changed something")
	}
	if err := v.Commit(ctx, PutUsage(1, Usage{Erases: 5, Rounds: 2, Sealed: true})); err != nil {
		t.Errorf("the mark goes down with a new round: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if err := v.Commit(done, SetLifecycle(9)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, _, err := Open(done, f, testKey, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := Format(done, f, testKey, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestZero(t *testing.T) {
	v := new(Vault)
	for _, err := range []error{v.Commit(ctx), v.CommitAnchored(ctx), v.Settle(ctx), v.FinishAnchor(ctx)} {
		if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	s := v.Snapshot()
	if s.Counter(opened) != 0 || s.Usage(1) != (Usage{}) || s.Boot(1) != (Boot{}) || s.Intent().Kind != 0 || s.Lifecycle() != 0 {
		t.Error("the zero vault knows something")
	}
	if _, ok := s.Anchored(); ok {
		t.Error("the zero vault is anchored")
	}
	v = formatted(t, roomy(t))
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(ctx, SetLifecycle(1)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestFull: ordinary changes stop while what the owner needs still fits.
func TestFull(t *testing.T) {
	v := formatted(t, parts()[0].new(t))
	n := uint16(0)
	var err error
	for err == nil {
		n++
		err = v.Commit(ctx, PutSlot(n, []byte{1, 2, 3}))
	}
	if !errors.Is(err, ErrFull) || n < 3 {
		t.Fatalf("slot %d: %v", n, err)
	}
	for _, c := range []Change{OpenIntent(Intent{1, []byte("12345678")}), SetOwnerEpoch(1), SetLifecycle(3),
		RaiseCounter(CounterKey{1, 1, ClassRoot}, 1)} {
		if err := v.Commit(ctx, c); err != nil {
			t.Error(err)
		}
	}
	if err := v.Commit(ctx, PutSlot(999, []byte{1})); !errors.Is(err, ErrFull) {
		t.Errorf("an ordinary change while the intent is open: %v", err)
	}
	if err := v.Commit(ctx, PutSlot(1, nil)); err != nil {
		t.Errorf("making room: %v", err)
	}
}

func TestNotOurs(t *testing.T) {
	fresh := func() *sim.Flash {
		f := parts()[0].new(t)
		if err := formatted(t, f).Close(); err != nil {
			t.Fatal(err)
		}
		return f
	}
	junk := parts()[0].new(t)
	if err := junk.Poke(bytes.Repeat([]byte("junk"), 256), 0); err != nil {
		t.Fatal(err)
	}
	half := fresh()
	if err := half.Erase(0, 512); err != nil {
		t.Fatal(err)
	}
	wide := part{config: flash(nvm.ClearBits, 65, 512, 1, 0, 0xFF)}.new(t)
	one := part{config: flash(nvm.ClearBits, 1, 4096, 1, 0, 0xFF)}.new(t)
	small := part{config: flash(nvm.ClearBits, 4, 128, 1, 0, 0xFF)}.new(t)
	page := part{config: flash(nvm.ClearBits, 4, 128, 1, 8, 0xFF)}.new(t)
	for _, tc := range []struct {
		name string
		f    nvm.NVM
		key  [32]byte
		o    Options
		want error
	}{
		{"blank", parts()[0].new(t), testKey, Options{}, ErrBlank},
		{"junk", junk, testKey, Options{}, ErrLost},
		{"erased", half, testKey, Options{}, ErrBlank},
		{"other key", fresh(), [32]byte{9}, Options{}, ErrForeign},
		{"other epoch", fresh(), testKey, Options{Epoch: 1}, ErrForeign},
		{"none", nil, testKey, Options{}, ErrLayout},
		{"one block", one, testKey, Options{}, ErrLayout},
		{"many blocks", wide, testKey, Options{}, ErrLayout},
		{"small blocks", small, testKey, Options{}, ErrLayout},
		{"small pages", page, testKey, Options{}, ErrLayout},
		{"no geometry", &nvm.Window{}, testKey, Options{}, ErrLayout},
		{"intent over all", fresh(), testKey, Options{Intent: 4096}, ErrLayout},
		{"negative intent", fresh(), testKey, Options{Intent: -1}, ErrLayout},
	} {
		f, _ := tc.f.(*sim.Flash)
		var ops uint64
		if f != nil {
			ops = f.Ops()
		}
		v, _, err := Open(ctx, tc.f, tc.key, tc.o)
		if !errors.Is(err, tc.want) || v != nil {
			t.Errorf("%s: %v, %v; want %v", tc.name, v, err, tc.want)
		}
		if f != nil && f.Ops() != ops {
			t.Errorf("%s: Open wrote on unauthenticated input", tc.name)
		}
	}
	if _, err := Format(ctx, one, testKey, Options{}); !errors.Is(err, ErrLayout) {
		t.Error(err)
	}
	if _, err := Format(ctx, roomy(t), testKey, Options{}, CloseIntent()); !errors.Is(err, ErrIntent) {
		t.Error(err)
	}
}

// TestLaterVersion: what a later library wrote is not touched.
func TestLaterVersion(t *testing.T) {
	for name, change := range map[string]func(*header, *[]byte){
		"version": func(h *header, _ *[]byte) { h.version++ },
		"type":    func(h *header, _ *[]byte) { h.kind = 9 },
		"entry":   func(_ *header, p *[]byte) { *p = []byte{99} },
		"short":   func(_ *header, p *[]byte) { *p = []byte{entryCounter, 1} },
		"length":  func(_ *header, p *[]byte) { *p = []byte{entryIntent, 1} },
		"value":   func(_ *header, p *[]byte) { *p = []byte{entryIntent, 9, 0} },
	} {
		f := parts()[0].new(t)
		v := formatted(t, f)
		j := v.j
		body := []byte{entryLifecycle, 1}
		h := header{Version, typeDelta, 0, 0, j.at.seq + 1, 0, uint16(j.at.next)}
		change(&h, &body)
		h.length = uint16(len(body))
		sum := j.seal.tag(h, j.at.tag, body)
		p := h.put(nil)
		p = append(append(append(p, j.at.tag[:]...), body...), sum[:]...)
		for i, s := range j.frame(p) {
			if err := j.program(0, j.at.next+i, s); err != nil {
				t.Fatal(err)
			}
		}
		ops := f.Ops()
		if _, _, err := Open(ctx, f, testKey, Options{Intent: 8}); !errors.Is(err, ErrVersion) || f.Ops() != ops {
			t.Errorf("%s: %v, %d operations", name, err, f.Ops()-ops)
		}
	}
}

// TestEachFlip: every bit of a settled vault that is the wrong way round is
// noticed, or makes no difference.
func TestEachFlip(t *testing.T) {
	f := parts()[0].new(t)
	v := formatted(t, f)
	for n := uint64(1); n < 5; n++ {
		if err := v.Commit(ctx, raise(n)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	lost, same := 0, 0
	for off := int64(0); off < f.Geometry().Size; off++ {
		for bit := range uint(8) {
			g := f.Clone()
			if err := g.FlipBit(off, bit); err != nil {
				t.Fatal(err)
			}
			v, _, err := Open(ctx, g, testKey, Options{Intent: 8})
			switch {
			case errors.Is(err, ErrLost) || errors.Is(err, ErrForeign):
				lost++
			case err != nil:
				t.Fatalf("%#x.%d: %v", off, bit, err)
			default:
				if n, err := value(v); n != 4 || err != nil {
					t.Fatalf("%#x.%d: shows %d, %v", off, bit, n, err)
				}
				same++
			}
		}
	}
	if lost == 0 || same == 0 {
		t.Errorf("%d detected, %d without effect", lost, same)
	}
	t.Logf("%d flips: %d detected, %d without effect", lost+same, lost, same)
}

// TestForgeries change a field of a header and leave the rest: with the field
// left out of what is authenticated, the forgery passes, so the test sees.
func TestForgeries(t *testing.T) {
	for name, tc := range map[string]struct {
		field func(*header)
		block int
	}{
		"sequence": {func(h *header) { h.seq = 0 }, 0},
		"epoch":    {func(h *header) { h.epoch = 0 }, 0},
		"place":    {func(h *header) { h.block, h.slot = 0, 0 }, 1},
	} {
		for _, weak := range []bool{false, true} {
			l, err := newLayout(parts()[0].new(t))
			if err != nil {
				t.Fatal(err)
			}
			j := &journal{layout: l, seal: newSealer(testKey), epoch: 4, how: standard()}
			if weak {
				j.seal.cover = func(h header, p []byte) []byte { tc.field(&h); return h.put(p) }
			}
			rec, _ := j.seal.encode(header{kind: typeSnapshot, epoch: 4, seq: 3}, tag{}, nil)
			h := parseHeader(rec)
			h.seq, h.block = h.seq+1000, uint16(tc.block)
			if name != "sequence" {
				h.seq -= 1000
			}
			if name == "epoch" {
				j.epoch, h.epoch = 5, 5
			}
			copy(rec, h.put(nil))
			for i, s := range j.frame(rec) {
				if err := j.program(tc.block, i, s); err != nil {
					t.Fatal(err)
				}
			}
			f, err := j.scan()
			if err != nil {
				t.Fatal(err)
			}
			if got := f.best != nil; got != weak {
				t.Errorf("%s: accepted %v, want %v", name, got, weak)
			}
		}
	}
}

// TestFaults fails each operation of a session once, and all from it on.
func TestFaults(t *testing.T) {
	for _, p := range parts() {
		for _, sticky := range []bool{false, true} {
			for i := int64(0); ; i++ {
				inj := nvmtest.OnIndex(i)
				if sticky {
					inj = nvmtest.From(i)
				}
				f := p.new(t)
				mem := nvmtest.Faulty(f, inj)
				acked, tried := session(mem)
				f.Reboot()
				v, _, err := Open(ctx, f, testKey, Options{Intent: 8})
				if err != nil {
					if tried > 0 {
						t.Fatalf("%s: fault at %d (sticky %v): %v", p.name, i, sticky, err)
					}
				} else if n, err := value(v); err != nil || n != acked && n != tried {
					t.Fatalf("%s: fault at %d: shows %d of %d, %d (%v)", p.name, i, n, acked, tried, err)
				}
				if mem.Faults() == 0 {
					break
				}
			}
		}
	}
}

// session formats, commits, opens again and commits; it says what was
// acknowledged and what was tried.
func session(mem nvm.NVM) (acked, tried uint64) {
	v, err := Format(ctx, mem, testKey, Options{Intent: 8})
	if err != nil {
		return 0, 0
	}
	for n := uint64(1); n < 5; n++ {
		tried = n
		if err := v.Commit(ctx, raise(n)...); err != nil {
			return acked, tried
		}
		if acked = n; n != 2 {
			continue
		}
		if v.Close() != nil {
			return acked, tried
		}
		if v, _, err = Open(ctx, mem, testKey, Options{Intent: 8}); err != nil {
			return acked, tried
		}
	}
	_ = v.Close()
	return acked, tried
}

// TestBadBlocks: blocks that go bad are left out, and the state moves on.
func TestBadBlocks(t *testing.T) {
	p := parts()[5]
	f := p.new(t)
	if err := f.MarkBad(1024); err != nil {
		t.Fatal(err)
	}
	v := formatted(t, f)
	for n := uint64(1); n < 40; n++ {
		if err := v.Commit(ctx, raise(n)...); err != nil {
			t.Fatal(err)
		}
	}
	g := f.Clone()
	v, r, err := Open(ctx, g, testKey, Options{Intent: 8})
	if err != nil || r.Bad != 1 || v.Snapshot().Counter(opened) != 39 {
		t.Fatalf("%+v, %v", r, err)
	}
	// A block that fails to erase during recovery is marked, not read again.
	_, at, _ := v.Snapshot().Head()
	_ = at
	victim := int64((v.j.at.block+2)%4) * 1024
	mem := nvmtest.Faulty(f, nvmtest.OnOp(nvmtest.Erase, nvmtest.OnSpan(nvm.Span{Off: victim, Len: 1024}, nvmtest.Always())))
	if _, _, err := Open(ctx, mem, testKey, Options{Intent: 8}); err != nil {
		t.Fatal(err)
	}
}

func FuzzOpen(f *testing.F) {
	p := part{config: flash(nvm.ClearBits, 2, 512, 1, 64, 0xFF)}
	m := p.new(f)
	v := formatted(f, m)
	image := make([]byte, 1024)
	for n := uint64(1); n < 6; n++ {
		if err := v.Commit(ctx, raise(n)...); err != nil {
			f.Fatal(err)
		}
		if err := m.Peek(image, 0); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(image))
		f.Add(append(bytes.Clone(image[512:]), image[:512]...))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p2 []byte) {
		g := p.new(t)
		if err := g.Poke(p2[:min(len(p2), 1024)], 0); err != nil {
			t.Fatal(err)
		}
		v, _, err := Open(ctx, g, testKey, Options{Intent: 8})
		if ops := g.Ops(); err != nil {
			if ops != 0 || v != nil {
				t.Errorf("%v, and %d operations", err, ops)
			}
			return
		} else if ops > 40 {
			t.Errorf("%d operations to recover", ops)
		}
		if n, err := value(v); err != nil || n > 5 {
			t.Errorf("shows %d, %v", n, err)
		}
	})
}
