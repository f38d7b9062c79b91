package flashmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DeviceTree reads the flash maps of a flattened device tree (Devicetree
// Specification v0.4, chapter 5), one for each device that has partitions:
//
//   - nodes compatible with "fixed-partitions", nested ones too
//     (Devicetree binding mtd/partitions/fixed-partitions);
//   - the older form, partitions directly under the node of a flash, each with a
//     label and a reg of address and size.
//
// Device is the path of the flash's node. Where cells are missing they are taken
// from the nodes above, as Linux does, and Notes say so. A reg with size 0 means
// all the rest, as in Linux. For a memory-mapped flash Size is what its own reg
// spans, unless partitions reach beyond: then the reg is a window and no size.
//
// When some devices have maps that cannot be true, the maps of the others are
// returned together with the errors.
func DeviceTree(dtb []byte) ([]Map, error) {
	nodes, err := parseFDT(dtb)
	if err != nil {
		return nil, err
	}
	t := &dtree{nodes: nodes, used: make([]bool, len(nodes))}
	var maps []Map
	var errs []error
	for i := range nodes {
		table, device := t.table(i)
		if table < 0 {
			continue
		}
		if len(maps)+len(errs) == MaxMaps {
			errs = append(errs, fdtErrorf(nodes[i].off, ErrLimit, "more than %d devices with partitions", MaxMaps))
			break
		}
		m, err := t.flash(table, device)
		if err != nil {
			errs = append(errs, err)
		} else if len(m.Parts) > 0 {
			maps = append(maps, m)
		}
	}
	if len(maps) == 0 && len(errs) == 0 {
		return nil, fdtErrorf(-1, ErrNone, "no node has fixed partitions: look for them in the boot loader's environment (mtdparts) or in the image (FMAP)")
	}
	return maps, errors.Join(errs...)
}

// dtree is a device tree on its way to maps.
type dtree struct {
	nodes []node
	used  []bool // tables that belong to a map already read
	notes []string
}

// table tells whether node i holds the partitions of a device, and which node
// the device is; -1 if not.
func (t *dtree) table(i int) (table, device int) {
	n := &t.nodes[i]
	switch {
	case t.used[i]:
		return -1, -1
	case n.is("fixed-partitions"):
		if n.parent < 0 || n.base() != "partitions" && len(n.compatibles()) > 1 {
			return i, i // a flash that is its own table
		}
		return i, n.parent
	case t.legacy(i):
		return i, i
	}
	return -1, -1
}

// legacy tells whether node i is a flash in the older form. Many nodes have
// children with a label and a reg: switches their ports, EEPROMs their cells.
// It is a flash if it is called or described as one, or if a child is called
// partition; and none if it has a node for its partitions.
func (t *dtree) legacy(i int) bool {
	n := &t.nodes[i]
	flash, parts := n.looksLikeFlash(), false
	for _, k := range n.kids {
		kid := &t.nodes[k]
		if kid.base() == "partitions" {
			return false
		}
		if t.legacyPart(kid) {
			parts = true
			flash = flash || kid.base() == "partition"
		}
	}
	return flash && parts && n.base() != "partitions" && !n.is("nvmem-cells") && !n.is("fixed-layout")
}

func (t *dtree) legacyPart(kid *node) bool {
	if kid.compatible != nil && !kid.is("fixed-partitions") || kid.reg == nil || kid.label == nil {
		return false
	}
	_, size, _ := t.cells(kid.parent)
	return size > 0
}

// flashWords mark a flash in the name or the compatible of its node.
var flashWords = [...]string{"flash", "nand", "spi-nor", "m25p", "mtd-ram", "mtd-rom", "w25q", "mx25l", "s25fl", "n25q", "mt25q", "sst25", "at25df", "at45"}

func (n *node) looksLikeFlash() bool {
	for _, s := range append(n.compatibles(), n.base()) {
		for _, w := range flashWords {
			if strings.Contains(s, w) {
				return true
			}
		}
	}
	return false
}

// flash reads the map of one device from its table.
func (t *dtree) flash(table, device int) (Map, error) {
	t.notes = nil
	items, err := t.collect(nil, table, 0, 0, table == device)
	if err != nil {
		return Map{}, err
	}
	dev := &t.nodes[device]
	m := Map{Source: srcDeviceTree, Device: t.path(device), Compatible: dev.compatibles()}
	parts, notes, err := arrange(srcDeviceTree, items, 0)
	if err != nil {
		return Map{}, fmt.Errorf("%s: %w", m.Device, err)
	}
	m.Parts, m.Notes = parts, slices.Concat(t.notes, notes)
	if size := t.mapped(device); size > 0 {
		if sized, err := m.WithSize(size); err != nil {
			m.Notes = append(m.Notes, fmt.Sprintf("partitions reach beyond the %#x bytes of the device's reg", size))
		} else {
			m = sized
		}
	}
	return m, nil
}

// collect appends the partitions of a table whose addresses count from base,
// and those of the tables inside them. limit is the size of the partition around
// the table, 0 if there is none.
func (t *dtree) collect(items []item, table int, base, limit int64, legacy bool) ([]item, error) {
	t.used[table] = true
	addr, size, inherited := t.cells(table)
	if inherited {
		t.notes = append(t.notes, fmt.Sprintf("%s lacks #address-cells or #size-cells: taken from the nodes above", t.path(table)))
	}
	for _, k := range t.nodes[table].kids {
		kid := &t.nodes[k]
		if kid.reg == nil || legacy && !t.legacyPart(kid) {
			continue
		}
		if len(items) == MaxParts {
			return nil, fdtErrorf(kid.off, ErrLimit, "%s: more than %d partitions", t.path(table), MaxParts)
		}
		it, err := t.part(k, addr, size)
		if err != nil {
			return nil, err
		}
		if limit > 0 {
			if it.Len == 0 {
				it.Len = max(limit-it.Off, 0)
			}
			if it.Off >= limit || it.Len > limit-it.Off {
				return nil, fdtErrorf(kid.off, ErrRange, "%s reaches beyond the %#x bytes of the partition around it", it.Path, limit)
			}
		}
		it.Off += base
		it.Index = len(items)
		items = append(items, it)
		if inner := t.inner(k); inner >= 0 {
			if items, err = t.collect(items, inner, it.Off, it.Len, false); err != nil {
				return nil, err
			}
		}
	}
	return items, nil
}

// inner is the table inside a partition: the partition itself or a child.
func (t *dtree) inner(i int) int {
	if t.nodes[i].is("fixed-partitions") {
		return i
	}
	for _, k := range t.nodes[i].kids {
		if t.nodes[k].is("fixed-partitions") {
			return k
		}
	}
	return -1
}

// part reads one partition, its address as written.
func (t *dtree) part(i, addr, size int) (it item, err error) {
	n := &t.nodes[i]
	it = item{pos: n.off}
	it.Path, it.ReadOnly, it.Flags, it.Compatible = t.path(i), n.readOnly, n.flags, n.compatibles()
	if addr < 1 || addr > 2 || size < 1 || size > 2 || len(n.reg) != 4*(addr+size) {
		return it, fdtErrorf(n.off, ErrSyntax, "%s: reg has %d bytes for %d address and %d size cells: use one address and one size of 1 or 2 cells",
			it.Path, len(n.reg), addr, size)
	}
	off, length := bigEndian(n.reg[:4*addr]), bigEndian(n.reg[4*addr:])
	if off > uint64(MaxSize) || length > uint64(MaxSize) {
		return it, fdtErrorf(n.off, ErrRange, "%s: %#x bytes at %#x are beyond what any device can have", it.Path, length, off)
	}
	it.Off, it.Len = int64(off), int64(length)
	it.Name = n.name
	if n.label != nil {
		label, ok := cString(n.label)
		if !ok {
			label = string(n.label[:min(len(n.label), MaxName+1)])
		}
		it.Name = label
	} else {
		t.notes = append(t.notes, fmt.Sprintf("%s has no label: named after its node", it.Path))
	}
	if bad := checkName(it.Name); bad != "" {
		return it, fdtErrorf(n.off, ErrSyntax, "%s: %s", it.Path, bad)
	}
	return it, nil
}

// cells are the widths of addresses and sizes in the children of node i. The
// specification wants them in the node itself (§2.3.5); Linux looks further up.
func (t *dtree) cells(i int) (addr, size int, inherited bool) {
	addr, size = -1, -1
	for at := i; at >= 0 && (addr < 0 || size < 0); at = t.nodes[at].parent {
		n := &t.nodes[at]
		inherited = at != i
		if addr < 0 && len(n.addrCells) == 4 {
			addr = int(min(binary.BigEndian.Uint32(n.addrCells), 255))
		}
		if size < 0 && len(n.sizeCells) == 4 {
			size = int(min(binary.BigEndian.Uint32(n.sizeCells), 255))
		}
	}
	return addr, size, inherited
}

// mapped is the size of a memory-mapped flash by its reg, which lists the banks
// of a device made of several; 0 if there is none to rely on.
func (t *dtree) mapped(i int) int64 {
	n := &t.nodes[i]
	if n.parent < 0 || !n.is("cfi-flash") && !n.is("jedec-flash") && !n.is("mtd-ram") && !n.is("mtd-rom") {
		return 0
	}
	addr, size, _ := t.cells(n.parent)
	if addr < 1 || addr > 3 || size < 1 || size > 2 || len(n.reg)%(4*(addr+size)) != 0 {
		return 0
	}
	var sum int64
	for reg := n.reg; len(reg) > 0; reg = reg[4*(addr+size):] {
		bank := bigEndian(reg[4*addr : 4*(addr+size)])
		if bank > uint64(MaxSize-sum) {
			return 0
		}
		sum += int64(bank)
	}
	return sum
}

// bigEndian is the value of one or two cells.
func bigEndian(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// base is the name of a node without its unit address.
func (n *node) base() string {
	base, _, _ := strings.Cut(n.name, "@")
	return base
}

// compatibles splits a list of strings; what is not printable is left out.
func (n *node) compatibles() (list []string) {
	for s := range strings.SplitSeq(string(n.compatible), "\x00") {
		if checkName(s) == "" && len(list) < 16 {
			list = append(list, s)
		}
	}
	return list
}

// is tells whether node n is compatible with what.
func (n *node) is(what string) bool { return slices.Contains(n.compatibles(), what) }

// path is the full name of node i.
func (t *dtree) path(i int) string {
	var names []string
	for ; i > 0; i = t.nodes[i].parent {
		names = append(names, t.nodes[i].name)
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}
