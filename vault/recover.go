package vault

import "fmt"

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
// is not erased, and the next, which may only read so.
func (j *journal) retireTo(f *found) int {
	return max(f.last[f.best.block], f.best.next-1) + 2
}

// retire programs every bit of the slots behind the chain, so that none of them
// ever reads as something else. Where that is forbidden, or leaves no room for
// the decision, the block is abandoned: it is erased later, when the decision
// stands elsewhere.
func (j *journal) retire(r *recovery) error {
	c := r.found.best
	r.slot = j.how.retireTo(j, r.found)
	if !j.inPlace || r.slot+j.need(c.state.size())+j.tail > j.slots {
		r.elsewhere = true
		return nil
	}
	for i := c.next; i < r.slot; i++ {
		if err := j.retireSlot(c.block, i); err != nil {
			r.elsewhere = true
			return nil
		}
	}
	return nil
}

// rewrite writes the decision again: the record that carries it now may be one
// that a cut left half way and that reads whole by chance.
func (j *journal) rewrite(r *recovery) error {
	st := r.found.best.state
	if !r.elsewhere && j.snapshot(r.found.best.block, r.slot, st, st.encode(), false) == nil {
		return nil
	}
	return j.how.rotate(j, st)
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
