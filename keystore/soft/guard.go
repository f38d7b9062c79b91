package soft

import (
	"context"

	"github.com/nanolock/nanolock/keystore"
)

// guardedLatch and guardedAnchor hold to what every call of a keystore does: they end
// with Close, and do nothing under a context that is done.

type guardedLatch struct {
	k *Keystore
	l keystore.Latch
}

func (g guardedLatch) Read(ctx context.Context) (keystore.Record, error) {
	_, leave, err := g.k.enter(ctx, "latch")
	if err != nil {
		return keystore.Record{}, err
	}
	defer leave()
	return g.l.Read(ctx)
}

func (g guardedLatch) Set(ctx context.Context, r keystore.Record) error {
	_, leave, err := g.k.enter(ctx, "latch")
	if err != nil {
		return err
	}
	defer leave()
	return g.l.Set(ctx, r)
}

type guardedAnchor struct {
	k *Keystore
	a keystore.Anchor
}

func (g guardedAnchor) Read(ctx context.Context) (uint64, error) {
	_, leave, err := g.k.enter(ctx, "anchor")
	if err != nil {
		return 0, err
	}
	defer leave()
	return g.a.Read(ctx)
}

func (g guardedAnchor) Advance(ctx context.Context, to uint64) error {
	_, leave, err := g.k.enter(ctx, "advance")
	if err != nil {
		return err
	}
	defer leave()
	return g.a.Advance(ctx, to)
}

func (g guardedAnchor) Budget() keystore.Budget { return g.a.Budget() }
