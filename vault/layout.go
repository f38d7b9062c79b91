package vault

import (
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// Bounds of a layout. They keep the work of Open bounded, whatever the flash holds.
const (
	slotSize  = 32        // unless the part's page or program unit says otherwise
	minSlot   = 16        // below, framing eats the room
	maxBlocks = 64        // blocks of a vault
	maxUsed   = 256 << 10 // bytes used of one block
	maxBody   = 16 << 10  // bytes of one record's body
	minBody   = 96        // a vault whose state could not be larger is of no use
	markSlots = 1         // slots that opening a settled block takes
)

// layout is where slots are.
type layout struct {
	mem     nvm.NVM
	geo     nvm.Geometry
	blocks  []nvm.Span
	slot    int // bytes in a slot
	slots   int // slots in a block
	tail    int // slots kept free for settling and opening
	body    int // bytes of the largest body
	inPlace bool
}

func newLayout(mem nvm.NVM) (*layout, error) {
	if mem == nil {
		return nil, fmt.Errorf("%w: none", ErrLayout)
	}
	l := &layout{mem: mem, geo: mem.Geometry()}
	if err := l.geo.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	l.inPlace = l.geo.Program == nvm.ClearBits
	size := max(slotSize, l.geo.ProgramSize)
	if l.geo.PageSize > 0 {
		size = min(size, l.geo.PageSize)
	}
	used := int64(maxUsed)
	for off := int64(0); off < l.geo.Size; {
		b := l.geo.Block(off)
		if len(l.blocks) == maxBlocks {
			return nil, fmt.Errorf("%w: more than %d blocks", ErrLayout, maxBlocks)
		}
		l.blocks = append(l.blocks, b)
		used, off = min(used, b.Len), b.End()
	}
	l.slot, l.slots = int(size), int(min(used/size, 1<<16-1))
	if len(l.blocks) < 2 || l.slot < minSlot {
		return nil, fmt.Errorf("%w: %d blocks, slots of %d bytes", ErrLayout, len(l.blocks), l.slot)
	}
	l.tail = l.need(0) + markSlots
	// Half a block, so that recovery can write all of it again behind itself.
	l.body = min(maxBody, l.room((l.slots-l.tail-l.unseen())/2)-overhead)
	if l.body < minBody {
		return nil, fmt.Errorf("%w: blocks of %d slots of %d bytes", ErrLayout, l.slots, l.slot)
	}
	return l, nil
}

// need is how many slots a record with a body of n bytes takes.
func (l *layout) need(n int) int {
	n += overhead
	if n <= l.slot {
		return 1
	}
	return 1 + (n-l.slot+l.slot-2)/(l.slot-1)
}

// unseen is how many slots behind a whole record a cut can have touched that read
// erased all the same: one, or two where a slot holds a record.
func (l *layout) unseen() int {
	if l.need(0) == 1 {
		return 2
	}
	return 1
}

// room is how many bytes of record fit in n slots.
func (l *layout) room(n int) int {
	if n <= 0 {
		return 0
	}
	return l.slot + (n-1)*(l.slot-1)
}

func (l *layout) off(block, slot int) int64 {
	return l.blocks[block].Off + int64(slot)*int64(l.slot)
}

// usable tells whether a block is not bad.
func (l *layout) usable(block int) (bool, error) {
	b, ok := l.mem.(nvm.BadBlocker)
	if !ok {
		return true, nil
	}
	bad, err := b.IsBad(l.blocks[block].Off)
	return !bad, err
}

// next is the block behind b that comes after it in turn.
func (l *layout) next(b int) int { return (b + 1) % len(l.blocks) }

// erase erases a block and waits until that is durable.
func (l *layout) erase(block int) error {
	if err := l.mem.Erase(l.blocks[block].Off, l.blocks[block].Len); err != nil {
		return err
	}
	return l.mem.Sync()
}

// program writes one slot.
func (l *layout) program(block, slot int, p []byte) error {
	n, err := l.mem.WriteAt(p, l.off(block, slot))
	if err == nil && n != len(p) {
		err = errShort
	}
	return err
}

var (
	errShort  = errors.New("vault: short write")
	errVerify = errors.New("vault: reads back differently")
)

// blank returns a slot as the eraser leaves it; full, one in which every bit is
// programmed.
func (l *layout) blank() []byte { return l.filled(l.geo.Erased) }
func (l *layout) full() []byte  { return l.filled(^l.geo.Erased) }

func (l *layout) filled(b byte) []byte {
	p := make([]byte, l.slot)
	for i := range p {
		p[i] = b
	}
	return p
}
