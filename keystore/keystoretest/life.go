package keystoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nanolock/nanolock/keystore"
)

// calls runs every call of ks that returns an error.
func calls(ctx context.Context, ks keystore.Keystore, enc []byte) map[string]error {
	errs := map[string]error{}
	_, errs["Sign"] = ks.Sign(ctx, 0, []byte("m"))
	_, errs["Decapsulate"] = ks.Decapsulate(ctx, enc)
	_, errs["Derive"] = ks.Derive(ctx, "vault-mac")
	if l := ks.Latch(); l != nil {
		_, errs["Latch.Read"] = l.Read(ctx)
		errs["Latch.Set"] = l.Set(ctx, record(9, 9))
	}
	if a := ks.Anchor(); a != nil {
		_, errs["Anchor.Read"] = a.Read(ctx)
		errs["Anchor.Advance"] = a.Advance(ctx, 1<<40)
	}
	errs["Destroy"] = ks.Destroy(ctx)
	return errs
}

func checkContext(e *env) error {
	enc, _, err := encapsulate(e.id)
	if err != nil {
		return err
	}
	var before uint64
	if a := e.ks.Anchor(); a != nil {
		if before, err = a.Read(context.Background()); err != nil {
			return broke(sGoesUp, "Read: %v", err)
		}
	}
	cause, cancel := context.WithCancel(context.Background())
	cancel()
	for name, err := range calls(cause, e.ks, enc) {
		if err := want(err, context.Canceled, sContext, "%s under a context that is done", name); err != nil {
			return err
		}
	}
	if _, err := e.ks.Derive(context.Background(), "vault-mac"); err != nil {
		return broke(sContext, "after calls under a context that is done, Derive: %v", err)
	}
	if l := e.ks.Latch(); l != nil {
		if err := expect(l, sContext, keystore.Record{}); err != nil {
			return err
		}
	}
	if a := e.ks.Anchor(); a != nil {
		if now, err := a.Read(context.Background()); err != nil || now != before {
			return broke(sContext, "the anchor moved from %d to %d: %v", before, now, err)
		}
	}
	return nil
}

// checkConcurrent runs all calls at once; the race detector sees the rest.
func checkConcurrent(e *env) error {
	ctx := context.Background()
	enc, same, err := encapsulate(e.id)
	if err != nil {
		return err
	}
	key, err := e.ks.Derive(ctx, "region/1")
	if err != nil {
		return broke(sLabel, "Derive: %v", err)
	}
	var start uint64
	a, l := e.ks.Anchor(), e.ks.Latch()
	if a != nil {
		if start, err = a.Read(ctx); err != nil {
			return broke(sGoesUp, "Read: %v", err)
		}
	}
	work := []func(i int) error{
		func(i int) error {
			msg, half := []byte{byte(i)}, i%len(e.id.Suite.Halves())
			sig, err := e.ks.Sign(ctx, half, msg)
			if err == nil && !verify(e.id, half, msg, sig) {
				err = errors.New("a signature does not verify")
			}
			return err
		},
		func(int) error {
			secret, err := e.ks.Decapsulate(ctx, enc)
			return errors.Join(err, same(secret))
		},
		func(int) error {
			got, err := e.ks.Derive(ctx, "region/1")
			if err == nil && got != key {
				err = errors.New("another key from Derive")
			}
			return err
		},
		func(i int) error {
			if a == nil {
				return nil
			}
			if err := a.Advance(ctx, start+uint64(i)); err != nil && !errors.Is(err, keystore.ErrAhead) {
				return err
			}
			now, err := a.Read(ctx)
			if err == nil && now < start+uint64(i) {
				err = fmt.Errorf("the anchor is at %d after Advance(%d)", now, start+uint64(i))
			}
			return err
		},
		func(i int) error {
			if l == nil {
				return nil
			}
			if err := l.Set(ctx, record(1, uint64(i+1))); err != nil && !errors.Is(err, keystore.ErrLatched) {
				return err
			}
			r, err := l.Read(ctx)
			if err == nil && r.Epoch < uint64(i+1) {
				err = fmt.Errorf("the latch is at %d after Set(%d)", r.Epoch, i+1)
			}
			return err
		},
	}
	errs := make([]error, len(work))
	var wg sync.WaitGroup
	for w, f := range work {
		wg.Go(func() {
			for i := 0; i < 4 && errs[w] == nil; i++ {
				errs[w] = f(i)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return broke(sConcurrent, "calls at once: %v", err)
	}
	return nil
}

func checkOther(e *env) error {
	ctx := context.Background()
	other := e.cfg.New(e.tb)
	id := other.Identity()
	if bytes.Equal(id.Public, e.id.Public) || bytes.Equal(id.Encap, e.id.Encap) {
		return broke(sSecret, "two devices have the same keys")
	}
	mine, err1 := e.ks.Derive(ctx, "vault-mac")
	theirs, err2 := other.Derive(ctx, "vault-mac")
	if err := errors.Join(err1, err2); err != nil || mine == theirs {
		return broke(sSecret, "two devices derive the same key: %v", err)
	}
	return nil
}

func checkReopen(e *env) error {
	if e.cfg.Reopen == nil {
		return nil
	}
	ctx := context.Background()
	key, err := e.ks.Derive(ctx, "vault-mac")
	if err != nil {
		return broke(sLabel, "Derive: %v", err)
	}
	var count uint64
	if a := e.ks.Anchor(); a != nil {
		if count, err = a.Read(ctx); err == nil {
			count += 2
			err = a.Advance(ctx, count)
		}
		if err != nil {
			return broke(sAdvance, "%v", err)
		}
	}
	var held keystore.Record
	for i := range 3 { // not set, set, moved
		if l := e.ks.Latch(); l != nil && i > 0 {
			held = record(byte(i), uint64(i))
			if err := l.Set(ctx, held); err != nil {
				return broke(sSet, "Set: %v", err)
			}
		}
		if e.ks = e.cfg.Reopen(e.tb, e.ks); e.ks == nil {
			return errors.New("keystoretest: Config.Reopen returned nil")
		}
		if !e.ks.Identity().Equal(e.id) {
			return broke(sFixed, "Identity() is another after the power was taken")
		}
		if again, err := e.ks.Derive(ctx, "vault-mac"); err != nil || again != key {
			return broke(sDerive, "Derive gives another key after the power was taken: %v", err)
		}
		if a := e.ks.Anchor(); a != nil {
			if now, err := a.Read(ctx); err != nil || now != count {
				return broke(sGoesUp, "the anchor was at %d and is at %d after the power was taken: %v", count, now, err)
			}
		}
		if l := e.ks.Latch(); l != nil {
			if err := expect(l, sSet, held); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkClose(e *env) error {
	enc, _, err := encapsulate(e.id)
	if err != nil {
		return err
	}
	for range 2 {
		if err := e.ks.Close(); err != nil {
			return broke(sClose, "Close: %v", err)
		}
	}
	for name, err := range calls(context.Background(), e.ks, enc) {
		if err := want(err, keystore.ErrClosed, sClosed, "%s after Close", name); err != nil {
			return err
		}
	}
	return nil
}
