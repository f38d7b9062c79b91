package vault

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

// trace writes down what a vault does to its memory, slot by slot.
type trace struct {
	*sim.Flash
	l     *layout
	steps []string
}

func traced(t testing.TB, f *sim.Flash) *trace {
	t.Helper()
	l, err := newLayout(f)
	if err != nil {
		t.Fatal(err)
	}
	return &trace{Flash: f, l: l}
}

func (m *trace) note(f string, a ...any) { m.steps = append(m.steps, fmt.Sprintf(f, a...)) }

func (m *trace) place(off int64) string {
	b := int(off / m.l.blocks[0].Len)
	return fmt.Sprintf("%d/%d", b, int(off-m.l.blocks[b].Off)/m.l.slot)
}

func (m *trace) WriteAt(p []byte, off int64) (int, error) {
	what := map[byte]string{typeSnapshot: "snapshot", typeDelta: "delta", typeSettled: "settled"}[p[1]]
	switch {
	case bytes.Equal(p, m.l.full()):
		what = "retire"
	case p[0] == more:
		what = "more"
	}
	m.note("%s %s", what, m.place(off))
	return m.Flash.WriteAt(p, off)
}

func (m *trace) ReadAt(p []byte, off int64) (int, error) {
	m.note("read %s", m.place(off))
	return m.Flash.ReadAt(p, off)
}

func (m *trace) Erase(off, n int64) error {
	m.note("erase %s", m.place(off))
	return m.Flash.Erase(off, n)
}

func (m *trace) Sync() error {
	m.note("sync")
	return m.Flash.Sync()
}

// changes is what was done but for reading, and forgets it.
func (m *trace) changes() string {
	steps := slices.DeleteFunc(m.steps, func(s string) bool { return strings.HasPrefix(s, "read") })
	m.steps = nil
	return strings.Join(steps, ", ")
}

// TestStepsOfCommit: the settled mark is opened first, each record is durable and
// read back before it is acknowledged.
func TestStepsOfCommit(t *testing.T) {
	m := traced(t, parts()[0].new(t))
	v := formatted(t, m)
	if got, want := m.changes(), "erase 0/0, sync, erase 1/0, sync, erase 0/0, sync, "+
		"snapshot 0/0, more 0/1, sync, settled 0/2, more 0/3, sync"; got != want {
		t.Errorf("format:\n%s, want\n%s", got, want)
	}
	if err := v.Commit(ctx, SetLifecycle(1)); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(m.steps, ", ")
	if want := "retire 0/4, sync, delta 0/5, more 0/6, sync, read 0/5, read 0/6"; got != want {
		t.Errorf("commit:\n%s, want\n%s", got, want)
	}
	m.changes()
	if err := v.Commit(ctx, SetLifecycle(2)); err != nil {
		t.Fatal(err)
	}
	if got, want := m.changes(), "delta 0/7, more 0/8, sync"; got != want {
		t.Errorf("next commit:\n%s, want\n%s", got, want)
	}
}

// TestStepsOfRotation: the block that takes over is erased whatever it reads as,
// and the one that is left stays.
func TestStepsOfRotation(t *testing.T) {
	m := traced(t, parts()[0].new(t))
	v := formatted(t, m)
	for i := byte(1); v.j.at.block == 0; i++ {
		m.changes()
		if err := v.Commit(ctx, SetLifecycle(i)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := m.changes(), "erase 1/0, sync, snapshot 1/0, more 1/1, sync"; got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

// TestStepsOfRecovery: all that a cut can have touched is retired, two slots
// beyond what shows it among them; the decision is written again; every other
// block is erased, a blank one as well; the mark comes last.
func TestStepsOfRecovery(t *testing.T) {
	for _, tc := range []struct {
		name string
		torn int64 // slots behind the chain, of which the last is not erased
		want string
	}{
		{"nothing shows", 0, "retire 0/7, sync, snapshot 0/8, more 0/9, sync, "},
		{"half a slot", 1, "retire 0/7, sync, retire 0/8, sync, retire 0/9, sync, snapshot 0/10, more 0/11, sync, "},
		{"a gap", 2, "retire 0/7, sync, retire 0/8, sync, retire 0/9, sync, retire 0/10, sync, snapshot 0/11, more 0/12, sync, "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := part{config: flash(nvm.ClearBits, 3, 512, 1, 64, 0xFF)}.new(t)
			v := formatted(t, f)
			if err := v.Commit(ctx, SetLifecycle(1)); err != nil {
				t.Fatal(err)
			}
			if tc.torn > 0 {
				if err := f.Poke([]byte{0x55}, int64(v.j.at.next-1)*32+tc.torn*32); err != nil {
					t.Fatal(err)
				}
			}
			_, seq, _ := v.Snapshot().Head()
			m := traced(t, f)
			v, r, err := Open(ctx, m, testKey, Options{Intent: 8})
			if err != nil || r.Clean || v.Snapshot().Lifecycle() != 1 {
				t.Fatalf("%+v, %v", r, err)
			}
			// A record that a cut left half may have the next sequence.
			if r.Sequence != seq+2 {
				t.Errorf("sequence %d after %d", r.Sequence, seq)
			}
			n := v.j.at.next
			want := tc.want + fmt.Sprintf("erase 1/0, sync, erase 2/0, sync, settled 0/%d, more 0/%d, sync", n-2, n-1)
			if got := m.changes(); got != want {
				t.Errorf("%s, want\n%s", got, want)
			}
		})
	}
}

// TestStepsWithoutOverwriting: where a slot is programmed once, recovery asks none
// again and goes on behind what was touched; to go elsewhere would begin with an
// erase of what may be the only settled copy.
func TestStepsWithoutOverwriting(t *testing.T) {
	f := parts()[3].new(t)
	if err := formatted(t, f).Commit(ctx, SetLifecycle(1)); err != nil {
		t.Fatal(err)
	}
	m := traced(t, f)
	if _, _, err := Open(ctx, m, testKey, Options{Intent: 8}); err != nil {
		t.Fatal(err)
	}
	if got, want := m.changes(), "snapshot 0/7, more 0/8, sync, erase 1/0, sync, settled 0/9, more 0/10, sync"; got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

// TestCleanStarts: settled and nothing behind it is clean. Either alone is not.
func TestCleanStarts(t *testing.T) {
	ecc := parts()[4]
	for _, tc := range []struct {
		name   string
		part   part
		settle bool
		spoil  func(f *sim.Flash, off int64) error
		clean  bool
	}{
		{"settled", parts()[0], true, nil, true},
		{"not settled", parts()[0], false, nil, false},
		{"something behind the mark", parts()[0], true, func(f *sim.Flash, off int64) error { return f.Poke([]byte{0xFE}, off+40) }, false},
		{"unreadable behind the mark", ecc, true, func(f *sim.Flash, off int64) error {
			return errors.Join(f.FlipBit(off, 1), f.FlipBit(off, 2))
		}, false},
	} {
		f := tc.part.new(t)
		v := formatted(t, f)
		if err := v.Commit(ctx, raise(1)...); err != nil {
			t.Fatal(err)
		}
		if tc.settle {
			if err := v.Settle(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if tc.spoil != nil {
			if err := tc.spoil(f, v.j.off(v.j.at.block, v.j.at.next)); err != nil {
				t.Fatal(err)
			}
		}
		v, r, err := Open(ctx, f, testKey, Options{Intent: 8})
		if err != nil || r.Clean != tc.clean {
			t.Fatalf("%s: %+v, %v", tc.name, r, err)
		}
		if n, err := value(v); n != 1 || err != nil {
			t.Errorf("%s: shows %d, %v", tc.name, n, err)
		}
	}
}

// deaf is a memory that answers as if it had done what it was asked, and has not.
type deaf struct {
	*sim.Flash
	on bool
}

func (d *deaf) WriteAt(p []byte, off int64) (int, error) {
	if d.on {
		return len(p), nil
	}
	return d.Flash.WriteAt(p, off)
}

// TestSilentFailure: what the part did not do is not acknowledged.
func TestSilentFailure(t *testing.T) {
	f := &deaf{Flash: parts()[0].new(t)}
	v := formatted(t, f)
	if err := v.Commit(ctx, raise(1)...); err != nil {
		t.Fatal(err)
	}
	f.on = true
	if err := v.Commit(ctx, raise(2)...); !errors.Is(err, ErrUncertain) {
		t.Errorf("commit: %v", err)
	}
	f.on = false
	if v, _, err := Open(ctx, f, testKey, Options{Intent: 8}); err != nil || v.Snapshot().Counter(opened) != 1 {
		t.Error(err)
	}
}

// TestUncertain: after a commit that failed nothing is written, and not even an
// owner's AdoptAnchor goes on, until an opening has decided.
func TestUncertain(t *testing.T) {
	f := parts()[0].new(t)
	v := formatted(t, f)
	if err := v.Commit(ctx, SetLifecycle(1)); err != nil { // so that Close has something to settle
		t.Fatal(err)
	}
	m := v.j.mem
	v.j.mem = nvmtest.Faulty(f, nvmtest.OnOp(nvmtest.Changes, nvmtest.Always()))
	if err := v.Commit(ctx, raise(1)...); !errors.Is(err, ErrUncertain) {
		t.Fatal(err)
	}
	v.j.mem = m
	ops := f.Ops()
	for _, err := range []error{v.Commit(ctx, raise(1)...), v.CommitAnchored(ctx, raise(1)...), v.Settle(ctx), v.AdoptAnchor(ctx)} {
		if !errors.Is(err, ErrUncertain) {
			t.Error(err)
		}
	}
	if err := v.Close(); err != nil || f.Ops() != ops {
		t.Errorf("%v, %d operations", err, f.Ops()-ops)
	}
}
