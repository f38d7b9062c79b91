package sim

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// oracle is the contract of a memory, bit by bit and as plainly as it can be
// written: it shares no code with the simulator.
type oracle struct {
	g    nvm.Geometry
	data []byte
	used []bool // OncePage, per byte
	top  map[int64]int64
	ord  bool
}

func newOracle(f *Flash) *oracle {
	g := f.Geometry()
	return &oracle{g, bytes.Repeat([]byte{g.Erased}, int(g.Size)), make([]bool, g.Size), map[int64]int64{}, f.part.InOrder}
}

func (o *oracle) program(p []byte, off int64) error {
	n := int64(len(p))
	switch {
	case off < 0 || off > o.g.Size || off+n > o.g.Size:
		return nvm.ErrRange
	case n == 0:
		return nil
	case off%o.g.ProgramSize != 0 || n%o.g.ProgramSize != 0:
		return nvm.ErrAlign
	case o.g.PageSize > 0 && off/o.g.PageSize != (off+n-1)/o.g.PageSize:
		return nvm.ErrAlign
	}
	block := o.g.Block(off).Off
	if o.g.Program == nvm.OncePage {
		for i := off; i < off+n; i++ {
			if o.used[i] {
				return nvm.ErrProgrammed
			}
		}
		if o.ord && off/o.g.PageSize < (o.top[block]-1)/o.g.PageSize {
			return nvm.ErrProgrammed
		}
		o.top[block] = max(off+1, o.top[block])
	}
	for i, b := range p {
		for bit := byte(1); bit != 0; bit <<= 1 {
			o.programBit(off+int64(i), bit, b&bit != 0)
		}
		o.used[off+int64(i)] = true
	}
	return nil
}

func (o *oracle) programBit(at int64, bit byte, one bool) {
	if o.g.Program != nvm.Rewrite && one == (o.g.Erased&bit != 0) {
		return
	}
	if o.data[at] |= bit; !one {
		o.data[at] &^= bit
	}
}

func (o *oracle) erase(off, n int64) error {
	if off < 0 || n < 0 || off > o.g.Size || off+n > o.g.Size {
		return nvm.ErrRange
	}
	if n == 0 {
		return nil
	}
	if o.g.Block(off).Off != off || off+n < o.g.Size && o.g.Block(off+n).Off != off+n {
		return nvm.ErrAlign
	}
	for i := off; i < off+n; i++ {
		o.data[i], o.used[i] = o.g.Erased, false
		o.top[o.g.Block(i).Off] = 0
	}
	return nil
}

// step does one operation to both and compares what they say and hold.
func (o *oracle) step(t testing.TB, f *Flash, op int, off, n int64, fill byte) {
	t.Helper()
	var want, got error
	switch op {
	case 0:
		p := seq(int(n), fill)
		want = o.program(p, off)
		_, got = f.WriteAt(p, off)
	case 1:
		want, got = o.erase(off, n), f.Erase(off, n)
	case 2:
		got = f.Sync()
	}
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Fatalf("operation %d at %d+%d: %v, not %v", op, off, n, got, want)
	}
}

func (o *oracle) compare(t testing.TB, f *Flash) {
	t.Helper()
	if got := read(t, f, 0, o.g.Size); !bytes.Equal(got, o.data) {
		t.Fatalf("content %x, not %x", got, o.data)
	}
}

// Random operations, most of them plausible, on the simulator and the oracle.
func TestOracle(t *testing.T) {
	edits := map[string]func(*Config){
		"":      nil,
		"/zero": func(c *Config) { c.Geometry.Erased ^= 0xFF },
		"/wide": func(c *Config) { // across chunks
			c.Geometry.Size, c.Geometry.EraseSize = 8192, 1024
			c.Geometry.Blocks = nil
			if c.Geometry.PageSize > 0 {
				c.Geometry.PageSize = 64
			}
		},
	}
	for _, name := range tornParts {
		for kind, edit := range edits {
			t.Run(name+kind, func(t *testing.T) {
				f := open(t, name, edit)
				o, r := newOracle(f), rand.New(rand.NewPCG(1, 2))
				for i := range 400 {
					op, off, n := plausible(r, o.g)
					o.step(t, f, op, off, n, byte(i))
					if i%50 == 0 {
						f = f.Clone()
					}
				}
				o.compare(t, f)
			})
		}
	}
}

func plausible(r *rand.Rand, g nvm.Geometry) (op int, off, n int64) {
	off = r.Int64N(g.Size + 1)
	switch r.IntN(8) {
	case 0:
		b := g.Block(min(off, g.Size-1))
		return 1, b.Off, b.Len
	case 1:
		return 1, off, r.Int64N(64)
	case 2:
		return 2, 0, 0
	case 3:
		return 0, off, r.Int64N(64)
	}
	off -= off % g.ProgramSize
	n = g.ProgramSize * (1 + r.Int64N(3))
	if g.PageSize > 0 {
		n = min(n, g.PageSize-off%g.PageSize)
	}
	return 0, off, n
}

// FuzzOracle reads a script of operations from the input: five bytes each.
func FuzzOracle(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 1, 0, 0, 0, 8, 2, 1, 0, 0, 64, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		name := tornParts[int(script[0])%len(tornParts)]
		m := open(t, name, nil)
		o := newOracle(m)
		for script = script[1:]; len(script) >= 5; script = script[5:] {
			off, n := int64(script[1])<<8>>4|int64(script[2]), int64(int8(script[3]))
			if script[0]%3 == 0 {
				n = max(n, 0)
			}
			o.step(t, m, int(script[0]%3), off-16, n, script[4])
		}
		o.compare(t, m)
	})
}

// FuzzReplay: no id makes it panic, and an id that is accepted is one that the
// operation lists.
func FuzzReplay(f *testing.F) {
	f.Add("4.w.prefix.3")
	program, erased := stage(f, "TINY-CACHE", nil)
	known := map[string]bool{}
	for _, o := range []*Operation{program, erased} {
		for s := range o.Torn(Full) {
			known[s.ID] = true
		}
	}
	f.Fuzz(func(t *testing.T, id string) {
		for _, o := range []*Operation{program, erased} {
			if got, err := o.Replay(id); err == nil && (!known[id] || got == nil) {
				t.Errorf("%q is accepted but not listed", id)
			} else if err != nil && (known[id] && id[:2] == o.String()[:2] || !errors.Is(err, ErrReplay)) {
				t.Errorf("%q: %v", id, err)
			}
		}
	})
}

func TestTree(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const size = 5000
	type pair struct {
		t tree[int]
		m map[int64]int
	}
	all := []pair{{newTree[int](size), map[int64]int{}}}
	for range 3000 {
		p, i := &all[r.IntN(len(all))], r.Int64N(size)
		switch r.IntN(10) {
		case 0:
			if len(all) < 20 {
				c := pair{p.t.clone(new(owner), new(owner)), map[int64]int{}}
				for k, v := range p.m {
					c.m[k] = v
				}
				all = append(all, c)
			}
		case 1:
			p.t.drop(i)
			delete(p.m, i)
		default:
			v := r.IntN(100) + 1
			*p.t.mut(i), p.m[i] = v, v
		}
	}
	for k := range all {
		last, n := int64(-1), 0
		all[k].t.each(func(i int64, v *int) {
			if i <= last || all[k].m[i] != *v || all[k].t.get(i) != v {
				t.Fatalf("tree %d at %d: %d, not %d", k, i, *v, all[k].m[i])
			}
			last, n = i, n+1
		})
		if n != len(all[k].m) {
			t.Errorf("tree %d has %d values, not %d", k, n, len(all[k].m))
		}
	}
	if tiny := newTree[int](1); tiny.get(0) != nil || *tiny.mut(0) != 0 {
		t.Error("a tree of one")
	}
}
