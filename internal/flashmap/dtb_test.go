package flashmap

import (
	"encoding/binary"
	"strings"
)

// dnode is a node for the test's own writer of blobs.
type dnode struct {
	name  string
	props []dprop
	kids  []dnode
}

type dprop struct {
	name  string
	value []byte
}

func cells(name string, v ...uint32) dprop {
	var b []byte
	for _, c := range v {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	return dprop{name, b}
}

func text(name string, v ...string) dprop {
	return dprop{name, []byte(strings.Join(v, "\x00") + "\x00")}
}

func flag(name string) dprop { return dprop{name, nil} }

// part is a partition with a label and one cell for address and size each.
func part(name, label string, off, size uint32, more ...dprop) dnode {
	return dnode{name: name, props: append([]dprop{text("label", label), cells("reg", off, size)}, more...)}
}

// one says that children have one cell for address and size each.
func one(more ...dprop) []dprop {
	return append([]dprop{cells("#address-cells", 1), cells("#size-cells", 1)}, more...)
}

func fixed(more ...dprop) []dprop {
	return one(append(more, text("compatible", "fixed-partitions"))...)
}

type dtbWriter struct {
	structure, strings []byte
}

func (w *dtbWriter) word(v uint32) { w.structure = binary.BigEndian.AppendUint32(w.structure, v) }

func (w *dtbWriter) pad() {
	for len(w.structure)%4 != 0 {
		w.structure = append(w.structure, 0)
	}
}

func (w *dtbWriter) node(n dnode) {
	w.word(fdtBeginNode)
	w.structure = append(append(w.structure, n.name...), 0)
	w.pad()
	for _, p := range n.props {
		w.word(fdtProp)
		w.word(uint32(len(p.value)))
		at := strings.Index(string(w.strings), p.name+"\x00")
		if at < 0 {
			at = len(w.strings)
			w.strings = append(append(w.strings, p.name...), 0)
		}
		w.word(uint32(at))
		w.structure = append(w.structure, p.value...)
		w.pad()
	}
	w.word(fdtNop)
	for _, k := range n.kids {
		w.node(k)
	}
	w.word(fdtEndNode)
}

// dtb writes a blob with the given nodes under the root, in which children have
// one cell for address and size each.
func dtb(kids ...dnode) []byte {
	var w dtbWriter
	w.node(dnode{props: one(), kids: kids})
	w.word(fdtEnd)
	return w.blob()
}

func (w *dtbWriter) blob() []byte {
	const reserve = 16 // the empty memory reservation block
	structAt := fdtHeader + reserve
	stringsAt := structAt + len(w.structure)
	var b []byte
	for _, v := range []int64{fdtMagic, int64(stringsAt + len(w.strings)), int64(structAt), int64(stringsAt), fdtHeader, 17, 16, 0, int64(len(w.strings)), int64(len(w.structure))} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	b = append(b, make([]byte, reserve)...)
	return append(append(b, w.structure...), w.strings...)
}

// router is a tree in the manner of an mt7621 board: SPI NOR with nested
// partitions, and a NAND in the older form.
func router() []byte {
	return dtb(
		dnode{name: "keys", kids: []dnode{{name: "reset", props: []dprop{text("label", "reset")}}}},
		dnode{name: "spi@1e000b00", props: []dprop{cells("#address-cells", 1), cells("#size-cells", 0)}, kids: []dnode{
			{name: "flash@0", props: []dprop{text("compatible", "winbond,w25q128", "jedec,spi-nor"), cells("reg", 0)}, kids: []dnode{
				{name: "partitions", props: fixed(), kids: []dnode{
					part("partition@0", "u-boot", 0, 0x30000, flag("read-only"), flag("lock")),
					part("partition@30000", "u-boot-env", 0x30000, 0x10000, text("compatible", "u-boot,env")),
					part("partition@40000", "factory", 0x40000, 0x10000, flag("read-only"), text("compatible", "nvmem-cells")),
					{name: "partition@50000", props: fixed(text("label", "firmware"), cells("reg", 0x50000, 0xfb0000)), kids: []dnode{
						part("partition@0", "kernel", 0, 0x200000),
						{name: "partition@200000", props: []dprop{cells("reg", 0x200000, 0), text("label", "rootfs")}},
					}},
					{name: "nothing"},
				}},
			}}}},
		dnode{name: "nand@1e003000", props: one(text("compatible", "mediatek,mt7621-nand"), cells("reg", 0x1e003000, 0x800)), kids: []dnode{
			part("partition@0", "Bootloader", 0, 0x80000, flag("read-only")),
			part("partition@80000", "ubi", 0x80000, 0, flag("slc-mode")),
			{name: "ecc", props: []dprop{text("label", "no partition")}},
		}},
	)
}
