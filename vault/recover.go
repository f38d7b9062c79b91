package vault

import (
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// recovery is what an unclean start does before it shows anything.
type recovery struct {
	found     *found
	elsewhere bool // the active block is abandoned
	slot      int  // where the decision goes, unless elsewhere
}

// recover carries out the procedure on what a scan found.
func (j *journal) recover(f *found) error {
	r := &recovery{found: f}
	j.at = *f.best
	for _, step := range j.how.recovery {
		if err := step(j, r); err != nil {
			return fmt.Errorf("vault: recovery: %w", err)
		}
	}
	return nil
}

// retireTo is the slot behind the last that a cut can have touched: the last that
// is not erased, and the next, which may only read so. Where that next one can
// have ended a record, an earlier start may have read it whole and been cut while
// it retired the one behind: then that may only read erased as well. It goes no
// further, as a slot is retired before the next is touched.
func (j *journal) retireTo(f *found) int {
	next := f.best.next
	end := max(f.last[f.best.block]+1, next)
	if end > next {
		return end + 2
	}
	return end + j.unseen()
}

// retire programs every bit of the slots behind the chain, one by one, so that none
// of them reads as something else later. That is done even if the decision has to
// go elsewhere for want of room, or the next start could take this block for clean,
// and what was begun elsewhere would outrank it later. Where a second program is
// forbidden the slots stay as they are.
func (j *journal) retire(r *recovery) error {
	c := r.found.best
	if !j.inPlace {
		r.slot = max(r.found.last[c.block]+1, c.next)
		return nil
	}
	r.slot = j.how.retireTo(j, r.found)
	for i := c.next; i < min(r.slot, j.slots); i++ {
		// One that refuses was programmed before; rewrite sees to it.
		_ = j.retireSlot(c.block, i)
	}
	return nil
}

// rewrite writes the decision again: the record that carries it now may be one
// that a cut left half way and that reads whole by chance. It goes into the same
// block as long as there is room, as to go elsewhere takes an erase, and what is
// erased may be the only settled copy. A slot that refuses was hit before and only
// reads erased: the next may take it. Slots are tried without a gap, so whatever
// hides among them stands in front of the decision, and in one block the last chain
// counts.
func (j *journal) rewrite(r *recovery) error {
	st := r.found.best.state
	body, err := st.encode(), errVerify
	for i := r.slot; !r.elsewhere && hitBefore(err) && i+j.need(len(body))+j.tail <= j.slots; i++ {
		if err = j.snapshot(r.found.best.block, i, st, body, false); err == nil {
			return nil
		}
	}
	return j.how.rotate(j, st)
}

func hitBefore(err error) bool {
	return errors.Is(err, nvm.ErrProgrammed) || errors.Is(err, errVerify)
}

// eraseOthers erases all but the active block, whatever they read as: a record
// that reads erased or damaged today may read whole next month.
func (j *journal) eraseOthers(*recovery) error {
	for b := j.next(j.at.block); b != j.at.block; b = j.next(b) {
		ok, err := j.usable(b)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := j.discard(b); err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) settled(*recovery) error { return j.settle() }
