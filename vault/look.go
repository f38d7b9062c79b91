package vault

import (
	"context"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// Look reads the newest authentic state of the latest epoch that a window holds,
// for a device that has lost its latch and so does not know its epoch. It writes
// nothing and recovers nothing: what it shows may read differently next month, and
// may be older than an anchor. ErrBlank, or ErrForeign, and the zero Snapshot if no
// record is authentic under key; ErrLost or ErrVersion if some are and their state
// cannot be told, and then the Snapshot has their epoch and nothing else.
func Look(ctx context.Context, mem nvm.NVM, key [32]byte) (Snapshot, error) {
	v, err := newVault(mem, key, Options{})
	if err != nil {
		return Snapshot{}, err
	}
	if err := ctx.Err(); err != nil {
		return Snapshot{}, err
	}
	blank, ours, err := v.j.latest()
	switch {
	case err != nil:
		return Snapshot{}, err
	case blank:
		return Snapshot{}, ErrBlank
	case !ours:
		return Snapshot{}, ErrForeign
	}
	f, err := v.j.scan()
	if err == nil {
		err = f.verdict()
	}
	if err != nil {
		return Snapshot{epoch: v.j.epoch}, fmt.Errorf("epoch %d: %w", v.j.epoch, err)
	}
	return Snapshot{f.best.state, v.j.epoch, f.best.seq, f.best.tag}, nil
}

// latest makes the latest epoch of an authentic record the journal's. ours tells
// whether there is one, blank whether every slot reads erased.
func (j *journal) latest() (blank, ours bool, err error) {
	blank = true
	for b := range j.blocks {
		ok, err := j.usable(b)
		if err != nil {
			return false, false, err
		}
		if !ok {
			continue
		}
		m, err := j.read(b)
		if err != nil {
			return false, false, err
		}
		blank = blank && m.last < 0
		for i := 0; i <= m.last; i++ {
			if r, authentic := j.parse(m, b, i); authentic {
				j.epoch, ours = max(j.epoch, r.epoch), true
			}
		}
	}
	return blank, ours, nil
}
