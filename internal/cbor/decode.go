package cbor

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// MaxDepth is how deep arrays, maps and tags may nest, the outermost counted.
// It bounds the state of a Decoder, which has no recursion.
const MaxDepth = 8

// Kind is what an item is.
type Kind uint8

// Kinds. The zero value is what Peek returns where no acceptable item starts.
const (
	Invalid Kind = iota
	Uint
	Negative
	Bytes
	Text
	Array
	Map
	Tag
	Bool
	Null
)

// Decoder reads one item from a byte slice, piece by piece.
//
// Errors are sticky: after the first, every method returns the zero value, so
// that a caller may read a whole structure and ask once, with [Decoder.End],
// before it acts on anything. The zero Decoder refuses every read.
//
// A Decoder allocates nothing but its error and the strings it returns.
type Decoder struct {
	b     []byte
	off   int
	err   error
	whole bool // the outermost item is complete
	depth int  // open containers
	open  [MaxDepth]container
}

// container is an array, map or tag whose content has not all been read.
type container struct {
	left      int // items still to come; a pair of a map counts two
	isMap     bool
	key       int // where the key at hand starts
	prev, end int // the key before it is b[prev:end]; empty for the first
}

// NewDecoder returns a Decoder of the one item that b holds. It reads b in
// place: b must not change while the Decoder or a slice it returned is in use.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

// Err returns the first error, nil if there was none yet.
func (d *Decoder) Err() error { return d.err }

// Fail makes err the Decoder's error at the present place, unless it has one.
// Callers use it for rules that only they know.
func (d *Decoder) Fail(err error) {
	if err != nil {
		d.fail(d.off, err)
	}
}

func (d *Decoder) fail(off int, err error) {
	if d.err == nil {
		d.err = &Error{Off: off, Err: err}
	}
}

// End returns the first error; without one it refuses an item that was not read
// to its end, and bytes that follow it.
func (d *Decoder) End() error {
	switch {
	case d.err != nil:
	case !d.whole && d.off == len(d.b):
		d.fail(d.off, ErrTruncated)
	case !d.whole:
		d.fail(d.off, ErrUnread)
	case d.off < len(d.b):
		d.fail(d.off, ErrTrailing)
	}
	return d.err
}

// Peek tells the kind of the next item from its first byte, without reading it;
// Invalid after an error, behind the last item, and for what no method accepts.
func (d *Decoder) Peek() Kind {
	if d.err != nil || d.whole || d.off >= len(d.b) {
		return Invalid
	}
	return kindOf(d.b[d.off])
}

// kindOf sorts an initial byte: major type in the upper three bits, additional
// information below (RFC 8949 §3).
func kindOf(initial byte) Kind {
	if initial&0x1f > 27 {
		return Invalid
	}
	if initial>>5 < 7 {
		return Uint + Kind(initial>>5)
	}
	switch initial & 0x1f {
	case simpleFalse, simpleTrue:
		return Bool
	case simpleNull:
		return Null
	}
	return Invalid
}

// Simple values (RFC 8949 §3.3) and the tags of bignums (§3.4.3). A bignum has
// a preferred form that depends on its value; refusing both tags keeps one
// encoding per value without arithmetic.
const (
	simpleFalse = 20
	simpleTrue  = 21
	simpleNull  = 22
	tagBignum   = 2
	tagNegBig   = 3
)

// parseHead reads the head at the start of b and tells its length.
func parseHead(b []byte) (kind Kind, arg uint64, n int, err error) {
	if len(b) == 0 {
		return Invalid, 0, 0, ErrTruncated
	}
	info := b[0] & 0x1f
	if info == 31 {
		return Invalid, 0, 0, ErrIndefinite
	}
	if info > 27 {
		return Invalid, 0, 0, ErrReserved
	}
	if kind = kindOf(b[0]); kind == Invalid {
		return Invalid, 0, 0, ErrForbidden
	}
	if info < 24 {
		return kind, uint64(info), 1, nil
	}
	n = 1 + 1<<(info-24)
	if len(b) < n {
		return Invalid, 0, 0, ErrTruncated
	}
	for _, c := range b[1:n] {
		arg = arg<<8 | uint64(c)
	}
	// The shortest form of arg has more than half of these bytes in use; for
	// the one-byte form, more than what the initial byte itself can say.
	if n == 2 && arg < 24 || n > 2 && arg>>(4*(n-1)) == 0 {
		return Invalid, 0, 0, ErrLongHead
	}
	return kind, arg, n, nil
}

// head reads the next head if its kind is one of two, and returns where it
// started. Whoever calls it reads the content and then calls done.
func (d *Decoder) head(a, b Kind) (kind Kind, arg uint64, at int) {
	at = d.off
	if d.err != nil {
		return Invalid, 0, at
	}
	if d.whole {
		d.fail(at, ErrTrailing)
		return Invalid, 0, at
	}
	kind, arg, n, err := parseHead(d.b[at:])
	if err == nil && kind != a && kind != b {
		err = ErrType
	}
	if err != nil {
		d.fail(at, err)
		return Invalid, 0, at
	}
	d.off += n
	return kind, arg, at
}

// done accounts for a complete item that ends at d.off: it checks the order of
// keys and closes every container that this item was the last of.
func (d *Decoder) done() {
	for ; d.depth > 0; d.depth-- {
		c := &d.open[d.depth-1]
		c.left--
		if c.isMap && c.left%2 == 1 {
			d.checkKey(c)
			return
		}
		if c.left > 0 {
			c.key = d.off
			return
		}
	}
	d.whole = true
}

// checkKey compares the key that ends at d.off with the one before: strictly
// ascending in the bytewise order of the encodings (RFC 8949 §4.2.1).
func (d *Decoder) checkKey(c *container) {
	switch bytes.Compare(d.b[c.prev:c.end], d.b[c.key:d.off]) {
	case 0:
		d.fail(c.key, ErrDuplicate)
	case 1:
		d.fail(c.key, ErrOrder)
	}
	c.prev, c.end = c.key, d.off
}

// enter opens a container of n items whose head is at at.
func (d *Decoder) enter(at, n int, isMap bool) {
	switch {
	case d.depth == MaxDepth:
		d.fail(at, ErrDepth)
	case n == 0:
		// It still counts as a level: an empty array is as deep as a full one.
		d.done()
	default:
		d.open[d.depth] = container{left: n, isMap: isMap, key: d.off}
		d.depth++
	}
}

// Uint reads an unsigned integer.
func (d *Decoder) Uint() uint64 { return d.UintMax(math.MaxUint64) }

// UintMax reads an unsigned integer of at most max.
func (d *Decoder) UintMax(max uint64) uint64 {
	kind, v, at := d.head(Uint, Uint)
	if kind == Invalid {
		return 0
	}
	if v > max {
		d.fail(at, ErrLimit)
		return 0
	}
	d.done()
	return d.ok(v)
}

// ok is v, or 0 if the item turned out to be a key out of order.
func (d *Decoder) ok(v uint64) uint64 {
	if d.err != nil {
		return 0
	}
	return v
}

// Int reads an integer that fits an int64.
func (d *Decoder) Int() int64 {
	kind, v, at := d.head(Uint, Negative)
	if kind == Invalid {
		return 0
	}
	if v > math.MaxInt64 {
		d.fail(at, ErrLimit)
		return 0
	}
	if kind == Negative {
		v = ^v // -1 - v
	}
	d.done()
	return int64(d.ok(v))
}

// Bool reads true or false.
func (d *Decoder) Bool() bool {
	kind, v, _ := d.head(Bool, Bool)
	if kind == Invalid {
		return false
	}
	d.done()
	return d.err == nil && v == simpleTrue
}

// Null reads null.
func (d *Decoder) Null() { d.bare(Null) }

// bare reads an item that is a head and nothing else.
func (d *Decoder) bare(want Kind) {
	if kind, _, _ := d.head(want, want); kind != Invalid {
		d.done()
	}
}

// Tag reads the number of a tag. The tagged item is read next.
func (d *Decoder) Tag() uint64 {
	kind, v, at := d.head(Tag, Tag)
	if kind == Invalid {
		return 0
	}
	if v == tagBignum || v == tagNegBig {
		d.fail(at, ErrForbidden)
		return 0
	}
	d.enter(at, 1, false)
	return d.ok(v)
}

// Array reads the head of an array of at most max items and returns how many
// follow. The count is never more than the bytes that are left.
func (d *Decoder) Array(max int) int { return d.list(Array, 0, max) }

// ArrayOf reads the head of an array of exactly n items.
func (d *Decoder) ArrayOf(n int) { d.list(Array, n, n) }

// Map reads the head of a map of at most max pairs and returns how many follow,
// keys and values in turn. Their order is checked while they are read.
func (d *Decoder) Map(max int) int { return d.list(Map, 0, max) }

func (d *Decoder) list(want Kind, lo, hi int) int {
	kind, arg, at := d.head(want, want)
	if kind == Invalid {
		return 0
	}
	return d.items(kind, arg, at, lo, hi)
}

// items opens a list with the claimed count. An item is at least one byte, so a
// count can be refused before anything is done for it.
func (d *Decoder) items(kind Kind, count uint64, at, lo, hi int) int {
	each := 1
	if kind == Map {
		each = 2
	}
	if count > uint64((len(d.b)-d.off)/each) {
		d.fail(at, ErrTruncated)
		return 0
	}
	n := int(count)
	if n < lo || n > hi {
		d.fail(at, ErrLimit)
		return 0
	}
	if d.enter(at, n*each, kind == Map); d.err != nil {
		return 0
	}
	return n
}

// Bytes reads a byte string of at most max bytes. The result is a part of the
// input, not a copy, and cannot grow into what follows it.
func (d *Decoder) Bytes(max int) []byte { return d.str(Bytes, 0, max) }

// BytesOf reads a byte string of exactly n bytes, in the manner of Bytes.
func (d *Decoder) BytesOf(n int) []byte { return d.str(Bytes, n, n) }

// Text reads a text string of at most max bytes of UTF-8. The result is a copy.
func (d *Decoder) Text(max int) string { return string(d.str(Text, 0, max)) }

func (d *Decoder) str(want Kind, lo, hi int) []byte {
	kind, arg, at := d.head(want, want)
	if kind == Invalid {
		return nil
	}
	return d.content(kind, arg, at, lo, hi)
}

// content reads the bytes of a string with the claimed length.
func (d *Decoder) content(kind Kind, length uint64, at, lo, hi int) []byte {
	if length > uint64(len(d.b)-d.off) {
		d.fail(at, ErrTruncated)
		return nil
	}
	n := int(length)
	if n < lo || n > hi {
		d.fail(at, ErrLimit)
		return nil
	}
	s := d.b[d.off : d.off+n : d.off+n]
	if kind == Text && !utf8.Valid(s) {
		d.fail(at, ErrUTF8)
		return nil
	}
	d.off += n
	if d.done(); d.err != nil {
		return nil
	}
	return s
}
