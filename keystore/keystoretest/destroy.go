package keystoretest

import (
	"context"
	"errors"

	"github.com/nanolock/nanolock/keystore"
)

// checkDestroy destroys a device with an owner, or sees that nothing changes where
// that cannot be done.
func checkDestroy(e *env) error {
	ctx := context.Background()
	if l := e.ks.Latch(); l != nil {
		if err := l.Set(ctx, record(1, 1)); err != nil {
			return broke(sSet, "Set: %v", err)
		}
	}
	before, err := look(ctx, e.ks)
	if err != nil {
		return err
	}
	enc, _, err := encapsulate(e.id)
	if err != nil {
		return err
	}
	err = e.ks.Destroy(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return e.checkWhole(before)
	} else if err != nil {
		return broke(sDestroy, "Destroy: %v", err)
	}
	for range 2 {
		for name, err := range calls(ctx, e.ks, enc) {
			switch {
			case name == "Destroy" && err != nil:
				return broke(sAgain, "Destroy again: %v", err)
			case name == "Destroy":
			case !errors.Is(err, keystore.ErrAbsent) && !errors.Is(err, keystore.ErrClosed):
				return broke(sAgain, "%s after Destroy: %v", name, err)
			case errors.Is(err, keystore.ErrUncertain):
				return broke(sFailed, "%s after Destroy: %v", name, err)
			}
		}
		if err := e.ks.Close(); err != nil { // and once more, closed
			return broke(sClose, "Close after Destroy: %v", err)
		}
	}
	if e.cfg.ReopenDestroyed == nil {
		return nil
	}
	for range 2 {
		if err := e.cfg.ReopenDestroyed(e.tb, e.ks); !errors.Is(err, keystore.ErrAbsent) {
			return broke(sNever, "opening a destroyed device: got error %v, want %v", err, keystore.ErrAbsent)
		}
	}
	return nil
}

// a state is what a keystore remembers, and a key.
type state struct {
	key   [32]byte
	rec   keystore.Record
	count uint64
}

func look(ctx context.Context, ks keystore.Keystore) (s state, err error) {
	if s.key, err = ks.Derive(ctx, "vault-mac"); err != nil {
		return s, broke(sLabel, "Derive: %v", err)
	}
	if l := ks.Latch(); l != nil {
		if s.rec, err = l.Read(ctx); err != nil {
			return s, broke(sLatch, "Read: %v", err)
		}
	}
	if a := ks.Anchor(); a != nil {
		if s.count, err = a.Read(ctx); err != nil {
			return s, broke(sGoesUp, "Read: %v", err)
		}
	}
	return s, nil
}

// checkWhole: a Destroy that is not supported has touched nothing, here and on
// the medium.
func (e *env) checkWhole(before state) error {
	for range 2 {
		after, err := look(context.Background(), e.ks)
		if err != nil || after != before || !e.ks.Identity().Equal(e.id) {
			return broke(sCannot, "a Destroy that is not supported changed something: %v", err)
		}
		msg := []byte("m")
		sig, err := e.ks.Sign(context.Background(), 0, msg)
		if err != nil || !verify(e.id, 0, msg, sig) {
			return broke(sCannot, "no signature after a Destroy that is not supported: %v", err)
		}
		if e.cfg.Reopen == nil {
			break
		}
		if e.ks = e.cfg.Reopen(e.tb, e.ks); e.ks == nil {
			return errors.New("keystoretest: Config.Reopen returned nil")
		}
	}
	return nil
}
