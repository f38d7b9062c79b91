package sim

import (
	"slices"
	"time"

	"github.com/nanolock/nanolock/nvm"
)

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	us  = time.Microsecond
	ms  = time.Millisecond
)

// byteAt133 is a byte over four lines at 133 MHz, rounded up; readNOR the eight
// command, address and dummy clocks of each read.
const (
	byteAt133 = 16 * time.Nanosecond
	readNOR   = 200 * time.Nanosecond
)

// presets is one row per part. Sources: W = Winbond W25Q maxima (JESD216 dumps
// and Linux spi-nor figures), M = Macronix MX66L1G45G SFDP of the same
// generation, T = Micron MT25Q data brief, S = Spansion S25FL/FS maxima from the
// VHDL models, A = AMD Am29LV320D family, I = TI MSPM0C1104 (SLASF90B), N =
// Samsung SLC NAND FAQ and common SLC data sheets. Where a source gives only the
// maximum, the typical time is a third of it. Endurance is what the maker
// promises per block.
var presets = []Config{
	// W: page 0.7/3 ms, 4 K 45/400 ms, 100 k erases.
	spiNOR("W25Q128JV", 16*mib, 4*kib, 256, Range{700 * us, 3 * ms}, Range{45 * ms, 400 * ms}),
	// W: the 32 MiB part of the family, same times.
	spiNOR("W25Q256JV", 32*mib, 4*kib, 256, Range{700 * us, 3 * ms}, Range{45 * ms, 400 * ms}),
	// M: page 256 µs typ, 4 K 30/420 ms; the page's maximum is the class's 3 ms.
	spiNOR("MX25L25645G", 32*mib, 4*kib, 256, Range{256 * us, 3 * ms}, Range{30 * ms, 420 * ms}),
	// T: 2 MB/s = 128 µs a page, max 1.8 ms; 4 K 50/400 ms; 100 k erases, 20 years.
	spiNOR("MT25QL256", 32*mib, 4*kib, 256, Range{128 * us, 1800 * us}, Range{50 * ms, 400 * ms}),
	// S: page max 750 µs, 4 K and 64 K max 650 ms, 100 k; 32 parameter sectors of
	// 4 K at the bottom, the rest 64 K.
	withAreas(spiNOR("S25FL256S-64K", 32*mib, 4*kib, 256, Range{250 * us, 750 * us}, Range{217 * ms, 650 * ms}),
		EraseTime{64 * kib, Range{217 * ms, 650 * ms}},
		nvm.EraseArea{Len: 128 * kib, EraseSize: 4 * kib},
		nvm.EraseArea{Len: 32*mib - 128*kib, EraseSize: 64 * kib}),
	// S: the variant of 512-byte pages and 256 K sectors, max 1875 ms.
	spiNOR("S25FL256S-256K", 32*mib, 256*kib, 512, Range{250 * us, 750 * us}, Range{625 * ms, 1875 * ms}),
	// S: 8 × 4 K and 224 K in front of 255 × 256 K; 4 K parts as on the S25FL.
	withAreas(spiNOR("S25FS512S", 64*mib, 4*kib, 512, Range{250 * us, 750 * us}, Range{217 * ms, 650 * ms}),
		EraseTime{224 * kib, Range{625 * ms, 1875 * ms}},
		nvm.EraseArea{Len: 32 * kib, EraseSize: 4 * kib},
		nvm.EraseArea{Len: 224 * kib, EraseSize: 224 * kib},
		nvm.EraseArea{Len: 64*mib - 256*kib, EraseSize: 256 * kib}),
	// A: 8 × 8 K boot sectors at one end, 63 × 64 K; words of 2 bytes 11/360 µs;
	// sector 0.7/15 s; 1 M erases.
	bootSector("AM29LV320DB",
		nvm.EraseArea{Len: 64 * kib, EraseSize: 8 * kib}, nvm.EraseArea{Len: 63 * 64 * kib, EraseSize: 64 * kib}),
	bootSector("AM29LV320DT",
		nvm.EraseArea{Len: 63 * 64 * kib, EraseSize: 64 * kib}, nvm.EraseArea{Len: 64 * kib, EraseSize: 8 * kib}),
	// I: 16 KiB, 1 K sectors, 8-byte words under ECC, 40 µs; erase 20/200 ms; 10 k
	// is the low end of the class. SECDED corrects one bit in a word.
	{
		Name: "MSPM0C1104",
		Geometry: nvm.Geometry{Size: 16 * kib, EraseSize: kib, ProgramSize: 8, Program: nvm.OncePage,
			Erased: 0xFF, Endurance: 10_000},
		Timing: Timing{Program: Range{40 * us, 40 * us}, Erase: erases(kib, Range{20 * ms, 200 * ms}), ReadByte: 10},
		ECC:    ECC{Unit: 8, Correct: 1},
	},
	// N: 1 Gbit, page 2 K 0.25/0.7 ms, block 128 K 2/10 ms, 100 k, 4 bits per 512
	// bytes, pages in order; a page at once.
	nand("NAND-SLC-1G", 2*kib, 0),
	// N: the same part driven in sub-pages of 512, four programs a page (NOP 4).
	nand("NAND-SLC-1G-SUBPAGE", 512, 4),
	// A disk behind a volatile cache: sectors of 512, lost until synced (F18).
	{
		Name:     "BLOCKDEV",
		Geometry: nvm.Geometry{Size: 64 * mib, EraseSize: 4 * kib, ProgramSize: 512, Program: nvm.Rewrite},
		Cached:   true,
	},
	// RAM or a file: any byte at any time.
	{
		Name:     "RAM",
		Geometry: nvm.Geometry{Size: 16 * mib, EraseSize: 4 * kib, ProgramSize: 1, Program: nvm.Rewrite},
	},
	// Small enough to enumerate everything.
	tiny("TINY-NOR", nvm.ClearBits, 1, 16, 0xFF),
	tiny("TINY-NOR-00", nvm.ClearBits, 1, 16, 0x00),
	tiny("TINY-ONCE", nvm.OncePage, 8, 0, 0xFF),
	tinyECC(tiny("TINY-ECC", nvm.OncePage, 8, 0, 0xFF)),
	tinyNAND(tiny("TINY-NAND", nvm.OncePage, 16, 16, 0xFF)),
	tinyHybrid(tiny("TINY-HYBRID", nvm.ClearBits, 1, 16, 0xFF)),
	tinyCache(tiny("TINY-CACHE", nvm.Rewrite, 16, 0, 0x00)),
}

// Preset returns the Config of a real part by name, to be changed and given to
// New.
func Preset(name string) (Config, bool) {
	for _, c := range presets {
		if c.Name == name {
			c.Geometry.Blocks = slices.Clone(c.Geometry.Blocks)
			c.Timing.Erase = slices.Clone(c.Timing.Erase)
			return c, true
		}
	}
	return Config{}, false
}

// Presets lists the names that Preset knows.
func Presets() (names []string) {
	for _, c := range presets {
		names = append(names, c.Name)
	}
	return names
}

func erases(size int64, r Range) []EraseTime { return []EraseTime{{size, r}} }

// spiNOR is a serial NOR of 100 000 erases with blocks of one size.
func spiNOR(name string, size, erase, page int64, program, block Range) Config {
	return Config{
		Name: name,
		Geometry: nvm.Geometry{Size: size, EraseSize: erase, ProgramSize: 1, PageSize: page,
			Program: nvm.ClearBits, Erased: 0xFF, Endurance: 100_000},
		Timing: Timing{Program: program, Erase: erases(erase, block), Read: readNOR, ReadByte: byteAt133},
	}
}

func withAreas(c Config, large EraseTime, areas ...nvm.EraseArea) Config {
	c.Geometry.Blocks = areas
	c.Timing.Erase = append(c.Timing.Erase, large)
	return c
}

// bootSector is a parallel NOR of 4 MiB with small sectors at one end.
func bootSector(name string, areas ...nvm.EraseArea) Config {
	return Config{
		Name: name,
		Geometry: nvm.Geometry{Size: 4 * mib, EraseSize: 8 * kib, Blocks: areas, ProgramSize: 2,
			Program: nvm.ClearBits, Erased: 0xFF, Endurance: 1_000_000},
		Timing: Timing{Program: Range{11 * us, 360 * us}, Erase: erases(8*kib, Range{700 * ms, 15_000 * ms}), ReadByte: 45},
	}
}

func nand(name string, unit int64, nop int) Config {
	return Config{
		Name: name,
		Geometry: nvm.Geometry{Size: 128 * mib, EraseSize: 128 * kib, ProgramSize: unit, PageSize: 2 * kib,
			Program: nvm.OncePage, Erased: 0xFF, Endurance: 100_000, BadBlocks: true},
		Timing: Timing{Program: Range{250 * us, 700 * us}, Erase: erases(128*kib, Range{2 * ms, 10 * ms}),
			Read: 25 * us, ReadByte: 25},
		ECC: ECC{Unit: 512, Correct: 4}, InOrder: true, NOP: nop, BadPPM: MaxBadPPM,
	}
}

// tiny has four blocks of 64 bytes.
func tiny(name string, class nvm.Program, unit, page int64, erased byte) Config {
	return Config{
		Name: name,
		Geometry: nvm.Geometry{Size: 256, EraseSize: 64, ProgramSize: unit, PageSize: page,
			Program: class, Erased: erased, Endurance: 10},
		Timing: Timing{Program: Range{ms, 3 * ms}, Erase: erases(64, Range{30 * ms, 400 * ms}), ReadByte: us},
	}
}

func tinyECC(c Config) Config {
	c.ECC = ECC{Unit: 8, Correct: 1}
	return c
}

func tinyNAND(c Config) Config {
	c.Geometry.BadBlocks, c.InOrder = true, true
	return c
}

// tinyHybrid has 4 × 16, 1 × 64 and 1 × 128 bytes.
func tinyHybrid(c Config) Config {
	c.Geometry.EraseSize = 16
	c.Geometry.Blocks = []nvm.EraseArea{{Len: 64, EraseSize: 16}, {Len: 64, EraseSize: 64}, {Len: 128, EraseSize: 128}}
	c.Timing.Erase = []EraseTime{{16, Range{30 * ms, 400 * ms}}, {64, Range{100 * ms, 1000 * ms}}}
	return c
}

func tinyCache(c Config) Config {
	c.Cached = true
	return c
}
