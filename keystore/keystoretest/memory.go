package keystoretest

import (
	"context"

	"github.com/nanolock/nanolock/keystore"
)

func record(root byte, epoch uint64) keystore.Record {
	return keystore.Record{Root: [32]byte{root, 31: 1}, Epoch: epoch}
}

// expect reads the latch.
func expect(l keystore.Latch, sentence string, r keystore.Record) error {
	got, err := l.Read(context.Background())
	if err != nil || got != r {
		return broke(sentence, "the latch holds epoch %d of root %x, want %d of %x: %v", got.Epoch, got.Root[:2], r.Epoch, r.Root[:2], err)
	}
	return nil
}

func checkLatch(e *env) error {
	l := e.ks.Latch()
	if l == nil {
		return nil
	}
	if err := expect(l, sLatch, keystore.Record{}); err != nil {
		return err
	}
	for _, r := range []keystore.Record{record(1, 1), record(1, 2), record(2, 7), record(2, 7), record(1, 1<<63)} {
		if err := l.Set(context.Background(), r); err != nil {
			return broke(sSet, "Set(epoch %d): %v", r.Epoch, err)
		}
		if err := expect(e.ks.Latch(), sSet, r); err != nil {
			return err
		}
	}
	return nil
}

func checkLatchBack(e *env) error {
	l := e.ks.Latch()
	if l == nil {
		return nil
	}
	ctx, held := context.Background(), keystore.Record{}
	try := func(r keystore.Record, kind error) error {
		if err := want(l.Set(ctx, r), kind, sForward, "Set(epoch %d) over %d", r.Epoch, held.Epoch); err != nil {
			return err
		}
		return expect(l, sForward, held)
	}
	rootless := keystore.Record{Epoch: 1}
	for _, r := range []keystore.Record{{}, rootless, record(1, 0)} {
		if err := try(r, keystore.ErrMalformed); err != nil {
			return err
		}
	}
	held = record(3, 5)
	if err := l.Set(ctx, held); err != nil {
		return broke(sSet, "Set: %v", err)
	}
	for _, r := range []keystore.Record{record(3, 4), record(4, 5), record(4, 1)} {
		if err := try(r, keystore.ErrLatched); err != nil {
			return err
		}
	}
	return try(keystore.Record{}, keystore.ErrMalformed)
}

func checkAnchor(e *env) error {
	a := e.ks.Anchor()
	if a == nil {
		return nil
	}
	ctx := context.Background()
	now, err := a.Read(ctx)
	if err != nil {
		return broke(sGoesUp, "Read: %v", err)
	}
	for _, step := range []uint64{0, 1, 1, 0, 3} {
		now += step
		if err := a.Advance(ctx, now); err != nil {
			return broke(sAdvance, "Advance(%d): %v", now, err)
		}
		if got, err := e.ks.Anchor().Read(ctx); err != nil || got != now {
			return broke(sAdvance, "Read is %d after Advance(%d): %v", got, now, err)
		}
	}
	if a.Budget() != e.ks.Anchor().Budget() {
		return broke(sBudget, "Budget changed")
	}
	return nil
}

func checkAnchorBad(e *env) error {
	a := e.ks.Anchor()
	if a == nil {
		return nil
	}
	ctx := context.Background()
	now, err := a.Read(ctx)
	if err != nil {
		return broke(sGoesUp, "Read: %v", err)
	}
	now += 2
	if err := a.Advance(ctx, now); err != nil {
		return broke(sAdvance, "Advance: %v", err)
	}
	for _, bad := range []struct {
		to       uint64
		kind     error
		sentence string
	}{
		{now - 1, keystore.ErrAhead, sAhead},
		{0, keystore.ErrAhead, sAhead},
		{now + keystore.MaxSteps + 1, keystore.ErrMalformed, sMax},
		{1<<64 - 1, keystore.ErrMalformed, sMax},
	} {
		if err := want(a.Advance(ctx, bad.to), bad.kind, bad.sentence, "Advance(%d) at %d", bad.to, now); err != nil {
			return err
		}
		if got, err := a.Read(ctx); err != nil || got != now {
			return broke(sFailed, "a refused Advance moved the anchor from %d to %d: %v", now, got, err)
		}
	}
	return nil
}
