package vault

import (
	"bytes"
	"errors"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

// at7 is a vault in epoch 7 that shows 2.
func at7(t testing.TB, f nvm.NVM) *Vault {
	t.Helper()
	v, err := Format(ctx, f, testKey, Options{Epoch: 7, Intent: 8}, raise(2)...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Look shows what Open would, whatever the epoch, and writes nothing.
func TestLook(t *testing.T) {
	for _, p := range parts() {
		f := p.new(t)
		v := at7(t, f)
		for _, settled := range []bool{false, true} {
			want, ops := v.Snapshot(), f.Ops()
			s, err := Look(ctx, f, testKey)
			if err != nil || f.Ops() != ops {
				t.Fatalf("%s: %v, %d operations", p.config.Name, err, f.Ops()-ops)
			}
			e, n, g := s.Head()
			we, wn, wg := want.Head()
			if e != we || n != wn || g != wg || s.Counter(opened) != 2 || e != 7 {
				t.Errorf("%s: head %d, %d; want %d, %d", p.config.Name, e, n, we, wn)
			}
			if !settled {
				if err := v.Settle(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		// The next epoch is there as well, and its latch has not moved.
		err := v.NextEpoch(ctx, 8, func() error { return errors.New("cut") }, raise(3)...)
		if !errors.Is(err, ErrUncertain) {
			t.Fatal(err)
		}
		if s, err := Look(ctx, f, testKey); err != nil || s.Counter(opened) != 3 {
			t.Errorf("%s: shows %d of two epochs: %v", p.config.Name, s.Counter(opened), err)
		}
	}
}

func TestLookRefuses(t *testing.T) {
	fresh := func(spoil func(*Vault, *sim.Flash) error) *sim.Flash {
		f := roomy(t)
		if v := at7(t, f); spoil != nil {
			if err := spoil(v, f); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	junk := roomy(t)
	if err := junk.Poke(bytes.Repeat([]byte("junk"), 256), 0); err != nil {
		t.Fatal(err)
	}
	// The record in front of the last does not read any more: a hole.
	hole := fresh(func(v *Vault, f *sim.Flash) error {
		at := v.j.off(v.j.at.block, v.j.at.next+1)
		for n := range uint64(3) {
			if err := v.Commit(ctx, raise(3+n)...); err != nil {
				return err
			}
		}
		return f.Poke([]byte{0}, at)
	})
	later := fresh(func(v *Vault, _ *sim.Flash) error {
		j := v.j
		h := header{Version + 1, typeDelta, 0, 7, j.at.seq + 1, uint16(j.at.block), uint16(j.at.next)}
		sum := j.seal.tag(h, j.at.tag, nil)
		p := append(append(h.put(nil), j.at.tag[:]...), sum[:]...)
		for i, s := range j.frame(p) {
			if err := j.program(j.at.block, j.at.next+i, s); err != nil {
				return err
			}
		}
		return nil
	})
	one := part{config: flash(nvm.ClearBits, 1, 4096, 1, 0, 0xFF)}.new(t)
	for _, tc := range []struct {
		name  string
		f     nvm.NVM
		key   [32]byte
		epoch uint32
		want  error
	}{
		{"blank", roomy(t), testKey, 0, ErrBlank},
		{"junk", junk, testKey, 0, ErrForeign},
		{"other key", fresh(nil), [32]byte{9}, 0, ErrForeign},
		{"hole", hole, testKey, 7, ErrLost},
		{"later version", later, testKey, 7, ErrVersion},
		{"one block", one, testKey, 0, ErrLayout},
	} {
		s, err := Look(ctx, tc.f, tc.key)
		if epoch, _, _ := s.Head(); !errors.Is(err, tc.want) || epoch != tc.epoch || len(s.s) != 0 {
			t.Errorf("%s: epoch %d, %v; want %v", tc.name, epoch, err, tc.want)
		}
	}
	gone := errors.New("gone")
	if _, err := Look(ctx, broken{fresh(nil), gone}, testKey); !errors.Is(err, gone) {
		t.Errorf("a memory that cannot be read: %v", err)
	}
}

// broken is a memory that cannot be read.
type broken struct {
	nvm.NVM
	err error
}

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }
