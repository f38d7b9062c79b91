package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/nanolock/nanolock/nvm"
)

// Layout of a copy: docs/wire/vault.md.
const (
	copyHeader   = 44      // magic, length, SHA-256 of the document, check
	copyChunk    = 4 << 10 // bytes read at once, at most
	maxDocument  = 1 << 20 // bytes of a document, whatever the window holds
	maxGroup     = 1 << 12 // erase blocks of one copy that are used
	copySets     = 2
	copiesPerSet = 2
)

// copyMagic ends in the version of the format.
var copyMagic = [4]byte{'N', 'L', 'C', 1}

// Copies keeps documents, such as a signed policy, verbatim on a window of their
// own: two sets of two copies each, so that one can be written while the other is
// in force. It authenticates nothing: what comes back is what has the digest that
// was asked for, or, from All, what somebody once put there.
//
// The caller's protocol: Put the new document into the set that its journal does
// not name, and when that returned nil commit the entry that names the set and
// the digest. Then, whenever the power goes, the set that is named was finished
// before it was named. Get with that digest, and Repair now and then.
//
// The methods may not be called concurrently.
type Copies struct {
	mem    nvm.NVM
	geo    nvm.Geometry
	groups [copySets * copiesPerSet][]nvm.Span
	room   int
}

// Document is one that All found.
type Document struct {
	Set, Copy int
	Digest    [32]byte
	Bytes     []byte
}

// NewCopies divides a window into four groups of as many erase blocks, one for
// each copy. ErrLayout if it has less than four.
func NewCopies(mem nvm.NVM) (*Copies, error) {
	if mem == nil {
		return nil, fmt.Errorf("%w: none", ErrLayout)
	}
	c := &Copies{mem: mem, geo: mem.Geometry()}
	if err := c.geo.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	n := 0
	for off := int64(0); off < c.geo.Size; n++ {
		off = c.geo.Block(off).End()
	}
	each := n / len(c.groups)
	room := int64(maxDocument + copyHeader)
	off := int64(0)
	for i := range c.groups {
		size := int64(0)
		for k := range each {
			b := c.geo.Block(off)
			if off = b.End(); k >= maxGroup {
				continue
			}
			c.groups[i] = append(c.groups[i], b)
			size += b.Len
		}
		room = min(room, size)
	}
	if room <= copyHeader {
		return nil, fmt.Errorf("%w: %d blocks for copies", ErrLayout, n)
	}
	c.room = int(room) - copyHeader
	return c, nil
}

// Cap is how many bytes a document may have where no block is bad.
func (c *Copies) Cap() int { return c.room }

// good returns the blocks of a copy that are not bad, and their bytes.
func (c *Copies) good(group int) (list []nvm.Span, size int64, err error) {
	b, knows := c.mem.(nvm.BadBlocker)
	for _, s := range c.groups[group] {
		if knows && c.geo.BadBlocks {
			bad, err := b.IsBad(s.Off)
			if err != nil {
				return nil, 0, err
			}
			if bad {
				continue
			}
		}
		list, size = append(list, s), size+s.Len
	}
	return list, size, nil
}

func (c *Copies) pair(set int) (int, error) {
	if set < 0 || set >= copySets {
		return 0, fmt.Errorf("%w: set %d of copies", ErrLayout, set)
	}
	return set * copiesPerSet, nil
}

// Put erases and writes both copies of a set, one after the other, makes each
// durable and reads it back. ErrFull if the document is too long, with nothing
// written. With any other error neither copy of the set is to be relied on.
func (c *Copies) Put(ctx context.Context, set int, doc []byte) error {
	first, err := c.pair(set)
	if err != nil {
		return err
	}
	for g := first; g < first+copiesPerSet; g++ {
		_, size, err := c.good(g)
		if err != nil {
			return err
		}
		if len(doc) > c.room || int64(len(doc))+copyHeader > size {
			return fmt.Errorf("%w: a document of %d bytes", ErrFull, len(doc))
		}
	}
	for g := first; g < first+copiesPerSet; g++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.write(g, doc); err != nil {
			return fmt.Errorf("vault: copy %d of set %d: %w", g-first, set, err)
		}
	}
	return nil
}

// write makes one copy. A block that fails is marked bad, if the part can, and
// the copy is begun again without it.
func (c *Copies) write(group int, doc []byte) error {
	digest := sha256.Sum256(doc)
	need := int64(len(doc)) + copyHeader
	for range c.groups[group] {
		blocks, size, err := c.good(group)
		if err != nil {
			return err
		}
		if need > size {
			return fmt.Errorf("%w: bad blocks", ErrFull)
		}
		used, sum := 0, int64(0)
		for ; sum < need; used++ {
			sum += blocks[used].Len
		}
		failed, err := c.fill(blocks[:used], putCopyHeader(doc, digest), doc)
		if err == nil {
			if err = c.mem.Sync(); err != nil {
				return err
			}
			back, err := c.read(group, &digest)
			if err == nil && back == nil {
				err = errVerify
			}
			return err
		}
		b, knows := c.mem.(nvm.BadBlocker)
		if !knows || !c.geo.BadBlocks {
			return err
		}
		if merr := b.MarkBad(failed.Off); merr != nil {
			return errors.Join(err, merr)
		}
	}
	return fmt.Errorf("%w: bad blocks", ErrFull)
}

// fill erases blocks and programs head and doc into them, one behind the other.
// The block that failed comes with the error.
func (c *Copies) fill(blocks []nvm.Span, head, doc []byte) (nvm.Span, error) {
	for _, b := range blocks {
		if err := c.mem.Erase(b.Off, b.Len); err != nil {
			return b, err
		}
	}
	step := max(c.geo.PageSize, c.geo.ProgramSize)
	if c.geo.PageSize == 0 {
		step = max(step, copyChunk/c.geo.ProgramSize*c.geo.ProgramSize)
	}
	for _, b := range blocks {
		for off := b.Off; off < b.End() && len(head)+len(doc) > 0; {
			n := min(step, b.End()-off, roundUp(int64(len(head)+len(doc)), c.geo.ProgramSize))
			p := bytes.Repeat([]byte{c.geo.Erased}, int(n))
			h := copy(p, head)
			d := copy(p[h:], doc)
			head, doc = head[h:], doc[d:]
			if k, err := c.mem.WriteAt(p, off); err != nil {
				return b, err
			} else if k != len(p) {
				return b, errShort
			}
			off += n
		}
	}
	return nvm.Span{}, nil
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// putCopyHeader: the check tells a header from chance and from a torn one, so
// that a length is believed before as many bytes are made room for.
func putCopyHeader(doc []byte, digest [32]byte) []byte {
	p := append([]byte(nil), copyMagic[:]...)
	p = binary.LittleEndian.AppendUint32(p, uint32(len(doc)))
	p = append(p, digest[:]...)
	check := sha256.Sum256(p)
	return append(p, check[:copyHeader-len(p)]...)
}

// stream reads a copy from its start, over the borders of blocks.
type stream struct {
	mem    nvm.NVM
	blocks []nvm.Span
	at     int64 // in the first of blocks
}

func (s *stream) read(p []byte) error {
	for len(p) > 0 {
		if len(s.blocks) == 0 {
			return errShort
		}
		b := s.blocks[0]
		n := min(int64(len(p)), b.Len-s.at, copyChunk)
		if _, err := s.mem.ReadAt(p[:n], b.Off+s.at); err != nil {
			return err
		}
		if s.at += n; s.at == b.Len {
			s.blocks, s.at = s.blocks[1:], 0
		}
		p = p[n:]
	}
	return nil
}

// read returns the document of a copy if it is intact and, unless want is nil,
// the one with that digest; nil, and no error, if it is not.
func (c *Copies) read(group int, want *[32]byte) ([]byte, error) {
	blocks, size, err := c.good(group)
	if err != nil || size < copyHeader {
		return nil, err
	}
	s := &stream{mem: c.mem, blocks: blocks}
	head := make([]byte, copyHeader)
	if err := s.read(head); err != nil {
		return nil, damage(err)
	}
	check := sha256.Sum256(head[:copyHeader-4])
	n := binary.LittleEndian.Uint32(head[4:])
	if !bytes.Equal(head[:4], copyMagic[:]) || !bytes.Equal(check[:4], head[copyHeader-4:]) ||
		n > uint32(c.room) || int64(n)+copyHeader > size || want != nil && !bytes.Equal(want[:], head[8:40]) {
		return nil, nil
	}
	doc := make([]byte, n)
	if err := s.read(doc); err != nil {
		return nil, damage(err)
	}
	if sum := sha256.Sum256(doc); !bytes.Equal(sum[:], head[8:40]) {
		return nil, nil
	}
	return doc, nil
}

// damage: what cannot be corrected is a damaged copy, like one with wrong bits.
func damage(err error) error {
	if errors.Is(err, nvm.ErrUncorrectable) || errors.Is(err, nvm.ErrBadBlock) {
		return nil
	}
	return err
}

// Get returns the document of a set from either copy that has the digest. ErrLost
// if none has; beside it, why a copy could not be read.
func (c *Copies) Get(ctx context.Context, set int, digest [32]byte) ([]byte, error) {
	doc, _, err := c.find(ctx, set, digest)
	return doc, err
}

func (c *Copies) find(ctx context.Context, set int, digest [32]byte) (doc []byte, group int, err error) {
	first, err := c.pair(set)
	if err != nil {
		return nil, 0, err
	}
	errs := []error{fmt.Errorf("%w: set %d of copies", ErrLost, set)}
	for g := first; g < first+copiesPerSet; g++ {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		doc, err := c.read(g, &digest)
		if err == nil && doc != nil {
			return doc, g, nil
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return nil, 0, errors.Join(errs...)
}

// All yields the intact documents of all sets, for a device that has lost its
// journal and judges them by their signatures: whoever can write the window can
// put documents there. One that a cut left half way may be intact today and gone
// tomorrow, so what is chosen has to be Put again. No more than one document is
// held at a time. A copy that cannot be read for another reason than damage is
// yielded as an error.
func (c *Copies) All(ctx context.Context) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for g := range c.groups {
			if err := ctx.Err(); err != nil {
				yield(Document{}, err)
				return
			}
			d := Document{Set: g / copiesPerSet, Copy: g % copiesPerSet}
			var err error
			if d.Bytes, err = c.read(g, nil); err == nil && d.Bytes == nil {
				continue
			}
			if d.Digest = sha256.Sum256(d.Bytes); err != nil {
				d.Digest = [32]byte{}
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// Repair makes both copies of a set the document with the digest: one that is
// damaged is written again from the other, which is only read. Nothing is written
// if both are intact. ErrLost if none is.
func (c *Copies) Repair(ctx context.Context, set int, digest [32]byte) error {
	doc, from, err := c.find(ctx, set, digest)
	if err != nil {
		return err
	}
	first := set * copiesPerSet
	for g := first; g < first+copiesPerSet; g++ {
		if g == from {
			continue
		}
		if other, err := c.read(g, &digest); err == nil && other != nil {
			continue
		}
		if err := c.write(g, doc); err != nil {
			return fmt.Errorf("vault: copy %d of set %d: %w", g-first, set, err)
		}
	}
	return nil
}

// Clear erases both copies of a set. The journal should not name it any more.
func (c *Copies) Clear(ctx context.Context, set int) error {
	first, err := c.pair(set)
	if err != nil {
		return err
	}
	for g := first; g < first+copiesPerSet; g++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		blocks, _, err := c.good(g)
		if err != nil {
			return err
		}
		for _, b := range blocks {
			if err := c.mem.Erase(b.Off, b.Len); err != nil {
				return fmt.Errorf("vault: clear set %d: %w", set, err)
			}
		}
	}
	return c.mem.Sync()
}
