package flashmap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// A flattened device tree, Devicetree Specification v0.4 chapter 5: a header of
// ten big-endian words, then anywhere in totalsize the structure block (tokens,
// each at a multiple of 4) and the strings block (property names).
const (
	srcDeviceTree = "devicetree"
	fdtMagic      = 0xd00dfeed
	fdtHeader     = 40
	// Linux on arm64 takes no larger blob (Documentation/arch/arm64/booting).
	maxFDT      = 2 << 20
	maxFDTNodes = 1 << 16
	maxFDTDepth = 64
	// Every partition carries its path: a long one must not be multiplied by
	// thousands of partitions. Paths of real trees have some 100 bytes.
	maxFDTPath = 1024

	fdtBeginNode = 1
	fdtEndNode   = 2
	fdtProp      = 3
	fdtNop       = 4
	fdtEnd       = 9
)

// node is what a flash map needs to know of a node. Nodes are kept in the order
// of the blob: a parent stands before its children.
type node struct {
	name       string
	parent     int // -1 for the root
	kids       []int
	off        int // in the blob
	pathLen    int
	compatible []byte
	label      []byte
	reg        []byte
	addrCells  []byte
	sizeCells  []byte
	readOnly   bool
	flags      []string
}

type fdtParser struct {
	structure []byte
	base      int    // of structure in the blob
	names     []byte // the strings block
	i         int
	nodes     []node
}

func fdtErrorf(off int, kind error, format string, a ...any) error {
	return &Error{srcDeviceTree, off, kind, fmt.Sprintf(format, a...)}
}

// parseFDT reads the nodes of a blob. Everything is read once, forward, and
// names a place only by an offset that was checked, so no blob makes it loop.
func parseFDT(dtb []byte) ([]node, error) {
	p, err := openFDT(dtb)
	if err != nil {
		return nil, err
	}
	at, depth, kidsBegan := -1, 0, false
	for {
		pos := p.base + p.i
		token, ok := p.word()
		if !ok {
			return nil, fdtErrorf(pos, ErrSyntax, "the structure has no end: pass the whole blob")
		}
		switch token {
		case fdtNop:
		case fdtBeginNode:
			if at < 0 && len(p.nodes) > 0 || depth == maxFDTDepth || len(p.nodes) == maxFDTNodes {
				return nil, fdtErrorf(pos, ErrLimit, "a second root, more than %d levels, or more than %d nodes", maxFDTDepth, maxFDTNodes)
			}
			if err := p.begin(pos, at); err != nil {
				return nil, err
			}
			at, depth, kidsBegan = len(p.nodes)-1, depth+1, false
		case fdtProp:
			if at < 0 || kidsBegan {
				return nil, fdtErrorf(pos, ErrSyntax, "a property outside a node, or behind a child node")
			}
			if err := p.property(pos, &p.nodes[at]); err != nil {
				return nil, err
			}
		case fdtEndNode:
			if at < 0 {
				return nil, fdtErrorf(pos, ErrSyntax, "a node ends that did not begin")
			}
			at, depth, kidsBegan = p.nodes[at].parent, depth-1, true
		case fdtEnd:
			if at >= 0 || len(p.nodes) == 0 {
				return nil, fdtErrorf(pos, ErrSyntax, "the structure ends inside a node, or has none")
			}
			return p.nodes, nil
		default:
			return nil, fdtErrorf(pos, ErrSyntax, "unknown token %#x", token)
		}
	}
}

// openFDT checks the header and finds the two blocks.
func openFDT(dtb []byte) (*fdtParser, error) {
	if len(dtb) < fdtHeader {
		return nil, fdtErrorf(0, ErrSyntax, "%d bytes are no device tree blob", len(dtb))
	}
	word := func(i int) uint64 { return uint64(binary.BigEndian.Uint32(dtb[4*i:])) }
	total, structAt, stringsAt := word(1), word(2), word(3)
	version, compatible, stringsLen, structLen := word(5), word(6), word(8), word(9)
	switch {
	case word(0) != fdtMagic:
		return nil, fdtErrorf(0, ErrNone, "magic %#x instead of %#x: pass a compiled device tree", word(0), uint32(fdtMagic))
	case total > maxFDT:
		return nil, fdtErrorf(4, ErrLimit, "%d bytes: only %d are read", total, maxFDT)
	case total < fdtHeader || total > uint64(len(dtb)):
		return nil, fdtErrorf(4, ErrSyntax, "the blob says it has %d bytes, there are %d: pass the whole blob", total, len(dtb))
	case version < 16 || compatible > 17:
		return nil, fdtErrorf(20, ErrSyntax, "version %d, compatible with %d: only 16 and 17 are known", version, compatible)
	}
	if version == 16 { // the length of the structure came with 17
		structLen = total - min(structAt, total)
	}
	switch {
	case structAt%4 != 0 || structAt < fdtHeader || structAt > total || structLen > total-structAt:
		return nil, fdtErrorf(8, ErrSyntax, "the structure block lies outside the blob or not at a multiple of 4")
	case stringsAt < fdtHeader || stringsAt > total || stringsLen > total-stringsAt:
		return nil, fdtErrorf(12, ErrSyntax, "the strings block lies outside the blob")
	}
	return &fdtParser{
		structure: dtb[structAt : structAt+structLen],
		base:      int(structAt),
		names:     dtb[stringsAt : stringsAt+stringsLen],
	}, nil
}

func (p *fdtParser) word() (uint32, bool) {
	if len(p.structure)-p.i < 4 {
		return 0, false
	}
	v := binary.BigEndian.Uint32(p.structure[p.i:])
	p.i += 4
	return v, true
}

// align skips to the next multiple of 4.
func (p *fdtParser) align() { p.i = min((p.i+3)&^3, len(p.structure)) }

// begin reads the name of a node and links it to its parent.
func (p *fdtParser) begin(pos, parent int) error {
	name, ok := cString(p.structure[p.i:])
	if !ok || (name == "") != (parent < 0) || name != "" && checkName(name) != "" || strings.Contains(name, "/") {
		return fdtErrorf(pos, ErrSyntax, "the name of the node is no printable string of 1 to %d bytes, or the root has one", MaxName)
	}
	p.i += len(name) + 1
	p.align()
	n := node{name: name, parent: parent, off: pos}
	if parent >= 0 {
		above := &p.nodes[parent]
		above.kids = append(above.kids, len(p.nodes))
		if n.pathLen = above.pathLen + 1 + len(name); n.pathLen > maxFDTPath {
			return fdtErrorf(pos, ErrLimit, "the path of the node has more than %d bytes", maxFDTPath)
		}
	}
	p.nodes = append(p.nodes, n)
	return nil
}

// property reads a property and keeps it if a flash map needs it.
func (p *fdtParser) property(pos int, n *node) error {
	length, _ := p.word()
	nameAt, ok := p.word()
	if !ok || uint64(length) > uint64(len(p.structure)-p.i) {
		return fdtErrorf(pos, ErrSyntax, "a property reaches beyond the structure block")
	}
	if uint64(nameAt) >= uint64(len(p.names)) {
		return fdtErrorf(pos, ErrSyntax, "the name of a property lies outside the strings block")
	}
	name, ok := cString(p.names[nameAt:])
	if !ok {
		return fdtErrorf(pos, ErrSyntax, "the name of a property has no end in %d bytes", MaxName)
	}
	value := p.structure[p.i : p.i+int(length)]
	p.i += int(length)
	p.align()
	switch name {
	case "compatible":
		n.compatible = value
	case "label":
		n.label = value
	case "reg":
		n.reg = value
	case "#address-cells":
		n.addrCells = value
	case "#size-cells":
		n.sizeCells = value
	case "read-only":
		n.readOnly = true
	case "lock", "slc-mode":
		n.flags = append(n.flags, name)
	}
	return nil
}

// cString reads a string of at most MaxName bytes with its zero.
func cString(b []byte) (string, bool) {
	k := bytes.IndexByte(b[:min(len(b), MaxName+1)], 0)
	if k < 0 {
		return "", false
	}
	return string(b[:k]), true
}
