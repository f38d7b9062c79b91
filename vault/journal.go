package vault

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// journal writes records. One that has failed is not used again: what it left is
// for the next Open to decide.
type journal struct {
	*layout
	seal  *sealer
	epoch uint32
	at    chain  // where the next record goes
	wrote []byte // the slots of the record that was written last
	how   procedure
}

// procedure is the order of things on which surviving a cut depends. Tests
// replace single steps, to see that the enumeration of cuts notices.
type procedure struct {
	clean    func(*found) bool
	recovery []func(*journal, *recovery) error
	retireTo func(*journal, *found) int
	open     func(*journal) error
	rotate   func(*journal, state) error
	epoch    func(j *journal, epoch uint32, next state, latch func() error) error
	version  byte // written; no later one is read
	seal     func(key [32]byte) *sealer
}

func standard() procedure {
	return procedure{
		clean:    (*found).clean,
		recovery: []func(*journal, *recovery) error{(*journal).retire, (*journal).rewrite, (*journal).eraseOthers, (*journal).settled},
		retireTo: (*journal).retireTo,
		open:     (*journal).open,
		rotate:   (*journal).relocate,
		epoch:    (*journal).nextEpoch,
		version:  Version,
		seal:     newSealer,
	}
}

func equalTags(a, b tag) bool { return hmac.Equal(a[:], b[:]) }

// write puts a record into its slots, one by one, waits until it is durable and
// reads it back.
func (j *journal) write(block, slot int, kind byte, seq uint64, prev tag, body []byte) (tag, error) {
	h := header{version: j.how.version, kind: kind, epoch: j.epoch, seq: seq, block: uint16(block), slot: uint16(slot)}
	rec, t := j.seal.encode(h, prev, body)
	frames := j.frame(rec)
	for i, p := range frames {
		if err := j.program(block, slot+i, p); err != nil {
			return t, err
		}
	}
	if err := j.mem.Sync(); err != nil {
		return t, err
	}
	j.wrote = bytes.Join(frames, nil)
	back := make([]byte, j.slot)
	for i, p := range frames {
		if _, err := j.mem.ReadAt(back, j.off(block, slot+i)); err != nil {
			return t, err
		}
		if !bytes.Equal(p, back) {
			return t, errVerify
		}
	}
	return t, nil
}

// commit makes next durable, of which body is the difference.
func (j *journal) commit(next state, body []byte) error {
	if j.at.settled {
		if err := j.how.open(j); err != nil {
			return err
		}
	}
	if j.at.version == j.how.version && len(body) <= j.body && j.at.next+j.need(len(body))+j.tail <= j.slots {
		t, err := j.write(j.at.block, j.at.next, typeDelta, j.at.seq+1, j.at.tag, body)
		if err == nil {
			j.at.state, j.at.tag = next, t
			j.at.seq++
			j.at.head, j.at.data = j.at.next, j.wrote
			j.at.next += j.need(len(body))
			return nil
		}
		// The part may have lost this block and not the others. What was half
		// written there says the same as what follows.
		if rerr := j.how.rotate(j, next); rerr != nil {
			return errors.Join(err, rerr)
		}
		return nil
	}
	return j.how.rotate(j, next)
}

// open makes sure that a start from here on is not taken for a clean one. The
// slot behind the mark may have been hit by a cut and read erased all the same,
// so it is never used for anything but this: all its bits programmed.
func (j *journal) open() error {
	err := j.retireSlot(j.at.block, j.at.next)
	if err == nil {
		j.at.next++
		j.at.settled = false
		return nil
	}
	// A part that refuses the slot has seen it before. To write the unchanged
	// state elsewhere says nothing new, however much of it a cut leaves.
	r := &recovery{found: &found{best: &j.at}, elsewhere: true}
	if rerr := j.rewrite(r); rerr != nil {
		return errors.Join(err, rerr)
	}
	return j.eraseOthers(r)
}

func (j *journal) retireSlot(block, slot int) error {
	if err := j.program(block, slot, j.full()); err != nil {
		return err
	}
	return j.mem.Sync()
}

// relocate writes all of next at the beginning of the next block that takes it.
// The block it leaves stays as it is: it is the only carrier until this returns,
// and older than this afterwards.
func (j *journal) relocate(next state) error {
	body := next.encode()
	var errs []error
	for b := j.next(j.at.block); b != j.at.block; b = j.next(b) {
		ok, err := j.usable(b)
		if err == nil && ok {
			if err = j.snapshot(b, 0, next, body, true); err == nil {
				return nil
			}
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("no block takes the state: %w", errors.Join(errs...))
}

// snapshot writes next, with a sequence higher than any that a cut may have left.
func (j *journal) snapshot(block, slot int, next state, body []byte, erase bool) error {
	if erase {
		if err := j.erase(block); err != nil {
			return err
		}
	}
	seq := j.at.seq + 2
	t, err := j.write(block, slot, typeSnapshot, seq, j.at.tag, body)
	if err != nil {
		return err
	}
	j.at = chain{version: j.how.version, state: next, seq: seq, tag: t, block: block, next: slot + j.need(len(body)),
		head: slot, data: j.wrote}
	return nil
}

// settle writes the mark that a clean start looks for.
func (j *journal) settle() error {
	if j.at.settled {
		return nil
	}
	if j.at.next+j.tail > j.slots {
		if err := j.how.rotate(j, j.at.state); err != nil {
			return err
		}
	}
	if _, err := j.write(j.at.block, j.at.next, typeSettled, j.at.seq, j.at.tag, nil); err != nil {
		return err
	}
	j.at.next += j.need(0)
	j.at.settled = true
	return nil
}

// discard makes sure that what is in a block is never read again.
func (j *journal) discard(block int) error {
	err := j.erase(block)
	if b, ok := j.mem.(nvm.BadBlocker); err != nil && ok && j.geo.BadBlocks {
		if bad, _ := b.IsBad(j.blocks[block].Off); bad {
			return nil
		}
		return b.MarkBad(j.blocks[block].Off)
	}
	return err
}
