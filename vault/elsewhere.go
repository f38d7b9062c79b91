package vault

import (
	"bytes"
	"context"
	"fmt"
)

// Alone is ErrElsewhere if somebody else has written the journal, and nil if nobody
// did, as far as a few reads can tell. It is for who writes something else of the
// device's that the journal names.
func (v *Vault) Alone(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.writable(ctx); err != nil {
		return err
	}
	return v.mine(0)
}

// mine makes sure that nobody else wrote the journal since this vault read it or
// wrote it last, as far as a few reads can tell, before it writes n bytes of body:
// two writers would each undo what the other acknowledged. It is no lock: of two
// that write in the same instant both may get through.
func (v *Vault) mine(n int) error {
	ok, err := v.j.untouched(n)
	switch {
	case err != nil:
		v.refuse = fmt.Errorf("%w: before writing: %w", ErrUncertain, err)
	case !ok:
		v.refuse = ErrElsewhere
	}
	return v.refuse
}

// untouched: the newest record is what was written, what is to be programmed
// reads erased, and no other block begins with newer state.
func (j *journal) untouched(n int) (bool, error) {
	c := &j.at
	if ok, err := j.reads(c.block, c.head, c.data); !ok || err != nil {
		return false, err
	}
	// The slot behind a settled mark may read either way, see open.
	at := c.next
	if c.settled {
		at += markSlots
	}
	if to := at + j.need(n); to <= j.slots {
		if ok, err := j.reads(c.block, at, bytes.Repeat(j.blank(), to-at)); !ok || err != nil {
			return false, err
		}
	}
	for b := j.next(c.block); b != c.block; b = j.next(b) {
		if newer, err := j.newer(b); newer || err != nil {
			return false, err
		}
	}
	return true, nil
}

// reads tells whether the slots from slot on hold p.
func (j *journal) reads(block, slot int, p []byte) (bool, error) {
	back := make([]byte, j.slot)
	for ; len(p) > 0; slot++ {
		if _, err := j.mem.ReadAt(back, j.off(block, slot)); err != nil {
			return false, err
		}
		if !bytes.Equal(back, p[:j.slot]) {
			return false, nil
		}
		p = p[j.slot:]
	}
	return true, nil
}

// newer tells whether a block begins with an authentic record behind the newest.
// A header that says so is not enough: junk must not stop the vault.
func (j *journal) newer(block int) (bool, error) {
	if ok, err := j.usable(block); err != nil || !ok {
		return false, err
	}
	head := make([]byte, j.slot)
	if _, err := j.mem.ReadAt(head, j.off(block, 0)); err != nil {
		return false, nil // damaged, and not needed
	}
	if len(head) >= headerLen {
		if h := parseHeader(head); h.epoch < j.epoch || h.epoch == j.epoch && h.seq <= j.at.seq {
			return false, nil
		}
	}
	if head[0] == 0 || head[0] > maxVersion {
		return false, nil
	}
	m, err := j.read(block)
	if err != nil {
		return false, err
	}
	r, authentic := j.parse(m, block, 0)
	return authentic && (r.epoch > j.epoch || r.epoch == j.epoch && r.seq > j.at.seq), nil
}
