package vault

import (
	"bytes"
	"errors"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

// TestElsewhere: of two vaults over one memory, the one behind whose back the
// other wrote notices, and writes nothing from then on.
func TestElsewhere(t *testing.T) {
	o := Options{Intent: 1}
	others := map[string]func(*sim.Flash, *Vault) error{
		"commits": func(_ *sim.Flash, v *Vault) error { return v.Commit(ctx, raise(2)...) },
		"commits twice": func(_ *sim.Flash, v *Vault) error {
			return errors.Join(v.Commit(ctx, raise(2)...), v.Commit(ctx, raise(3)...))
		},
		"turns": func(_ *sim.Flash, v *Vault) error {
			for n, b := uint64(2), v.j.at.block; v.j.at.block == b; n++ {
				if err := v.Commit(ctx, raise(n)...); err != nil {
					return err
				}
			}
			return nil
		},
		"turns all round": func(_ *sim.Flash, v *Vault) error {
			for n := uint64(2); n < 40; n++ {
				if err := v.Commit(ctx, raise(n)...); err != nil {
					return err
				}
			}
			return v.Settle(ctx)
		},
		"turns at once":   func(_ *sim.Flash, v *Vault) error { return v.j.relocate(v.j.at.state) },
		"moves on":        func(_ *sim.Flash, v *Vault) error { return v.NextEpoch(ctx, 1, func() error { return nil }) },
		"begins to move":  func(_ *sim.Flash, v *Vault) error { v.j.epoch++; return v.j.relocate(v.j.at.state) },
		"formats":         func(f *sim.Flash, _ *Vault) error { _, err := Format(ctx, f, [32]byte{8}, o); return err },
		"formats as well": func(f *sim.Flash, _ *Vault) error { _, err := Format(ctx, f, testKey, o); return err },
		"erases":          func(f *sim.Flash, _ *Vault) error { return f.Erase(0, f.Geometry().Size) },
	}
	for _, p := range parts() {
		for name, other := range others {
			for _, settled := range []bool{false, true} {
				f := p.new(t)
				one, err := Format(ctx, f, testKey, o, raise(1)...)
				if err != nil {
					t.Fatal(err)
				}
				two, _, err := Open(ctx, f, testKey, o)
				if err != nil {
					t.Fatal(err)
				}
				if !settled { // both in the middle of a session, at the same place
					if err := one.Commit(ctx, SetLifecycle(1)); err != nil {
						t.Fatal(err)
					}
					two.j.at = one.j.at
				}
				if err := other(f, two); err != nil {
					t.Fatalf("%s: %s: %v", p.name, name, err)
				}
				elsewhere(t, p.name+": "+name, f, one)
			}
		}
	}
}

// elsewhere: whatever v is asked for, it refuses.
func elsewhere(t *testing.T, name string, f *sim.Flash, v *Vault) {
	t.Helper()
	ops, at := f.Ops(), v.Snapshot().sequence
	latch := func() error { t.Errorf("%s: latched", name); return nil }
	for i, try := range []func() error{
		func() error { return v.Commit(ctx, raise(2)...) }, func() error { return v.Settle(ctx) },
		func() error { return v.NextEpoch(ctx, 1, latch) }, func() error { return v.Commit(ctx, SetLifecycle(2)) },
	} {
		if err := try(); !errors.Is(err, ErrElsewhere) {
			t.Errorf("%s: try %d: %v", name, i, err)
		}
	}
	if err := v.Close(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if f.Ops() != ops || v.Snapshot().sequence > at {
		t.Errorf("%s: %d operations", name, f.Ops()-ops)
	}
}

// TestElsewhereFirst: each change notices by itself, and so does Close.
func TestElsewhereFirst(t *testing.T) {
	for name, try := range map[string]func(*Vault) error{
		"settle": func(v *Vault) error { return v.Settle(ctx) },
		"close":  (*Vault).Close,
		"epoch":  func(v *Vault) error { return v.NextEpoch(ctx, 1, func() error { return nil }) },
	} {
		f := roomy(t)
		v, w := formatted(t, f), (*Vault)(nil)
		if err := v.Commit(ctx, raise(1)...); err != nil {
			t.Fatal(err)
		}
		w, _, err := Open(ctx, f, testKey, Options{Intent: 8})
		if err != nil {
			t.Fatal(err)
		}
		ops := f.Ops()
		if err := try(v); !errors.Is(err, ErrElsewhere) || f.Ops() != ops {
			t.Errorf("%s: %v", name, err)
		}
		if err := w.Commit(ctx, raise(2)...); err != nil {
			t.Errorf("%s: the other: %v", name, err)
		}
	}
}

// TestElsewhereNot: junk in a block that is not in use stops nobody, nor does one
// that cannot be read; a newest record that cannot be read does.
func TestElsewhereNot(t *testing.T) {
	f := roomy(t)
	v := formatted(t, f)
	rec, _ := newSealer([32]byte{66}).encode(header{kind: typeSnapshot, seq: 1 << 40, block: 1}, tag{}, bytes.Repeat([]byte{1}, 40))
	if err := f.Poke(rec, 4096); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(ctx, raise(1)...); err != nil {
		t.Error(err)
	}
	other := nvmtest.OnSpan(nvm.Span{Off: 4096, Len: 4096}, nvmtest.OnOp(nvmtest.Read, nvmtest.Always()))
	v.j.mem = nvmtest.Faulty(f, other)
	if err := v.Commit(ctx, raise(2)...); err != nil {
		t.Error(err)
	}
	v.j.mem = nvmtest.Faulty(f, nvmtest.OnOp(nvmtest.Read, nvmtest.OnIndex(0)))
	ops := f.Ops()
	for range 2 {
		if err := v.Commit(ctx, raise(3)...); !errors.Is(err, ErrUncertain) || f.Ops() != ops {
			t.Errorf("%v, %d operations", err, f.Ops()-ops)
		}
	}
}
