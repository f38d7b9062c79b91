package vault

import (
	"context"
	"errors"
	"testing"
)

// TestIntentBound: an intent has exactly the room that Options give it.
func TestIntentBound(t *testing.T) {
	for n, want := range map[int]error{0: nil, 7: nil, 8: nil, 9: ErrFull} {
		v := formatted(t, roomy(t))
		if err := v.Commit(ctx, OpenIntent(Intent{1, make([]byte, n)})); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestOneIntent: what is open cannot be replaced before it is closed.
func TestOneIntent(t *testing.T) {
	v := formatted(t, roomy(t))
	if err := v.Commit(ctx, OpenIntent(Intent{1, []byte("first")})); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(ctx, OpenIntent(Intent{2, []byte("second")})); !errors.Is(err, ErrIntent) {
		t.Error(err)
	}
	if in := v.Snapshot().Intent(); in.Kind != 1 || string(in.Body) != "first" {
		t.Errorf("%+v", in)
	}
}

// TestStepBound: exactly MaxStep and no more.
func TestStepBound(t *testing.T) {
	v := formatted(t, roomy(t))
	if err := v.Commit(ctx, RaiseCounter(opened, MaxStep+1)); !errors.Is(err, ErrBackwards) {
		t.Error(err)
	}
	if err := v.Commit(ctx, RaiseCounter(opened, MaxStep)); err != nil {
		t.Error(err)
	}
	if err := v.Commit(ctx, RaiseCounter(opened, 2*MaxStep)); err != nil {
		t.Error(err)
	}
}

// TestCounterOfTheNewEpoch: the order that begins an epoch counts in it already.
func TestCounterOfTheNewEpoch(t *testing.T) {
	v := formatted(t, roomy(t))
	now, old := CounterKey{OwnerEpoch: 2, Authority: 1}, CounterKey{OwnerEpoch: 1, Authority: 1}
	if err := v.Commit(ctx, RaiseCounter(old, 4), RaiseCounter(now, 5), SetOwnerEpoch(2)); err != nil {
		t.Fatal(err)
	}
	if s := v.Snapshot(); s.Counter(now) != 5 || s.Counter(old) != 0 {
		t.Errorf("%d, and %d of the epoch before", s.Counter(now), s.Counter(old))
	}
}

// liar is an anchor that says it has counted, and has not.
type liar struct{ counter }

func (*liar) Advance(context.Context, uint64) error { return nil }

// TestAnchorIsAsked: what Advance says is not believed.
func TestAnchorIsAsked(t *testing.T) {
	a := &liar{counter{n: 40}}
	o := Options{Intent: 8, Anchor: a}
	v, err := Format(ctx, roomy(t), testKey, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.CommitAnchored(ctx, raise(1)...); !errors.Is(err, ErrPending) {
		t.Error(err)
	}
	if err := v.FinishAnchor(ctx); !errors.Is(err, ErrPending) {
		t.Error(err)
	}
}

// TestAdoptingSteps: what an owner adopts is the newest from then on; the vault
// that was given up, and every copy of it, is not.
func TestAdoptingSteps(t *testing.T) {
	f, c, _, o := anchored(t)
	old := f.Clone()
	c.n += 5
	v, _, err := Open(ctx, f, testKey, o)
	if !errors.Is(err, ErrAnchorAhead) {
		t.Fatal(err)
	}
	if err := v.AdoptAnchor(ctx); err != nil || c.n != 47 {
		t.Fatalf("%v, anchor %d", err, c.n)
	}
	if a, ok := v.Snapshot().Anchored(); a != 47 || !ok {
		t.Errorf("vault at %d", a)
	}
	if _, _, err := Open(ctx, old, testKey, o); !errors.Is(err, ErrAnchorAhead) {
		t.Errorf("the old image: %v", err)
	}
}

// TestPendingAfterOpen: a vault that was opened while its anchor does not step
// makes up for it before anything else.
func TestPendingAfterOpen(t *testing.T) {
	f, c, v, o := anchored(t)
	c.fail = true
	if err := v.CommitAnchored(ctx, raise(2)...); !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	v, _, err := Open(ctx, f, testKey, o)
	if !errors.Is(err, ErrPending) || v == nil {
		t.Fatal(err)
	}
	if err := v.CommitAnchored(ctx, raise(3)...); !errors.Is(err, ErrPending) || v.Snapshot().Counter(opened) != 2 {
		t.Errorf("%v, counter %d", err, v.Snapshot().Counter(opened))
	}
	c.fail = false
	if err := v.CommitAnchored(ctx, raise(3)...); err != nil || c.n != 43 {
		t.Errorf("%v, anchor %d", err, c.n)
	}
}

// TestOwnersRoom: in a vault that ordinary changes have filled to the last byte,
// the longest intent, a new epoch with its counter, lifecycle and anchor all fit.
func TestOwnersRoom(t *testing.T) {
	const intent = 60
	v, err := Format(ctx, parts()[0].new(t), testKey, Options{Intent: intent, Anchor: &counter{}})
	if err != nil {
		t.Fatal(err)
	}
	for n := 200; n >= 0; n-- {
		err := v.Commit(ctx, PutSlot(1, make([]byte, n+1)))
		if err == nil {
			break
		}
		if !errors.Is(err, ErrFull) || n == 0 {
			t.Fatalf("%d bytes: %v", n+1, err)
		}
	}
	if err := v.Commit(ctx, PutSlot(2, []byte{1})); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	if err := v.CommitAnchored(ctx, OpenIntent(Intent{1, make([]byte, intent)}), SetLifecycle(3),
		RaiseCounter(CounterKey{0, 1, ClassRoot}, 1), RaiseCounter(CounterKey{1, 1, ClassRoot}, 1)); err != nil {
		t.Error(err)
	}
	if err := v.Commit(ctx, SetOwnerEpoch(1)); err != nil {
		t.Error(err)
	}
}
