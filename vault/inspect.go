package vault

import (
	"cmp"

	"github.com/nanolock/nanolock/nvm"
)

// Inspection is what is on a vault's flash, for tools that only look.
type Inspection struct {
	// State is the newest chain that is left, whatever Open thinks of it; the
	// empty Snapshot, and Found false, without one or without a key.
	State  Snapshot
	Found  bool
	Report Report
	// Verdict is the error with which Open would refuse under this key and epoch,
	// an anchor left aside; nil if it would show State. Without a key it is
	// ErrBlank, ErrForeign where something looks like a record, or ErrLost.
	Verdict error
	Blocks  []BlockInfo
}

// BlockInfo is one erase block.
type BlockInfo struct {
	nvm.Span
	Bad     bool
	Blank   bool // what could be read of it is erased
	Records []RecordInfo
}

// RecordInfo is what looks like a record. Nothing of one that is not authentic is
// to be believed.
type RecordInfo struct {
	Slot, Slots   int
	Version, Type uint8 // types: docs/wire/vault.md
	Epoch         uint32
	Seq           uint64
	Body          int  // bytes
	Authentic     bool // under the key, in any epoch
}

// Inspect looks at a vault and writes nothing, whatever it holds. Without a key,
// nil, it tells the structure alone: which blocks hold records, and what their
// headers claim. The error is ErrLayout or the memory's; anything that is wrong
// with the journal is in the Inspection.
func Inspect(mem nvm.NVM, key *[32]byte, epoch uint32) (Inspection, error) {
	var in Inspection
	l, err := newLayout(mem)
	if err != nil {
		return in, err
	}
	j := &journal{layout: l, seal: newSealer(*cmp.Or(key, new([32]byte))), epoch: epoch, how: standard()}
	looks, blank := false, true
	for b := range l.blocks {
		info, err := j.inspect(b, key != nil)
		if err != nil {
			return in, err
		}
		if info.Bad {
			in.Report.Bad++
		}
		looks, blank = looks || len(info.Records) > 0, blank && (info.Blank || info.Bad)
		in.Blocks = append(in.Blocks, info)
	}
	switch {
	case key != nil:
		return in, j.conclude(&in)
	case blank:
		in.Verdict = ErrBlank
	case looks:
		in.Verdict = ErrForeign
	default:
		in.Verdict = ErrLost
	}
	return in, nil
}

// inspect lists what looks like a record in a block.
func (j *journal) inspect(block int, keyed bool) (BlockInfo, error) {
	info := BlockInfo{Span: j.blocks[block]}
	ok, err := j.usable(block)
	if info.Bad = !ok; err != nil || info.Bad {
		return info, err
	}
	m, err := j.read(block)
	if err != nil {
		return info, err
	}
	info.Blank = m.last < 0
	for i := 0; i <= m.last; i++ {
		r, authentic := j.parse(m, block, i)
		if r == nil {
			continue
		}
		if !keyed || authentic {
			i += r.slots - 1
		}
		info.Records = append(info.Records, RecordInfo{Slot: int(r.slot), Slots: r.slots, Version: r.version, Type: r.kind,
			Epoch: r.epoch, Seq: r.seq, Body: len(r.body), Authentic: keyed && authentic})
	}
	return info, nil
}

// conclude says what Open would find.
func (j *journal) conclude(in *Inspection) error {
	f, err := j.scan()
	if err != nil {
		return err
	}
	in.Verdict = f.verdict()
	if c := f.best; c != nil {
		in.Found, in.State = true, Snapshot{c.state, j.epoch, c.seq, c.tag}
		in.Report.Clean, in.Report.Settled, in.Report.Sequence = j.how.clean(f), c.settled, c.seq
	}
	return nil
}
