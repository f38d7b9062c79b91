package attack

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// chip is what the lock under attack takes for the memory. It behaves as silicon
// does where a lock forwards what it should have refused: addresses wrap at the
// end of the memory, programs wrap in their page and take whole units, erases
// take whole blocks. Every physical change is judged by the model before it is
// carried out.
type chip struct {
	raw nvm.NVM
	geo nvm.Geometry

	mu      sync.Mutex
	m       *model
	store   map[uint32]policy.Usage // what the lock made durable
	live    []*subject              // whoever may ask
	actor   *subject                // who asks now; nil = any of live
	want    []byte                  // the image as it may be
	touched map[int64]bool          // erase blocks that changed
	breach  *Breach
	changes int  // programs and erases so far
	running int  // of them under way
	marked  bool // a block was marked bad

	onChange func(op nvm.Op) error // before a change, without mu
	after    error                 // a change is carried out and reported as failed
}

// mapped and remapped are chips over memories with these abilities.
type (
	mapped   struct{ *chip }
	remapped struct{ mapped }
)

func (c mapped) Bytes() []byte { return c.raw.(nvm.Mapper).Bytes() }
func (c remapped) Remap(swap [][2]nvm.Span) ([]byte, error) {
	return c.raw.(nvm.Remapper).Remap(swap)
}

// nvm is the chip with the abilities of the memory under it.
func (c *chip) nvm() nvm.NVM {
	if _, ok := c.raw.(nvm.Remapper); ok {
		return remapped{mapped{c}}
	}
	if _, ok := c.raw.(nvm.Mapper); ok {
		return mapped{c}
	}
	return c
}

// Geometry returns a copy: what a lock hands on must not reach the judge.
func (c *chip) Geometry() nvm.Geometry {
	g := c.geo
	g.Blocks = slices.Clone(g.Blocks)
	return g
}

func (c *chip) Sync() error { return c.raw.Sync() }

func (c *chip) IsBad(off int64) (bool, error) {
	if b, ok := c.raw.(nvm.BadBlocker); ok {
		return b.IsBad(off)
	}
	return false, nil
}

// ReadAt reads; behind the end it starts again at 0.
func (c *chip) ReadAt(p []byte, off int64) (int, error) {
	if (nvm.Span{Off: off, Len: int64(len(p))}).In(c.geo.Size) {
		return c.raw.ReadAt(p, off)
	}
	for done := 0; done < len(p); {
		at := wrap(off+int64(done), c.geo.Size)
		n := min(int64(len(p)-done), c.geo.Size-at)
		if _, err := c.raw.ReadAt(p[done:][:n], at); err != nil {
			return done, err
		}
		done += int(n)
	}
	return len(p), nil
}

func wrap(off, size int64) int64 { return (off%size + size) % size }

// WriteAt programs as the part would.
func (c *chip) WriteAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var feet []nvm.Span
	legal := c.geo.CheckProgram(off, int64(len(p))) == nil
	if legal {
		feet = []nvm.Span{{Off: off, Len: int64(len(p))}}
	} else {
		feet = c.wrapped(off, int64(len(p)))
	}
	return len(p), c.change(nvm.Write, feet, func() error {
		if legal {
			_, err := c.raw.WriteAt(p, off)
			return err
		}
		return c.programWrapped(p, off)
	})
}

// wrapped is the footprint of a program that leaves its page, its units or the
// memory.
func (c *chip) wrapped(off, n int64) []nvm.Span {
	page := c.geo.PageSize
	if page == 0 {
		page = c.geo.Size
	}
	at := wrap(off, c.geo.Size)
	base, in := at-at%page, at%page
	if n >= page {
		return []nvm.Span{{Off: base, Len: page}}
	}
	unit := c.geo.ProgramSize
	lo, hi := in-in%unit, (in+n+unit-1)/unit*unit
	if hi <= page {
		return []nvm.Span{{Off: base + lo, Len: hi - lo}}
	}
	return []nvm.Span{{Off: base + lo, Len: page - lo}, {Off: base, Len: hi - page}}
}

// programWrapped programs unit by unit; what the request does not fill stays
// erased.
func (c *chip) programWrapped(p []byte, off int64) error {
	page, unit := c.geo.PageSize, c.geo.ProgramSize
	if page == 0 {
		page = c.geo.Size
	}
	start := wrap(off, c.geo.Size)
	units := map[int64][]byte{}
	for i := range p {
		at := start - start%page + (start%page+int64(i))%page
		u := at - at%unit
		if units[u] == nil {
			units[u] = make([]byte, unit)
			for k := range units[u] {
				units[u][k] = c.geo.Erased
			}
		}
		units[u][at-u] = p[i]
	}
	for at, u := range units {
		if _, err := c.raw.WriteAt(u, at); err != nil {
			return err
		}
	}
	return nil
}

// Erase erases as the part would: whole blocks, at least one.
func (c *chip) Erase(off, n int64) error {
	if n == 0 && off >= 0 && off == c.geo.Size {
		return nil
	}
	foot := nvm.Span{Off: off, Len: n}
	if n <= 0 || c.geo.CheckErase(off, n) != nil {
		foot.Off = wrap(off, c.geo.Size)
		foot.Len = min(max(n, 1), c.geo.Size)
	}
	feet := []nvm.Span{c.geo.Outward(nvm.Span{Off: foot.Off, Len: min(foot.Len, c.geo.Size-foot.Off)})}
	if over := foot.Off + foot.Len - c.geo.Size; over > 0 {
		feet = append(feet, c.geo.Outward(nvm.Span{Len: over}))
	}
	return c.change(nvm.Erase, feet, func() error {
		for _, f := range feet {
			if err := c.raw.Erase(f.Off, f.Len); err != nil {
				return err
			}
		}
		return nil
	})
}

// MarkBad destroys a block for ever: it is judged as an erase, and takes a grant.
func (c *chip) MarkBad(off int64) error {
	block := c.geo.Block(wrap(off, c.geo.Size))
	c.judgeForever(block)
	return c.change(nvm.Erase, []nvm.Span{block}, func() error {
		b, ok := c.raw.(nvm.BadBlocker)
		if !ok {
			return errors.ErrUnsupported
		}
		c.mu.Lock()
		c.marked = true
		c.mu.Unlock()
		return b.MarkBad(off)
	})
}

// change judges the footprint, then does it.
func (c *chip) change(op nvm.Op, feet []nvm.Span, do func() error) error {
	c.mu.Lock()
	for _, f := range feet {
		for b := f.Off; b < f.End(); b = c.geo.Block(b).End() {
			c.touched[c.geo.Block(b).Off] = true
		}
	}
	c.changes++
	c.running++
	fine := c.judge(op, feet)
	hook := c.onChange
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.running--
		if fine {
			for _, f := range feet {
				_, _ = c.raw.ReadAt(c.want[f.Off:f.End()], f.Off)
			}
		}
		c.mu.Unlock()
	}()
	if hook != nil {
		if err := hook(op); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.after
}

// now is what is on the memory; zeros where it cannot be read.
func (c *chip) now(s nvm.Span) []byte {
	p := make([]byte, s.Len)
	_, _ = c.raw.ReadAt(p, s.Off)
	return p
}

func (c *chip) digest(s nvm.Span) Digest { return sha256.Sum256(c.now(s)) }

// fail records a breach; the first one counts. Caller holds mu.
func (c *chip) fail(b Breach) {
	if c.breach == nil {
		c.breach = &b
	}
}

func sum(p []byte) Digest { return sha256.Sum256(p) }
