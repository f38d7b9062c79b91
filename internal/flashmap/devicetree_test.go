package flashmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestDeviceTree(t *testing.T) {
	maps, err := DeviceTree(append(router(), "padding"...))
	if err != nil || len(maps) != 2 {
		t.Fatal(maps, err)
	}
	same(t, "nor", maps[0], `
		u-boot 0x0+0x30000 ro lock
		u-boot-env 0x30000+0x10000 u-boot,env
		factory 0x40000+0x10000 ro nvmem-cells
		firmware 0x50000+0xfb0000 fixed-partitions
		  kernel 0x50000+0x200000
		  rootfs 0x250000+0xdb0000
	`)
	same(t, "nand", maps[1], `
		Bootloader 0x0+0x80000 ro
		ubi 0x80000+0x0 slc-mode
	`)
	if m := maps[0]; m.Device != "/spi@1e000b00/flash@0" || !slices.Equal(m.Compatible, []string{"winbond,w25q128", "jedec,spi-nor"}) ||
		m.Source != "devicetree" || m.Size != 0 || m.Notes != nil {
		t.Errorf("%+v", m)
	}
	if p := maps[0].Parts[3].Children[0]; p.Path != "/spi@1e000b00/flash@0/partitions/partition@50000/partition@0" || p.Index != 4 {
		t.Errorf("%+v", p)
	}
}

// parts describes a flash with a table in which labels are missing or cells
// inherited, and a memory-mapped one.
func TestDeviceTreeForms(t *testing.T) {
	cfi := func(reg dprop, more ...dnode) dnode {
		return dnode{name: "nor@0", props: one(text("compatible", "cfi-flash"), reg), kids: more}
	}
	table := func(kids ...dnode) dnode { return dnode{name: "partitions", props: fixed(), kids: kids} }
	for _, v := range []struct {
		name, device, want, note string
		size                     int64
		tree                     dnode
	}{
		{"two banks", "/nor@0", "a 0x0+0x1800000\nb 0x1800000+0x800000\n", "", 0x2000000,
			cfi(cells("reg", 0, 0x1000000, 0x4000000, 0x1000000), table(part("p@0", "a", 0, 0x1800000), part("p@1", "b", 0x1800000, 0)))},
		{"a window", "/nor@0", "a 0x0+0x2000\n", "partitions reach beyond the 0x1000 bytes of the device's reg", 0,
			cfi(cells("reg", 0, 0x1000), table(part("p@0", "a", 0, 0x2000)))},
		{"a broken reg", "/nor@0", "a 0x0+0x2000\n", "", 0, cfi(cells("reg", 0), table(part("p@0", "a", 0, 0x2000)))},
		{"64-bit", "/f", "a 0x100000000+0x200000000\n", "", 0, dnode{name: "f", kids: []dnode{{name: "partitions",
			props: []dprop{text("compatible", "fixed-partitions"), cells("#address-cells", 2), cells("#size-cells", 2)},
			kids:  []dnode{{name: "p", props: []dprop{text("label", "a"), cells("reg", 1, 0, 2, 0)}}}}}}},
		{"no label", "/f", "p@1000 0x1000+0x1000\n", "/f/partitions/p@1000 has no label: named after its node", 0,
			dnode{name: "f", kids: []dnode{table(dnode{name: "p@1000", props: []dprop{cells("reg", 0x1000, 0x1000)}})}}},
		{"inherited cells", "/f", "a 0x0+0x1000\n", "/f/partitions lacks #address-cells or #size-cells: taken from the nodes above", 0,
			dnode{name: "f", kids: []dnode{{name: "partitions", props: []dprop{text("compatible", "fixed-partitions")}, kids: []dnode{part("p", "a", 0, 0x1000)}}}}},
		{"a table inside a partition", "/f", "all 0x1000+0x4000\n  in 0x2000+0x1000\n", "", 0,
			dnode{name: "f", kids: []dnode{table(dnode{name: "p", props: []dprop{cells("reg", 0x1000, 0x4000), text("label", "all")},
				kids: []dnode{{name: "x"}, table(part("q", "in", 0x1000, 0x1000))}})}}},
		{"one over others", "/f", "fw 0x0+0x4000\n  kernel 0x0+0x1000\n", `"kernel" lies inside "fw" and was taken as a part of it`, 0,
			dnode{name: "f", kids: []dnode{table(part("a", "kernel", 0, 0x1000), part("b", "fw", 0, 0x4000))}}},
		{"a flash that is its own table", "/flash@0", "a 0x0+0x1000 \n", "", 0,
			dnode{name: "flash@0", props: one(text("compatible", "jedec,spi-nor", "fixed-partitions")), kids: []dnode{part("p", "a", 0, 0x1000)}}},
		{"the older form by its children", "/rom", "a 0x0+0x1000\n", "", 0, dnode{name: "rom", props: one(), kids: []dnode{part("partition@0", "a", 0, 0x1000)}}},
		{"a huge bank", "/nor@0", "a 0x0+0x1000\n", "", 0, dnode{name: "bus", props: []dprop{cells("#address-cells", 1), cells("#size-cells", 2)},
			kids: []dnode{cfi(cells("reg", 0, 0xffffffff, 0), table(part("p", "a", 0, 0x1000)))}}},
	} {
		maps, err := DeviceTree(dtb(v.tree))
		if err != nil || len(maps) != 1 {
			t.Errorf("%s: %v, %v", v.name, maps, err)
			continue
		}
		m := maps[0]
		sound(t, m)
		same(t, v.name, m, strings.ReplaceAll(v.want, " \n", "\n"))
		if !strings.HasSuffix(m.Device, v.device) || m.Size != v.size || strings.Join(m.Notes, "\n") != v.note {
			t.Errorf("%s: %s, %#x, %q", v.name, m.Device, m.Size, m.Notes)
		}
	}
}

// What looks like a flash map and is none.
func TestDeviceTreeNone(t *testing.T) {
	labelled := part("port@0", "lan1", 0, 1)
	for name, tree := range map[string]dnode{
		"nothing": {name: "soc"},
		"a switch": {name: "switch", props: []dprop{cells("#address-cells", 1), cells("#size-cells", 0)},
			kids: []dnode{{name: "partition@0", props: []dprop{text("label", "lan1"), cells("reg", 0)}}}},
		"an EEPROM":               {name: "eeprom@50", props: one(text("compatible", "atmel,24c64")), kids: []dnode{labelled}},
		"cells of a flash":        {name: "flash", props: one(text("compatible", "nvmem-cells")), kids: []dnode{labelled}},
		"a layout of cells":       {name: "flash", props: one(text("compatible", "fixed-layout")), kids: []dnode{labelled}},
		"another parser's":        {name: "flash", kids: []dnode{{name: "partitions", props: one(text("compatible", "redboot-fis")), kids: []dnode{labelled}}}},
		"chips of a controller":   {name: "nand", props: one(), kids: []dnode{part("nand@0", "chip", 0, 1, text("compatible", "nand-chip"))}},
		"a table without entries": {name: "flash", kids: []dnode{{name: "partitions", props: fixed()}}},
		"entries without a reg":   {name: "flash", kids: []dnode{{name: "partitions", props: fixed(), kids: []dnode{{name: "p"}}}}},
		"old form beside the new": {name: "flash", props: one(), kids: []dnode{labelled, {name: "partitions"}}},
	} {
		maps, err := DeviceTree(dtb(tree))
		if !errors.Is(err, ErrNone) || maps != nil {
			t.Errorf("%s: %v, %v", name, maps, err)
		}
	}
}

// A map that cannot be true is an error, and takes no other device with it.
func TestDeviceTreeRefusesMaps(t *testing.T) {
	for _, v := range []struct {
		name string
		kind error
		kids []dnode
	}{
		{"overlap", ErrOverlap, []dnode{part("a", "a", 0, 0x2000), part("b", "b", 0x1000, 0x2000)}},
		{"nested beyond its parent", ErrRange, []dnode{{name: "a", props: fixed(text("label", "a"), cells("reg", 0, 0x1000)), kids: []dnode{part("b", "b", 0x800, 0x1000)}}}},
		{"nested behind its parent", ErrRange, []dnode{{name: "a", props: fixed(text("label", "a"), cells("reg", 0, 0x1000)), kids: []dnode{part("b", "b", 0x1000, 0)}}}},
		{"short reg", ErrSyntax, []dnode{{name: "a", props: []dprop{text("label", "a"), cells("reg", 0)}}}},
		{"two regs", ErrSyntax, []dnode{{name: "a", props: []dprop{text("label", "a"), cells("reg", 0, 1, 2, 3)}}}},
		{"empty label", ErrSyntax, []dnode{part("a", "", 0, 1)}},
		{"label of control characters", ErrSyntax, []dnode{part("a", "a\x1b[2J", 0, 1)}},
		{"label without end", ErrSyntax, []dnode{{name: "a", props: []dprop{{"label", bytes.Repeat([]byte("x"), 300)}, cells("reg", 0, 1)}}}},
	} {
		bad := dnode{name: "bad", kids: []dnode{{name: "partitions", props: fixed(), kids: v.kids}}}
		good := dnode{name: "good", kids: []dnode{{name: "partitions", props: fixed(), kids: []dnode{part("a", "a", 0, 1)}}}}
		maps, err := DeviceTree(dtb(bad, good))
		var e *Error
		if !errors.Is(err, v.kind) || !errors.As(err, &e) || e.Off < fdtHeader || !strings.Contains(err.Error(), "/bad") {
			t.Errorf("%s: %v", v.name, err)
		}
		if len(maps) != 1 || maps[0].Device != "/good" {
			t.Errorf("%s: %v", v.name, maps)
		}
	}
	cells2 := []dprop{text("compatible", "fixed-partitions"), cells("#address-cells", 2), cells("#size-cells", 2)}
	_, err := DeviceTree(dtb(dnode{name: "f", kids: []dnode{{name: "partitions", props: cells2,
		kids: []dnode{{name: "p", props: []dprop{text("label", "a"), cells("reg", 0xffffffff, 0, 0, 1)}}}}}}))
	if !errors.Is(err, ErrRange) {
		t.Error(err)
	}
	cells2[1], cells2[2] = cells("#address-cells", 0x101), cells("#size-cells", 0x101)
	_, err = DeviceTree(dtb(dnode{name: "f", kids: []dnode{{name: "partitions", props: cells2, kids: []dnode{part("p", "a", 0, 1)}}}}))
	if !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
}

func TestDeviceTreeLimits(t *testing.T) {
	var many []dnode
	for i := range MaxParts + 1 {
		many = append(many, part("p", fmt.Sprint("p", i), uint32(i), 1))
	}
	_, err := DeviceTree(dtb(dnode{name: "f", kids: []dnode{{name: "partitions", props: fixed(), kids: many}}}))
	if !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	var flashes []dnode
	for range MaxMaps + 1 {
		flashes = append(flashes, dnode{name: "flash", props: one(), kids: many[:1]})
	}
	maps, err := DeviceTree(dtb(flashes...))
	if !errors.Is(err, ErrLimit) || len(maps) != MaxMaps {
		t.Error(len(maps), err)
	}
	deep := dnode{name: "x"}
	for range maxFDTDepth {
		deep = dnode{name: "x", kids: []dnode{deep}}
	}
	if _, err := DeviceTree(dtb(deep)); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if _, err := DeviceTree(dtb(deep.kids[0].kids...)); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	long := dnode{name: strings.Repeat("x", MaxName)}
	for range maxFDTPath / MaxName {
		long = dnode{name: long.name, kids: []dnode{long}}
	}
	if _, err := DeviceTree(dtb(long)); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if _, err := DeviceTree(dtb(make([]dnode, 0)...)); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	bushy := make([]dnode, maxFDTNodes)
	for i := range bushy {
		bushy[i].name = "x"
	}
	if _, err := DeviceTree(dtb(bushy...)); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

func TestFDTHeader(t *testing.T) {
	good := router()
	for _, v := range []struct {
		name  string
		word  int
		value uint32
		kind  error
	}{
		{"magic", 0, 0xedfe0dd0, ErrNone},
		{"longer than the bytes", 1, uint32(len(good)) + 1, ErrSyntax},
		{"shorter than a header", 1, 39, ErrSyntax},
		{"4 GiB", 1, 0xffffffff, ErrLimit},
		{"structure unaligned", 2, 58, ErrSyntax},
		{"structure in the header", 2, 0, ErrSyntax},
		{"structure beyond the end", 2, 0xfffffffc, ErrSyntax},
		{"strings beyond the end", 3, 0xffffffff, ErrSyntax},
		{"strings in the header", 3, 4, ErrSyntax},
		{"version 3", 5, 3, ErrSyntax},
		{"compatible with 18", 6, 18, ErrSyntax},
		{"strings too long", 8, 0xffffffff, ErrSyntax},
		{"structure too long", 9, 0xffffffff, ErrSyntax},
		{"structure too short", 9, 64, ErrSyntax},
		{"no strings", 8, 0, ErrSyntax},
		{"no structure", 9, 0, ErrSyntax},
	} {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[4*v.word:], v.value)
		maps, err := DeviceTree(b)
		var e *Error
		if !errors.Is(err, v.kind) || !errors.As(err, &e) || maps != nil {
			t.Errorf("%s: %v, %v", v.name, maps, err)
		}
	}
	v16 := bytes.Clone(good)
	binary.BigEndian.PutUint32(v16[20:], 16)
	binary.BigEndian.PutUint32(v16[36:], 0xffffffff) // no such field before 17
	if maps, err := DeviceTree(v16); err != nil || len(maps) != 2 {
		t.Errorf("version 16: %v, %v", maps, err)
	}
}

func TestFDTStructure(t *testing.T) {
	end := "\x00\x00\x00\x09"
	for name, structure := range map[string]string{
		"no root":                     end,
		"a node left open":            "\x00\x00\x00\x01\x00\x00\x00\x00" + end,
		"a named root":                "\x00\x00\x00\x01x\x00\x00\x00\x00\x00\x00\x02" + end,
		"two roots":                   strings.Repeat("\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02", 2) + end,
		"an end too many":             "\x00\x00\x00\x02" + end,
		"a nameless child":            strings.Repeat("\x00\x00\x00\x01\x00\x00\x00\x00", 2) + strings.Repeat("\x00\x00\x00\x02", 2) + end,
		"a name with a slash":         "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01a/b\x00",
		"a name without end":          "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("x", 300),
		"a property outside":          "\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00" + end,
		"a property behind a child":   "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01x\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00",
		"a property of 4 GiB":         "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff\x00\x00\x00\x00" + end,
		"a property cut in its head":  "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00",
		"a property named nowhere":    "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\xff\xff\xff\xff" + end,
		"a property name without end": "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x02" + end,
		"an unknown token":            "\x00\x00\x00\x07" + end,
		"no end":                      "\x00\x00\x00\x04",
	} {
		w := dtbWriter{structure: []byte(structure), strings: []byte("a\x00b")}
		maps, err := DeviceTree(w.blob())
		if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrLimit) || maps != nil {
			t.Errorf("%s: %v, %v", name, maps, err)
		}
	}
}

// Cut at every byte, with the header's total as written or as short as what is
// left: never a map of part of the tree.
func TestDeviceTreeCut(t *testing.T) {
	good := router()
	for n := range good {
		if maps, err := DeviceTree(good[:n:n]); err == nil || maps != nil {
			t.Fatalf("cut to %d: %v, %v", n, maps, err)
		}
		if n >= fdtHeader {
			b := bytes.Clone(good[:n])
			binary.BigEndian.PutUint32(b[4:], uint32(n))
			if maps, err := DeviceTree(b); err == nil || maps != nil {
				t.Fatalf("shortened to %d: %v, %v", n, maps, err)
			}
		}
	}
}

// Every byte changed to extremes: an answer, and a sound one.
func TestDeviceTreeFlips(t *testing.T) {
	b := router()
	for i, old := range b {
		for _, c := range []byte{0x00, 0x01, 0x7f, 0x80, 0xff, old ^ 1, old + 4} {
			b[i] = c
			maps, err := DeviceTree(b)
			if err == nil && len(maps) == 0 {
				t.Fatalf("byte %d = %#x: neither a map nor an error", i, c)
			}
			for _, m := range maps {
				sound(t, m)
			}
		}
		b[i] = old
	}
}

func FuzzDeviceTree(f *testing.F) {
	f.Add(router())
	f.Add(dtb(dnode{name: "flash", props: one(text("compatible", "cfi-flash"), cells("reg", 0, 0x1000)),
		kids: []dnode{part("partition@0", "a", 0, 0x800), part("partition@800", "b", 0x800, 0)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		maps, err := DeviceTree(b)
		if err == nil && len(maps) == 0 {
			t.Fatal("neither a map nor an error")
		}
		for _, m := range maps {
			sound(t, m)
		}
	})
}
