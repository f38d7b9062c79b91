package vault

import (
	"context"
	"errors"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
)

var errAnchor = errors.New("anchor does not answer")

// counter is an anchor that fails when told to: before it counts, or behind.
type counter struct {
	n           uint64
	reads, fail bool
	lost        bool // counts, and the reply is lost
}

func (c *counter) Read(context.Context) (uint64, error) {
	if c.reads {
		return 0, errAnchor
	}
	return c.n, nil
}

func (c *counter) Advance(_ context.Context, to uint64) error {
	if c.fail {
		return errAnchor
	}
	c.n = max(c.n, to)
	if c.lost {
		return errAnchor
	}
	return nil
}

func anchored(t *testing.T) (*sim.Flash, *counter, *Vault, Options) {
	t.Helper()
	f, c := parts()[0].new(t), &counter{n: 40}
	o := Options{Anchor: c, Intent: 8}
	v, err := Format(ctx, f, testKey, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.CommitAnchored(ctx, raise(1)...); err != nil {
		t.Fatal(err)
	}
	if a, ok := v.Snapshot().Anchored(); c.n != 41 || a != 41 || !ok {
		t.Fatalf("anchor %d, vault %d", c.n, a)
	}
	return f, c, v, o
}

func TestAnchorStates(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*counter, *Options)
		want   error
	}{
		{"in step", func(*counter, *Options) {}, nil},
		{"one behind is finished", func(c *counter, _ *Options) { c.n-- }, nil},
		{"behind", func(c *counter, _ *Options) { c.n -= 2 }, ErrAnchorBehind},
		{"ahead", func(c *counter, _ *Options) { c.n++ }, ErrAnchorAhead},
		{"reset to nothing", func(c *counter, _ *Options) { c.n = 0 }, ErrAnchorBehind},
		{"silent", func(c *counter, _ *Options) { c.reads = true }, ErrAnchorAbsent},
		{"absent", func(_ *counter, o *Options) { o.Anchor = nil }, ErrAnchorAbsent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, c, _, o := anchored(t)
			tc.change(c, &o)
			v, _, err := Open(ctx, f, testKey, o)
			if !errors.Is(err, tc.want) || v == nil {
				t.Fatalf("%v, %v; want %v", v, err, tc.want)
			}
			if n, err := value(v); n != 1 || err != nil {
				t.Errorf("reading does not go on: %d, %v", n, err)
			}
			if tc.want == nil {
				if c.n != 41 {
					t.Errorf("anchor at %d", c.n)
				}
				return
			}
			ops := f.Ops()
			for _, err := range []error{v.Commit(ctx, raise(2)...), v.CommitAnchored(ctx, raise(2)...), v.Settle(ctx), v.FinishAnchor(ctx)} {
				if !errors.Is(err, tc.want) {
					t.Errorf("change: %v, want %v", err, tc.want)
				}
			}
			if f.Ops() != ops {
				t.Error("a refused change wrote")
			}
			adopt(t, f, c, v, o)
		})
	}
}

// adopt: what an owner's order to recover does.
func adopt(t *testing.T, f *sim.Flash, c *counter, v *Vault, o Options) {
	t.Helper()
	if c.reads {
		if err := v.AdoptAnchor(ctx); !errors.Is(err, ErrAnchorAbsent) {
			t.Errorf("adopts an anchor that does not answer: %v", err)
		}
		c.reads = false
	}
	if err := v.AdoptAnchor(ctx); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(ctx, raise(2)...); err != nil {
		t.Error(err)
	}
	v, _, err := Open(ctx, f, testKey, o)
	if err != nil || v.Snapshot().Counter(opened) != 2 {
		t.Errorf("after adopting: %v", err)
	}
	if err := v.AdoptAnchor(ctx); err != nil {
		t.Errorf("nothing to adopt: %v", err)
	}
}

// TestAnchorReplies: a step that was not made, or whose reply was lost.
func TestAnchorReplies(t *testing.T) {
	_, c, v, _ := anchored(t)
	c.lost = true
	if err := v.CommitAnchored(ctx, raise(2)...); err != nil || c.n != 42 {
		t.Errorf("lost reply: %v, anchor %d", err, c.n)
	}
	c.lost, c.fail = false, true
	if err := v.CommitAnchored(ctx, raise(3)...); !errors.Is(err, ErrPending) || c.n != 42 {
		t.Errorf("no step: %v, anchor %d", err, c.n)
	}
	if err := v.CommitAnchored(ctx, raise(4)...); !errors.Is(err, ErrPending) || v.Snapshot().Counter(opened) != 3 {
		t.Errorf("a second step while one is pending: %v", err)
	}
	c.fail = false
	if err := v.FinishAnchor(ctx); err != nil || c.n != 43 {
		t.Errorf("finish: %v, anchor %d", err, c.n)
	}
	if err := v.CommitAnchored(ctx, raise(4)...); err != nil || c.n != 44 {
		t.Errorf("next: %v, anchor %d", err, c.n)
	}
	c.n = 99
	if err := v.CommitAnchored(ctx, raise(5)...); !errors.Is(err, ErrAnchorAhead) {
		t.Errorf("anchor ran away: %v", err)
	}
	if err := v.Commit(ctx, raise(6)...); !errors.Is(err, ErrAnchorAhead) {
		t.Errorf("after that: %v", err)
	}
}

// TestAnchorOldImages puts every earlier image of the flash back.
func TestAnchorOldImages(t *testing.T) {
	f, _, v, o := anchored(t)
	var old []*sim.Flash
	for n := uint64(2); n < 12; n++ {
		old = append(old, f.Clone())
		if err := v.CommitAnchored(ctx, raise(n)...); err != nil {
			t.Fatal(err)
		}
	}
	for i, g := range old {
		_, _, err := Open(ctx, g, testKey, o)
		// The last of them is one step behind: the vault is in front there, so
		// nothing but equality is in step.
		if !errors.Is(err, ErrAnchorAhead) {
			t.Errorf("image %d: %v", i, err)
		}
	}
}

// TestAnchorCuts cuts between the record and the step, and in both.
func TestAnchorCuts(t *testing.T) {
	f, c, v, o := anchored(t)
	type state struct {
		flash *sim.Flash
		n     uint64
	}
	var left []state
	f.SetHook(func(op *sim.Operation) {
		for torn := range op.Torn(sim.T4) {
			left = append(left, state{torn.Flash(), c.n})
		}
	})
	for n := uint64(2); n < 5; n++ {
		if err := v.CommitAnchored(ctx, raise(n)...); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range left {
		for _, w := range sim.Worlds() {
			g, a := s.flash.Clone(), &counter{n: s.n}
			g.SetWorld(w)
			o.Anchor = a
			v, _, err := Open(ctx, g, testKey, o)
			if err != nil {
				t.Fatalf("state %d world %v: %v", i, w, err)
			}
			if mine, _ := v.Snapshot().Anchored(); mine != a.n || a.n-s.n > 1 {
				t.Errorf("state %d world %v: vault %d, anchor %d, was %d", i, w, mine, a.n, s.n)
			}
		}
	}
}

func TestNoAnchor(t *testing.T) {
	v, err := Format(ctx, parts()[0].new(t), testKey, Options{Intent: 8})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.CommitAnchored(ctx, raise(1)...); !errors.Is(err, ErrAnchorAbsent) {
		t.Error(err)
	}
	c := &counter{reads: true}
	v, err = Format(ctx, parts()[0].new(t), testKey, Options{Intent: 8, Anchor: c})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.CommitAnchored(ctx, raise(1)...); !errors.Is(err, ErrAnchorAbsent) {
		t.Error(err)
	}
	if err := new(Vault).AdoptAnchor(ctx); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// Somebody else moves the anchor while the vault is open: the next anchored record is
// not written, for that move would pass for its own.
func TestAnchorMoved(t *testing.T) {
	for n, want := range map[uint64]error{40: ErrAnchorBehind, 42: ErrAnchorAhead, 90: ErrAnchorAhead} {
		f, c, v, _ := anchored(t)
		c.n = n
		ops := f.Ops()
		for range 2 {
			if err := v.CommitAnchored(ctx, raise(2)...); !errors.Is(err, want) || f.Ops() != ops || c.n != n {
				t.Errorf("at %d: %v, want %v; %d operations, anchor %d", n, err, want, f.Ops()-ops, c.n)
			}
			if err := v.Commit(ctx, raise(2)...); !errors.Is(err, want) {
				t.Errorf("at %d: an ordinary commit: %v", n, err)
			}
		}
		if got, err := value(v); got != 1 || err != nil {
			t.Errorf("reading does not go on: %d, %v", got, err)
		}
	}
}
