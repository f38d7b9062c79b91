package sim

import (
	"slices"
	"sync"
	"time"

	"github.com/nanolock/nanolock/nvm"
)

// Flash is a simulated part; get one from New. Its methods may be called
// concurrently.
type Flash struct {
	part *part

	mu      sync.Mutex
	m       medium
	durable *medium  // Config.Cached: what survives a cut
	pending []change // Config.Cached: from durable to m, oldest first
	life
	hook      func(*Operation)
	onProgram func(nvm.Span)
	onErase   func(nvm.Span)
}

// life is what a clone takes along and a Restore leaves alone.
type life struct {
	on    bool
	boot  uint64
	world World
	now   time.Duration
	ops   uint64 // operations begun
	draws uint64 // reads and advances, so that each draws anew
	cut   cut
	stats Stats
}

// Stats counts since New. A clone goes on from the counts of its original.
type Stats struct {
	Reads, BytesRead          uint64
	Programs, BytesProgrammed uint64 // programs of a page or unit that were carried out
	Erases                    uint64 // blocks erased
	Syncs                     uint64
	RefusedBits               uint64 // bits that a program asked to set back to erased (F1)
	CorrectedBits             uint64 // by ECC, on reads (F17)
	Uncorrectable             uint64 // reads that ended in an ECCError
	Failures                  uint64 // operations that returned ErrFailed
}

var (
	_ nvm.NVM        = (*Flash)(nil)
	_ nvm.BadBlocker = (*Flash)(nil)
)

// New returns an erased part with power on. The error wraps ErrConfig.
func New(c Config) (*Flash, error) {
	p, err := newPart(c)
	if err != nil {
		return nil, err
	}
	f := &Flash{part: p, m: newMedium(p), onProgram: c.OnProgram, onErase: c.OnErase}
	f.on, f.world = true, c.World
	if c.Cached {
		f.durable = f.m.fork()
	}
	return f, nil
}

// Clone returns an independent copy in the same state, without the hooks. It
// costs one struct: content is shared until one side changes it.
func (f *Flash) Clone() *Flash {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clone()
}

func (f *Flash) clone() *Flash {
	c := &Flash{part: f.part, m: f.m.clone(), life: f.life}
	if f.part.Cached {
		c.durable = f.durable.fork()
		// Clipped on both sides: an append must not land in the other's array.
		f.pending = slices.Clip(f.pending)
		c.pending = f.pending
	}
	return c
}

// Geometry describes the part; it is constant.
func (f *Flash) Geometry() nvm.Geometry {
	g := f.part.Geometry
	g.Blocks = slices.Clone(g.Blocks)
	return g
}

// Name is Config.Name.
func (f *Flash) Name() string { return f.part.Name }

// Wear returns how often the erase block that contains off was erased; 0
// outside the part.
func (f *Flash) Wear(off int64) uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.part.Geometry.Block(off)
	if b.Len == 0 {
		return 0
	}
	return f.m.block(b).wear
}

// Stats returns the counts so far.
func (f *Flash) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

// Ops returns how many operations (programs of a page or unit, erases of a
// block, and syncs of a cached part) have begun; it is the index of the next.
func (f *Flash) Ops() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// ReadAt reads len(p) bytes at off. Unstable bits read as the World says. The
// error may be an *ECCError, and nvm.ErrBadBlock on a block bad from the
// factory; the n bytes in front are good.
func (f *Flash) ReadAt(p []byte, off int64) (int, error) {
	n, _, err := f.ReadECC(p, off)
	return n, err
}

// ReadECC is ReadAt that also returns how many bits ECC corrected, as a driver
// that scrubs wants to know.
func (f *Flash) ReadECC(p []byte, off int64) (n, corrected int, err error) {
	if err := f.part.Geometry.CheckRead(off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.alive() {
		return 0, 0, ErrNoPower
	}
	s := nvm.Span{Off: off, Len: int64(len(p))}
	good, err := f.readable(s)
	n, corrected, failed := f.m.read(p[:good], off, f.eye())
	if failed != nil {
		err = failed
		f.stats.Uncorrectable++
	}
	f.m.disturb(s, stream{seed: mix(f.part.Seed, forDisturb, f.draws)})
	f.draws++
	f.stats.Reads++
	f.stats.BytesRead += uint64(n)
	f.stats.CorrectedBits += uint64(corrected)
	f.pass(f.part.Timing.read(s.Len))
	return n, corrected, err
}

// readable returns how many leading bytes of s lie in front of a block that is
// bad from the factory. Grown bad blocks still read: data can be saved.
func (f *Flash) readable(s nvm.Span) (int64, error) {
	if len(f.part.factory) == 0 {
		return s.Len, nil
	}
	n := s.Len
	f.part.blocks(s, func(b nvm.Span) bool {
		if _, bad := f.part.factory[b.Off]; bad {
			n = max(0, b.Off-s.Off)
		}
		return n == s.Len
	})
	if n < s.Len {
		return n, nvm.ErrBadBlock
	}
	return n, nil
}

// eye is how the read that is under way sees unstable bits.
func (f *Flash) eye() eye {
	if f.world == RandomRead {
		return eye{f.world, mix(f.part.Seed, f.boot, f.draws)}
	}
	return eye{f.world, mix(f.part.Seed, f.boot)}
}

// alive tells whether there is power, and lets a cut scheduled by time happen.
func (f *Flash) alive() bool {
	if f.on && f.cut.timed && f.now >= f.cut.time {
		f.powerOff()
	}
	return f.on
}
