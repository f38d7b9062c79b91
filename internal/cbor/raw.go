package cbor

import "math"

// Valid tells whether b is exactly one item of deterministic CBOR as this
// package reads it.
func Valid(b []byte) error {
	d := NewDecoder(b)
	d.Raw()
	return d.End()
}

// Raw reads one item of any kind, checks all of it, and returns its bytes
// verbatim: a part of the input, not a copy. Containers around it count toward
// MaxDepth.
func (d *Decoder) Raw() []byte {
	start, outer := d.off, d.depth
	d.step()
	for d.err == nil && d.depth > outer {
		d.step()
	}
	if d.err != nil {
		return nil
	}
	return d.b[start:d.off:d.off]
}

// step reads one head of any kind, with the content of a string.
func (d *Decoder) step() {
	switch kind := d.Peek(); kind {
	case Bytes, Text:
		d.str(kind, 0, math.MaxInt)
	case Array, Map:
		d.list(kind, 0, math.MaxInt)
	case Tag:
		d.Tag()
	case Invalid:
		d.bare(Null) // fails with the reason that fits
	default:
		d.bare(kind)
	}
}
