package vault

import (
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

// seed is what every draw of the enumeration depends on.
const seed = 7

// part is a memory to cut: two blocks or more, small enough to enumerate.
type part struct {
	name   string
	config sim.Config
}

func flash(class nvm.Program, blocks, size, unit, page int64, erased byte) sim.Config {
	return sim.Config{Seed: seed, Geometry: nvm.Geometry{Size: blocks * size, EraseSize: size, ProgramSize: unit,
		PageSize: page, Program: class, Erased: erased, Endurance: 1000}}
}

// parts has one of each kind.
func parts() []part {
	nor, nor0 := flash(nvm.ClearBits, 2, 512, 1, 64, 0xFF), flash(nvm.ClearBits, 3, 512, 1, 0, 0x00)
	once := flash(nvm.OncePage, 2, 512, 8, 0, 0xFF)
	ecc := flash(nvm.OncePage, 2, 512, 8, 0, 0xFF)
	ecc.ECC = sim.ECC{Unit: 8, Correct: 1}
	file := flash(nvm.Rewrite, 2, 512, 32, 0, 0x00)
	file.Cached = true
	refuse := flash(nvm.ClearBits, 2, 512, 1, 64, 0xFF)
	refuse.Faults.Over = sim.OverRefuse
	return []part{{"nor", nor}, {"nor-00", nor0}, {"nor-refuse", refuse}, {"once", once}, {"ecc", ecc},
		{"nand", nand(4, 0xFF)}, {"file", file}}
}

func nand(blocks int64, erased byte) sim.Config {
	c := flash(nvm.OncePage, blocks, 1024, 64, 64, erased)
	c.InOrder, c.NOP, c.Geometry.BadBlocks = true, 1, true
	c.ECC = sim.ECC{Unit: 64, Correct: 1}
	return c
}

// moreParts vary the number of blocks, the slots, the erased value, and what a
// part does to a program that meets loose bits.
func moreParts() []part {
	var all []part
	for _, n := range []int64{3, 4, 8} {
		all = append(all, part{fmt.Sprintf("nor%d", n), flash(nvm.ClearBits, n, 512, 1, 64, 0xFF)})
	}
	for _, n := range []int64{2, 3, 8} {
		all = append(all, part{fmt.Sprintf("nand%d", n), nand(n, 0xFF)})
	}
	weak := flash(nvm.ClearBits, 2, 512, 1, 64, 0xFF)
	weak.Faults.WeakPPM = 50_000
	poison := flash(nvm.ClearBits, 2, 512, 8, 64, 0xFF)
	poison.ECC, poison.Faults.Over = sim.ECC{Unit: 8, Correct: 1}, sim.OverPoison
	ecc3 := flash(nvm.OncePage, 3, 512, 8, 0, 0x00)
	ecc3.ECC = sim.ECC{Unit: 8, Correct: 1}
	file4 := flash(nvm.Rewrite, 4, 1024, 64, 0, 0xFF)
	file4.Cached = true
	return append(all, part{"nor-weak", weak}, part{"nor-poison", poison}, part{"ecc-00", ecc3}, part{"file4", file4},
		part{"nand-00", nand(2, 0x00)},
		part{"slot16", flash(nvm.ClearBits, 2, 512, 1, 16, 0xFF)},
		part{"slot64", flash(nvm.ClearBits, 2, 1024, 64, 64, 0x00)},
		part{"slot256", flash(nvm.OncePage, 2, 4096, 256, 256, 0xFF)},
		part{"wide", flash(nvm.ClearBits, 2, 1024, 1, 256, 0xFF)})
}

// new makes the part. Unless a test is about it, F8 is left out: it damages what was
// settled elsewhere, and a journal of one copy does not promise to survive that.
func (p part) new(t testing.TB) *sim.Flash {
	t.Helper()
	f, err := p.make(sim.TornCollateral)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (p part) make(without sim.Torn) (*sim.Flash, error) {
	p.config.Faults.Without |= without
	return sim.New(p.config)
}
