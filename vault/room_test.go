package vault

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// TestOwnerRoom: into a vault that ordinary changes filled to the last byte fit
// all that an owner may have to say, in any order and all at once.
func TestOwnerRoom(t *testing.T) {
	root := CounterKey{1, 1, ClassRoot}
	intent := Intent{1, make([]byte, 100)}
	orders := map[string][]Change{
		"revoke":    {PutSlot(9000, make([]byte, slotRoom-5)).Owner()},
		"counter":   {SetOwnerEpoch(1), RaiseCounter(root, 1), RaiseCounter(CounterKey{1, 2, ClassRoot}, 1)},
		"lifecycle": {SetLifecycle(3)},
		"anchor":    {setAnchored(7)},
		"intent":    {OpenIntent(intent)},
	}
	names := []string{"revoke", "counter", "lifecycle", "anchor", "intent"}
	for turn := range names {
		order := append(slices.Clone(names[turn:]), names[:turn]...)
		for _, back := range []bool{false, true} {
			if back {
				slices.Reverse(order)
			}
			v := full(t)
			for _, n := range order {
				if err := v.Commit(ctx, orders[n]...); err != nil {
					t.Errorf("%v: %s: %v", order, n, err)
				}
			}
			if err := v.Commit(ctx, PutSlot(9001, []byte{1, 2}).Owner()); !errors.Is(err, ErrFull) {
				t.Errorf("%v: a slot beyond the owner's room: %v", order, err)
			}
			if err := v.Commit(ctx, PutSlot(9000, make([]byte, slotRoom-6)).Owner()); err != nil {
				t.Errorf("%v: less than before: %v", order, err)
			}
		}
	}
	v := full(t)
	all := slices.Concat(orders["revoke"], orders["counter"], orders["lifecycle"], orders["intent"])
	if err := v.Commit(ctx, all...); err != nil {
		t.Errorf("all at once: %v", err)
	}
}

// full is a vault that no ordinary change fits into, not by one byte.
func full(t *testing.T) *Vault {
	t.Helper()
	v, err := Format(ctx, roomy(t), testKey, Options{Intent: 100})
	if err != nil {
		t.Fatal(err)
	}
	left := v.limits.ordinary
	for id := uint16(1); left > 0; id++ {
		n := min(left-5, 200)
		if rest := left - 5 - n; rest > 0 && rest < 6 {
			n -= 6
		}
		if err := v.Commit(ctx, PutSlot(id, make([]byte, n))); err != nil {
			t.Fatal(err)
		}
		left -= n + 5
	}
	for _, c := range []Change{PutSlot(8000, []byte{1}), PutUsage(1, Usage{}), PutSlot(1, make([]byte, 201))} {
		if err := v.Commit(ctx, c); !errors.Is(err, ErrFull) {
			t.Fatalf("not full: %v", err)
		}
	}
	// Beside an ordinary change the reserve is closed.
	if err := v.Commit(ctx, PutSlot(8000, []byte{1}).Owner(), PutUsage(1, Usage{})); !errors.Is(err, ErrFull) {
		t.Fatalf("an ordinary change behind an owner's: %v", err)
	}
	if err := v.Commit(ctx, PutUsage(1, Usage{}), PutSlot(8000, []byte{1}).Owner()); !errors.Is(err, ErrFull) {
		t.Fatalf("an ordinary change in front of an owner's: %v", err)
	}
	return v
}

func TestSlotRoom(t *testing.T) {
	for _, tc := range []struct{ body, reserve int }{{135, 0}, {511, 0}, {512, 128}, {1023, 255}, {1024, 256}, {16384, 256}} {
		l, err := newLimits(tc.body, 8)
		if err != nil || l.slots-l.ordinary != tc.reserve || l.all-l.slots != ownerRoom+4+8 {
			t.Errorf("%d bytes: %+v, %v; want a reserve of %d", tc.body, l, err, tc.reserve)
		}
	}
}

// TestCarry: what Changes returns makes the same state in another vault, even if
// the first was full.
func TestCarry(t *testing.T) {
	v := full(t)
	if err := v.Commit(ctx, PutSlot(1, nil), PutSlot(2, []byte("two"))); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(ctx, PutUsage(3, Usage{Erases: 7, Rounds: 1, Mark: 2, Sealed: true}), PutBoot(4, Boot{Floor: 3})); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(ctx, SetOwnerEpoch(1), RaiseCounter(CounterKey{1, 1, ClassAudit}, 2), SetLifecycle(2),
		OpenIntent(Intent{1, nil}), setAnchored(4)); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(ctx, PutSlot(9000, make([]byte, 200)).Owner()); err != nil {
		t.Fatal(err)
	}
	was := v.Snapshot()
	w, err := Format(ctx, roomy(t), testKey, Options{Epoch: 1, Intent: 100}, was.Changes()...)
	if err != nil {
		t.Fatal(err)
	}
	want := was.s.clone()
	for k := range want {
		if slices.Contains([]byte{entryCounter, entryEpoch, entryIntent, entryAnchor}, k[0]) {
			delete(want, k)
		}
	}
	now := w.Snapshot()
	if !bytes.Equal(now.s.encode(), want.encode()) {
		t.Errorf("carried %d bytes, want %d", now.s.size(), want.size())
	}
	if ids := now.Slots(); !slices.Equal(ids, was.Slots()) || !slices.Contains(ids, 9000) || slices.Contains(ids, 1) {
		t.Errorf("slots %v", ids)
	}
	if len(Snapshot{}.Changes()) != 0 || len(Snapshot{}.Slots()) != 0 {
		t.Error("the empty snapshot changes something")
	}
}
