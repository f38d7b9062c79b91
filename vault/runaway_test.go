package vault

import (
	"context"
	"errors"
	"testing"
)

// runaway is an anchor that goes a step further than it was asked to.
type runaway struct{ value uint64 }

func (a *runaway) Read(context.Context) (uint64, error) { return a.value, nil }

func (a *runaway) Advance(_ context.Context, to uint64) error {
	a.value = to + 1
	return nil
}

// TestAnchorRunsAway: an anchor beyond the step is ahead, and no retry makes it match.
func TestAnchorRunsAway(t *testing.T) {
	f := parts()[0].new(t)
	v, err := Format(ctx, f, testKey, Options{Intent: 8, Anchor: &runaway{value: 7}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.CommitAnchored(ctx, SetLifecycle(1)); !errors.Is(err, ErrAnchorAhead) || errors.Is(err, ErrPending) {
		t.Errorf("a step too far: %v", err)
	}
	if err := v.Commit(ctx, SetLifecycle(2)); !errors.Is(err, ErrAnchorAhead) {
		t.Errorf("and then: %v", err)
	}
}
