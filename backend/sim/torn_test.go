package sim

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// tornParts are the presets on which everything is enumerated.
var tornParts = []string{"TINY-NOR", "TINY-NOR-00", "TINY-ONCE", "TINY-ECC", "TINY-NAND", "TINY-HYBRID", "TINY-CACHE"}

// stage programs some content into every block, then runs one program and one
// erase under a hook, and returns both operations.
func stage(t testing.TB, preset string, edit func(*Config)) (program, erased *Operation) {
	t.Helper()
	f := open(t, preset, edit)
	for _, off := range []int64{0, 64, 128, 192} {
		write(t, f, off, seq(16, byte(off)+0x11)...)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	f.SetHook(func(o *Operation) {
		switch o.Kind() {
		case Program:
			program = o
		case Erase:
			erased = o
		}
	})
	n := min(16, int(f.part.step))
	write(t, f, 80, seq(n, 0x42)...)
	erase(t, f, 128, f.Geometry().Block(128).Len)
	return program, erased
}

func image(t testing.TB, f *Flash, w World) []byte {
	t.Helper()
	f.SetWorld(w)
	return read(t, f, 0, f.Geometry().Size)
}

// Every torn state of everything, in every world, stays within the physics.
func TestTornWithinPhysics(t *testing.T) {
	for _, name := range tornParts {
		t.Run(name, func(t *testing.T) {
			program, erased := stage(t, name, func(c *Config) { c.ECC = ECC{} })
			for _, o := range []*Operation{program, erased} {
				before, after := image(t, o.Before(), AllErased), image(t, o.state(class{name: "done"}, 0).Flash(), AllErased)
				n, ids := 0, map[string]bool{}
				for s := range o.Torn(Full) {
					if ids[s.ID] {
						t.Fatalf("%s twice", s.ID)
					}
					ids[s.ID] = true
					n++
					for _, w := range Worlds() {
						inPhysics(t, o, s, image(t, s.Flash(), w), before, after)
					}
				}
				if n < 50 {
					t.Errorf("operation %v has only %d states", o, n)
				}
			}
		})
	}
}

// inPhysics checks one image against the images before and after.
func inPhysics(t *testing.T, o *Operation, s TornState, got, before, after []byte) {
	t.Helper()
	blank, class := o.pre.part.blank, o.pre.part.Geometry.Program
	scope := o.pre.part.Geometry.Block(o.span.Off)
	for i := range got {
		in := o.span.Contains(nvm.Span{Off: int64(i), Len: 1})
		moved := (before[i] ^ after[i])
		switch {
		case s.Fault == TornUnsynced:
			// TestUnsynced compares these byte by byte.
		case !in && s.Fault == TornCollateral:
			// Only erased bits of the same block, and they turn programmed.
			if got[i] != before[i] && (!scope.Contains(nvm.Span{Off: int64(i), Len: 1}) || (before[i]^blank)&^(got[i]^blank) != 0) {
				t.Fatalf("%s: collateral at %d: %02x to %02x", s.ID, i, before[i], got[i])
			}
		case !in:
			if got[i] != before[i] {
				t.Fatalf("%s: settled byte %d: %02x to %02x", s.ID, i, before[i], got[i])
			}
		case o.kind == Erase || class == nvm.Rewrite && s.Fault == TornGarbage:
		case s.Fault == TornGarbage:
			if (before[i]^blank)&^(got[i]^blank) != 0 {
				t.Fatalf("%s: garbage erased bits of %d: %02x to %02x", s.ID, i, before[i], got[i])
			}
		default:
			if (got[i]^before[i])&^moved != 0 {
				t.Fatalf("%s: byte %d: %02x is not between %02x and %02x", s.ID, i, got[i], before[i], after[i])
			}
		}
	}
}

// The tiers hold what they say, each a superset of the one in front.
func TestTiers(t *testing.T) {
	faults := map[Tier]Torn{
		T0: 0, T1: TornPrefix, T2: TornPrefix | TornOrder | TornGarbage,
		T3:   TornPrefix | TornOrder | TornGarbage | TornErase,
		T4:   TornPrefix | TornOrder | TornGarbage | TornErase | TornUnstable | TornWeakErase,
		Full: TornPrefix | TornOrder | TornGarbage | TornErase | TornUnstable | TornWeakErase | TornCollateral,
	}
	program, erased := stage(t, "TINY-NOR", nil)
	last := map[string]bool{}
	for tier := T0; tier <= Full; tier++ {
		ids, seen := map[string]bool{}, Torn(0)
		for _, o := range []*Operation{program, erased} {
			for s := range o.Torn(tier) {
				ids[s.ID] = true
				seen |= s.Fault
			}
		}
		if seen != faults[tier] {
			t.Errorf("T%d shows %v, not %v", tier, seen, faults[tier])
		}
		for id := range last {
			if !ids[id] {
				t.Errorf("T%d lacks %s", tier, id)
			}
		}
		if last = ids; tier == T0 && len(ids) != 4 {
			t.Errorf("T0: %v", slices.Collect(maps.Keys(ids)))
		}
	}
	for s := range program.Torn(Full) {
		if strings.Contains(s.ID, "prefix") {
			return
		}
	}
	t.Error("no prefix at all")
}

func TestWithout(t *testing.T) {
	all := TornPrefix | TornOrder | TornGarbage | TornUnstable | TornCollateral | TornErase | TornWeakErase | TornUnsynced
	for _, name := range []string{"TINY-NOR", "TINY-CACHE"} {
		program, erased := stage(t, name, func(c *Config) { c.Faults.Without = all })
		for _, o := range []*Operation{program, erased} {
			n := 0
			for range o.Torn(Full) {
				n++
			}
			if n != 2 {
				t.Errorf("%s: %d states of %v", name, n, o)
			}
		}
		if _, err := program.Replay(program.String() + ".prefix.1"); !errors.Is(err, ErrReplay) {
			t.Errorf("replay of what is left out: %v", err)
		}
	}
}

// A prefix is exactly a prefix, and so on: the classes do what their names say.
func TestTornExact(t *testing.T) {
	program, erased := stage(t, "TINY-NOR", nil)
	before, want := image(t, program.Before(), AllErased), program.Data()
	at := func(o *Operation, torn string, w World) []byte {
		f, err := o.Replay(o.String() + "." + torn)
		if err != nil {
			t.Fatal(err)
		}
		return image(t, f, w)
	}
	join := func(o *Operation, base, p []byte) []byte {
		out := bytes.Clone(base)
		copy(out[o.Span().Off:], p)
		return out
	}
	blank := bytes.Repeat([]byte{0xFF}, 64)
	zeros := make([]byte, 64)
	old := before[128:192]
	rows := []struct {
		o     *Operation
		torn  string
		world World
		want  []byte
	}{
		{program, "none.0", AllErased, nil},
		{program, "done.0", AllErased, want},
		{program, "prefix.5", AllErased, append(bytes.Clone(want[:5]), blank[:11]...)},
		{program, "suffix.5", AllErased, append(bytes.Clone(blank[:11]), want[11:]...)},
		{program, "flat.4", AllErased, append(bytes.Clone(want[:4]), zeros[:12]...)},
		{program, "unstable.0", AllErased, blank[:16]},
		{program, "unstable.0", AllProgrammed, want},
		{program, "unstable.1", AllErased, append(bytes.Clone(want[:8]), blank[:8]...)},
		{program, "unstable.1", AllProgrammed, want},
		{program, "unstable.2", AllProgrammed, append(bytes.Clone(want[:8]), blank[:8]...)},
		{erased, "zero-end.16", AllErased, append(bytes.Clone(old[:48]), zeros[:16]...)},
		{erased, "zero-start.16", AllErased, append(bytes.Clone(zeros[:16]), old[16:]...)},
		{erased, "pulse-start.8", AllErased, append(bytes.Clone(blank[:8]), zeros[:56]...)},
		{erased, "pulse-end.8", AllErased, append(bytes.Clone(zeros[:56]), blank[:8]...)},
		{erased, "part-start.8", AllErased, append(bytes.Clone(blank[:8]), old[8:]...)},
		{erased, "part-end.52", AllErased, append(bytes.Clone(old[:12]), blank[:52]...)},
		{erased, "soft.0", AllErased, blank},
		{erased, "soft.0", AllProgrammed, zeros},
		{erased, "weak.0", AllErased, blank},
		{erased, "weak.0", AllProgrammed, old},
	}
	for _, r := range rows {
		if got := at(r.o, r.torn, r.world); !bytes.Equal(got, join(r.o, before2(t, r.o), r.want)) {
			t.Errorf("%s in %v: %x", r.torn, r.world, got[r.o.Span().Off:][:r.o.Span().Len])
		}
	}
	one, but := at(program, "one.0", AllErased), at(program, "butone.0", AllErased)
	if ones(xor(one, before)) != 1 || ones(xor(but, join(program, before, want))) != 1 {
		t.Error("one bit is not one bit")
	}
}

func before2(t testing.TB, o *Operation) []byte { return image(t, o.Before(), AllErased) }

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}

// The same seed gives the same ids and bytes; another seed other draws.
func TestDeterministic(t *testing.T) {
	list := func(name string, seed uint64) (out []string) {
		program, erased := stage(t, name, func(c *Config) { c.Seed = seed })
		for _, o := range []*Operation{program, erased} {
			for s := range o.Torn(Full) {
				f := s.Flash()
				f.SetWorld(RandomRead)
				p := make([]byte, 256)
				n, err := f.ReadAt(p, 0)
				out = append(out, fmt.Sprint(s.ID, f.Fingerprint(), n, err, string(p)))
			}
		}
		return out
	}
	for _, name := range tornParts {
		a, b, c := list(name, 1), list(name, 1), list(name, 2)
		if !slices.Equal(a, b) {
			t.Errorf("%s: two runs differ", name)
		}
		if slices.Equal(a, c) {
			t.Errorf("%s: the seed changes nothing", name)
		}
	}
}

func TestReplay(t *testing.T) {
	for _, name := range tornParts {
		program, erased := stage(t, name, nil)
		for _, o := range []*Operation{program, erased} {
			for s := range o.Torn(Full) {
				f, err := o.Replay(s.ID)
				if err != nil || f.Fingerprint() != s.Flash().Fingerprint() {
					t.Fatalf("%s: %s: %v", name, s.ID, err)
				}
			}
			for _, id := range []string{"", "prefix.1", "99.w.prefix.1", o.String(), o.String() + ".prefix", o.String() + ".prefix.0",
				o.String() + ".prefix.16", o.String() + ".prefix.-1", o.String() + ".prefix.+1", o.String() + ".prefix.x",
				o.String() + ".no.1", o.String() + ".none.1", o.String() + ".unsynced.2", o.String() + ".unsynced.11111111"} {
				if _, err := o.Replay(id); !errors.Is(err, ErrReplay) {
					t.Errorf("%s: %q: %v", name, id, err)
				}
			}
		}
	}
	var none Operation
	if _, err := none.Replay("0.w.none.0"); !errors.Is(err, ErrReplay) || none.Data() != nil || none.Before() != nil {
		t.Error("zero Operation")
	}
	for range none.Torn(Full) {
		t.Error("a torn state of nothing")
	}
	if (TornState{}).Flash() != nil {
		t.Error("zero TornState")
	}
}

// Forks live on: they program, erase, and do not disturb each other or the
// original, whose operation went on meanwhile.
func TestForksAreParts(t *testing.T) {
	f := open(t, "TINY-NOR", nil)
	var forks []*Flash
	f.SetHook(func(o *Operation) {
		for s := range o.Torn(T4) {
			forks = append(forks, s.Flash())
		}
	})
	write(t, f, 0, seq(16, 1)...)
	f.SetHook(nil)
	for _, k := range forks {
		erase(t, k, 0, 64)
		write(t, k, 0, seq(16, 9)...)
		for _, w := range Worlds() {
			if got := image(t, k, w); !bytes.Equal(got[:16], seq(16, 9)) {
				t.Fatalf("fork reads %x", got[:16])
			}
		}
	}
	if len(forks) < 50 || !bytes.Equal(read(t, f, 0, 16), seq(16, 1)) {
		t.Errorf("%d forks", len(forks))
	}
}

// Unstable bits are settled by programming them or by an erase, not by
// programming ones over them.
func TestUnstableSettles(t *testing.T) {
	f := open(t, "TINY-NOR", nil)
	if err := f.Loosen(0, 0x0F); err != nil {
		t.Fatal(err)
	}
	worlds := func() (p, e byte) { return image(t, f, AllProgrammed)[0], image(t, f, AllErased)[0] }
	if p, e := worlds(); p != 0xF0 || e != 0xFF {
		t.Errorf("loose: %02x, %02x", p, e)
	}
	write(t, f, 0, 0xFF)
	if p, e := worlds(); p != 0xF0 || e != 0xFF {
		t.Errorf("after programming ones: %02x, %02x", p, e)
	}
	write(t, f, 0, 0xFC)
	if p, e := worlds(); p != 0xF0 || e != 0xFC {
		t.Errorf("after programming half of them: %02x, %02x", p, e)
	}
	erase(t, f, 0, 64)
	if p, e := worlds(); p != 0xFF || e != 0xFF {
		t.Errorf("after an erase: %02x, %02x", p, e)
	}
	if f.Loosen(256, 1) == nil || f.Loosen(-1, 1) == nil {
		t.Error("outside")
	}
}

// A weak erase leaves bits unstable that already were.
func TestWeakEraseOfUnstable(t *testing.T) {
	f := open(t, "TINY-NOR", nil)
	if err := f.Loosen(70, 0x81); err != nil {
		t.Fatal(err)
	}
	f.CutAtOp(0, "weak.0")
	if err := f.Erase(64, 64); !errors.Is(err, ErrNoPower) {
		t.Fatal(err)
	}
	f.PowerOn()
	if p, e := image(t, f, AllProgrammed)[70], image(t, f, AllErased)[70]; p != 0x7E || e != 0xFF {
		t.Errorf("%02x, %02x", p, e)
	}
}

func TestWorlds(t *testing.T) {
	f := open(t, "TINY-NOR", nil)
	for i := range int64(64) {
		if err := f.Loosen(i, 0xFF); err != nil {
			t.Fatal(err)
		}
	}
	f.SetWorld(RandomRead)
	if bytes.Equal(read(t, f, 0, 64), read(t, f, 0, 64)) {
		t.Error("random per read: the same twice")
	}
	f.SetWorld(RandomBoot)
	a := read(t, f, 0, 64)
	if !bytes.Equal(a, read(t, f, 0, 64)) || !bytes.Equal(a[10:20], read(t, f, 10, 10)) {
		t.Error("random per boot: changed within a boot")
	}
	f.Reboot()
	if bytes.Equal(a, read(t, f, 0, 64)) {
		t.Error("random per boot: the same after a boot")
	}
}

// Programs over the remains of a weak erase may not hold (F10).
func TestWeakProgram(t *testing.T) {
	f := open(t, "TINY-NOR", func(c *Config) { c.Faults.WeakPPM = 1_000_000 })
	write(t, f, 0, 0)
	if image(t, f, AllErased)[0] != 0 {
		t.Fatal("a program of sound cells did not hold")
	}
	if err := f.Loosen(16, 1); err != nil {
		t.Fatal(err)
	}
	write(t, f, 16, 0, 0)
	if got := image(t, f, AllErased); got[16] != 0xFF || got[17] != 0xFF {
		t.Errorf("over unstable cells: %x", got[16:18])
	}
}

func TestCollateralScope(t *testing.T) {
	program, _ := stage(t, "TINY-NOR", func(c *Config) { c.Faults.Collateral = ScopePage })
	for s := range program.Torn(Full) {
		if s.Fault != TornCollateral {
			continue
		}
		if got := image(t, s.Flash(), AllProgrammed); !bytes.Equal(got[:80], before2(t, program)[:80]) || !bytes.Equal(got[96:], before2(t, program)[96:]) {
			t.Fatalf("%s reaches out of the page", s.ID)
		}
	}
	program, _ = stage(t, "TINY-NOR", nil)
	hit := false
	for s := range program.Torn(Full) {
		hit = hit || s.Fault == TornCollateral && !bytes.Equal(image(t, s.Flash(), AllProgrammed)[96:], before2(t, program)[96:])
	}
	if !hit {
		t.Error("no collateral in the sector")
	}
}

// What a torn operation leaves on a OncePage part is not free before an erase.
func TestTornUnitsAreUsed(t *testing.T) {
	program, erased := stage(t, "TINY-ONCE", nil)
	f, err := program.Replay(program.String() + ".prefix.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(seq(8, 1), 80); !errors.Is(err, nvm.ErrProgrammed) {
		t.Errorf("torn unit: %v", err)
	}
	for _, torn := range []string{"zero-end.16", "soft.0", "weak.0"} {
		f, err := erased.Replay(erased.String() + "." + torn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(seq(8, 1), 184); torn != "weak.0" && !errors.Is(err, nvm.ErrProgrammed) {
			t.Errorf("%s, a unit free before: %v", torn, err)
		}
		if _, err := f.WriteAt(seq(8, 1), 128); !errors.Is(err, nvm.ErrProgrammed) {
			t.Errorf("%s, a unit used before: %v", torn, err)
		}
		if f.Wear(128) != 1 {
			t.Errorf("%s: wear %d", torn, f.Wear(128))
		}
	}
}
