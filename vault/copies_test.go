package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

// copyParts have two blocks for each copy, but for the one with three.
func copyParts() []part {
	nand := flash(nvm.OncePage, 12, 256, 64, 64, 0xFF)
	nand.InOrder, nand.NOP, nand.Geometry.BadBlocks = true, 1, true
	nand.ECC = sim.ECC{Unit: 64, Correct: 1}
	ecc := flash(nvm.OncePage, 8, 128, 8, 0, 0xFF)
	ecc.ECC = sim.ECC{Unit: 8, Correct: 1}
	file := flash(nvm.Rewrite, 8, 128, 32, 0, 0x00)
	file.Cached = true
	return []part{
		{"nor", flash(nvm.ClearBits, 8, 128, 1, 64, 0xFF)}, {"nor-00", flash(nvm.ClearBits, 9, 128, 1, 0, 0x00)},
		{"once", flash(nvm.OncePage, 8, 128, 8, 0, 0xFF)}, {"ecc", ecc}, {"nand", nand}, {"file", file},
	}
}

func document(n int, seed byte) ([]byte, [32]byte) {
	p := make([]byte, n)
	for i := range p {
		p[i] = seed ^ byte(i*7)
	}
	return p, sha256.Sum256(p)
}

func newCopies(t testing.TB, f nvm.NVM) *Copies {
	t.Helper()
	c, err := NewCopies(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCopies(t *testing.T) {
	for _, p := range copyParts() {
		f := p.new(t)
		c := newCopies(t, f)
		for _, n := range []int{0, 1, 20, 84, 85, c.Cap() - 1, c.Cap()} {
			for set := range copySets {
				doc, digest := document(n, byte(set+1))
				if err := c.Put(ctx, set, doc); err != nil {
					t.Fatalf("%s: %d bytes: %v", p.name, n, err)
				}
				got, err := newCopies(t, f).Get(ctx, set, digest)
				if err != nil || !bytes.Equal(got, doc) {
					t.Errorf("%s: %d bytes: %v", p.name, n, err)
				}
				if _, err := c.Get(ctx, 1-set, digest); n > 0 && !errors.Is(err, ErrLost) {
					t.Errorf("%s: %d bytes in the other set: %v", p.name, n, err)
				}
			}
			seen := 0
			for d, err := range c.All(ctx) {
				doc, digest := document(n, byte(d.Set+1))
				if err != nil || d.Digest != digest || !bytes.Equal(d.Bytes, doc) || d.Set*2+d.Copy != seen {
					t.Errorf("%s: %d bytes: %+v, %v", p.name, n, d, err)
				}
				seen++
			}
			if seen != 4 {
				t.Errorf("%s: %d bytes: %d copies", p.name, n, seen)
			}
		}
		ops := f.Ops()
		if err := c.Put(ctx, 0, make([]byte, c.Cap()+1)); !errors.Is(err, ErrFull) || f.Ops() != ops {
			t.Errorf("%s: too long: %v", p.name, err)
		}
		if err := c.Clear(ctx, 0); err != nil {
			t.Error(err)
		}
		for d := range c.All(ctx) {
			if d.Set == 0 {
				t.Errorf("%s: cleared", p.name)
			}
		}
	}
}

func TestCopiesLayout(t *testing.T) {
	three := part{config: flash(nvm.ClearBits, 3, 128, 1, 0, 0xFF)}.new(t)
	tiny := part{config: flash(nvm.ClearBits, 4, 32, 1, 0, 0xFF)}.new(t)
	for name, mem := range map[string]nvm.NVM{"none": nil, "three": three, "tiny": tiny, "window": &nvm.Window{}} {
		if _, err := NewCopies(mem); !errors.Is(err, ErrLayout) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := newCopies(t, copyParts()[0].new(t))
	for _, set := range []int{-1, 2} {
		_, err := c.Get(ctx, set, [32]byte{})
		for _, err := range []error{err, c.Put(ctx, set, nil), c.Clear(ctx, set), c.Repair(ctx, set, [32]byte{})} {
			if !errors.Is(err, ErrLayout) {
				t.Errorf("set %d: %v", set, err)
			}
		}
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := c.Get(done, 0, [32]byte{})
	for _, err := range []error{err, c.Put(done, 0, nil), c.Clear(done, 0), c.Repair(done, 0, [32]byte{})} {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for _, err := range c.All(done) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// TestCopiesCuts: while one set is written, or a copy of the named set repaired,
// the document that the journal names is always there; and what Put returned from
// stays.
func TestCopiesCuts(t *testing.T) {
	old, oldSum := document(90, 1)
	fresh, freshSum := document(100, 2)
	for _, p := range copyParts() {
		k := &cutter{tier: sim.T4, nested: sim.T4}
		if k.every, k.loose, k.thin = 307, 401, 5; long {
			k.every, k.loose, k.thin = 1, 1, 1
		} else if raceEnabled {
			k.every, k.loose, k.thin = 4001, 1009, 211
		}
		f := p.new(t)
		if err := newCopies(t, f).Put(ctx, 0, old); err != nil {
			t.Fatal(err)
		}
		var j judge
		j = func(id string, f *sim.Flash, depth int) {
			c := newCopies(t, f)
			if doc, err := c.Get(ctx, 0, oldSum); err != nil || !bytes.Equal(doc, old) {
				k.fault(id, "the named set: %v", err)
			}
			if depth > 0 {
				k.watch(f, id+"/", depth, none, j)
			}
			err := c.Put(ctx, 1, fresh)
			f.SetHook(nil)
			if err != nil {
				k.fault(id, "put behind the cut: %v", err)
			}
			k.present(id, f, 1, fresh, freshSum)
		}
		k.watch(f, "", 2, none, j)
		if err := newCopies(t, f).Put(ctx, 1, fresh); err != nil {
			t.Fatal(err)
		}
		f.SetHook(nil)
		k.present("done", f.CutUnsynced(nil), 1, fresh, freshSum)
		k.report(t, p.name+" put")
	}
}

func none() uint64 { return 0 }

// present: both copies of a set are intact in every world.
func (c *cutter) present(id string, f *sim.Flash, set int, doc []byte, digest [32]byte) {
	for _, w := range sim.Worlds() {
		g := f.Clone()
		g.Reboot()
		g.SetWorld(w)
		copies, err := NewCopies(g)
		if err != nil {
			c.fault(id, "%v", err)
			return
		}
		for n := range copiesPerSet {
			if got, err := copies.read(set*copiesPerSet+n, &digest); err != nil || !bytes.Equal(got, doc) {
				c.fault(id+"|"+w.String(), "copy %d of set %d: %v", n, set, err)
			}
		}
	}
}

func TestCopiesRepairCuts(t *testing.T) {
	doc, digest := document(90, 1)
	for _, p := range copyParts() {
		for copy := range int64(copiesPerSet) {
			k := &cutter{tier: sim.T4, nested: sim.T4, every: 1009, loose: 401, thin: 3}
			f := p.new(t)
			c := newCopies(t, f)
			if err := c.Put(ctx, 0, doc); err != nil {
				t.Fatal(err)
			}
			ops := f.Ops()
			if err := c.Repair(ctx, 0, digest); err != nil || f.Ops() != ops {
				t.Errorf("%s: nothing to repair: %v", p.name, err)
			}
			at := c.groups[copy][0].Off + 70
			if err := f.Poke([]byte{^doc[70-copyHeader], 0x55, 0xAA, 0x55}, at); err != nil {
				t.Fatal(err)
			}
			other := make([]byte, c.groups[1-copy][0].Len)
			if err := f.Peek(other, c.groups[1-copy][0].Off); err != nil {
				t.Fatal(err)
			}
			var j judge
			j = func(id string, f *sim.Flash, depth int) {
				if depth > 0 {
					k.watch(f, id+"/", depth, none, j)
				}
				c := newCopies(t, f)
				if got, err := c.Get(ctx, 0, digest); err != nil || !bytes.Equal(got, doc) {
					k.fault(id, "lost: %v", err)
				}
				err := c.Repair(ctx, 0, digest)
				f.SetHook(nil)
				back := make([]byte, len(other))
				if perr := f.Peek(back, c.groups[1-copy][0].Off); err != nil || perr != nil || !bytes.Equal(back, other) {
					k.fault(id, "repair: %v, %v, or the good copy was touched", err, perr)
				}
			}
			k.watch(f, "", 2, none, j)
			if err := newCopies(t, f).Repair(ctx, 0, digest); err != nil {
				t.Fatal(err)
			}
			f.SetHook(nil)
			k.present("done", f.CutUnsynced(nil), 0, doc, digest)
			k.report(t, fmt.Sprintf("%s repair copy %d", p.name, copy))
		}
	}
}

// TestCopiesDamage: one copy may be damaged anywhere, in any way.
func TestCopiesDamage(t *testing.T) {
	doc, digest := document(30, 1)
	for _, p := range copyParts() {
		f := p.new(t)
		c := newCopies(t, f)
		if err := c.Put(ctx, 1, doc); err != nil {
			t.Fatal(err)
		}
		for off := int64(0); off < copyHeader+30; off++ {
			for group := 2; group < 4; group++ {
				g := f.Clone()
				for bit := range uint(3) { // more than ECC corrects
					if err := g.FlipBit(c.groups[group][0].Off+off, bit); err != nil {
						t.Fatal(err)
					}
				}
				d := newCopies(t, g)
				if got, err := d.Get(ctx, 1, digest); err != nil || !bytes.Equal(got, doc) {
					t.Errorf("%s: byte %d of group %d: %v", p.name, off, group, err)
				}
				for x, err := range d.All(ctx) {
					if err != nil || x.Set != 1 || x.Copy == group-2 {
						t.Errorf("%s: byte %d of group %d: found %d, %v", p.name, off, group, x.Copy, err)
					}
				}
			}
		}
		for group := 2; group < 4; group++ {
			if err := f.Erase(c.groups[group][0].Off, c.groups[group][0].Len); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Repair(ctx, 1, digest); !errors.Is(err, ErrLost) {
			t.Errorf("%s: nothing left: %v", p.name, err)
		}
	}
}

// TestCopiesBadBlocks: a copy goes round bad blocks, and round those that fail
// under it, as far as there is room.
func TestCopiesBadBlocks(t *testing.T) {
	p := copyParts()[4]
	doc, digest := document(300, 1)
	f := p.new(t)
	c := newCopies(t, f)
	if err := f.MarkBad(c.groups[0][0].Off); err != nil {
		t.Fatal(err)
	}
	victim := nvmtest.OnSpan(c.groups[1][1], nvmtest.OnOp(nvmtest.Write, nvmtest.OnIndex(0)))
	c = newCopies(t, nvmtest.Faulty(f, victim))
	if err := c.Put(ctx, 0, doc); err != nil {
		t.Fatal(err)
	}
	if bad, err := f.IsBad(c.groups[1][1].Off); !bad || err != nil {
		t.Error("the block that failed is not marked")
	}
	k := &cutter{}
	k.present("", f, 0, doc, digest)
	if len(k.faults) > 0 {
		t.Error(k.faults)
	}
	ops := f.Ops()
	if err := c.Put(ctx, 0, make([]byte, c.Cap())); !errors.Is(err, ErrFull) || f.Ops() != ops {
		t.Errorf("longer than the good blocks: %v", err)
	}
	if err := c.Put(ctx, 1, make([]byte, c.Cap())); err != nil {
		t.Error(err)
	}
	all := newCopies(t, nvmtest.Faulty(f, nvmtest.OnSpan(c.groups[0][1], nvmtest.OnOp(nvmtest.Erase, nvmtest.Always()))))
	if err := all.Put(ctx, 0, doc); !errors.Is(err, ErrFull) {
		t.Errorf("a group that runs out of blocks: %v", err)
	}
}

// TestCopiesFaults fails each operation of a Put once: an error, or all is there.
func TestCopiesFaults(t *testing.T) {
	doc, digest := document(100, 1)
	for _, p := range copyParts() {
		for i := int64(0); ; i++ {
			f := p.new(t)
			mem := nvmtest.Faulty(f, nvmtest.OnIndex(i))
			err := newCopies(t, mem).Put(ctx, 0, doc)
			if err == nil {
				k := &cutter{}
				k.present("", f, 0, doc, digest)
				if len(k.faults) > 0 {
					t.Errorf("%s: fault at %d: %v", p.name, i, k.faults)
				}
			}
			if mem.Faults() == 0 {
				break
			}
		}
		f := p.new(t)
		if err := newCopies(t, f).Put(ctx, 0, doc); err != nil {
			t.Fatal(err)
		}
		mem := newCopies(t, nvmtest.Faulty(f, nvmtest.OnOp(nvmtest.Read, nvmtest.OnIndex(0))))
		if got, err := mem.Get(ctx, 0, digest); err != nil || !bytes.Equal(got, doc) {
			t.Errorf("%s: falls over: %v", p.name, err)
		}
		dead := newCopies(t, nvmtest.Faulty(f, nvmtest.Always()))
		for d, err := range dead.All(ctx) {
			if !errors.Is(err, nvmtest.ErrInjected) || d.Bytes != nil {
				t.Errorf("%s: %v", p.name, err)
			}
		}
		if _, err := dead.Get(ctx, 0, digest); !errors.Is(err, ErrLost) || !errors.Is(err, nvmtest.ErrInjected) {
			t.Errorf("%s: %v", p.name, err)
		}
		if err := dead.Clear(ctx, 0); !errors.Is(err, nvmtest.ErrInjected) {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}

// FuzzCopies: any window is scanned without a panic, and nothing comes out whose
// digest is not right.
func FuzzCopies(f *testing.F) {
	p := part{config: flash(nvm.ClearBits, 8, 128, 1, 64, 0xFF)}
	m := p.new(f)
	c := newCopies(f, m)
	image := make([]byte, 1024)
	for set, n := range []int{20, 200} {
		doc, _ := document(n, 3)
		if err := c.Put(ctx, set, doc); err != nil {
			f.Fatal(err)
		}
		if err := m.Peek(image, 0); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(image))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, img []byte) {
		g := p.new(t)
		if err := g.Poke(img[:min(len(img), 1024)], 0); err != nil {
			t.Fatal(err)
		}
		c, n := newCopies(t, g), 0
		for d, err := range c.All(ctx) {
			if n++; err != nil || sha256.Sum256(d.Bytes) != d.Digest || len(d.Bytes) > c.Cap() || n > 4 {
				t.Fatalf("%+v, %v", d, err)
			}
			if got, err := c.Get(ctx, d.Set, d.Digest); err != nil || !bytes.Equal(got, d.Bytes) {
				t.Fatal(err)
			}
			if err := c.Repair(ctx, d.Set, d.Digest); err != nil {
				t.Fatal(err)
			}
		}
		if s := g.Stats(); g.Ops() > 64 || s.Reads > 200 {
			t.Fatalf("%d operations, %d reads", g.Ops(), s.Reads)
		}
	})
}
