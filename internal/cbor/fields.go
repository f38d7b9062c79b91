package cbor

// Fields reads a map with integer keys, the form of all messages of ours. For
// each key, in the order of the encoding, field is called with the Decoder at
// the value; it reads the value and returns true, or returns false for a key
// that it does not know, which refuses the map. There is no way to skip a key.
//
// required lists keys that must be there, at most 64 of them. A key cannot come
// twice, so field need not remember what it has seen.
//
// A field that reads less or more than one value is a mistake of the caller and
// fails with ErrUnread.
func (d *Decoder) Fields(required []int64, field func(key int64) bool) {
	at, seen := d.off, uint64(0)
	for n := d.Map(len(d.b)); n > 0 && d.err == nil; n-- {
		keyAt := d.off
		key := d.Int()
		for i, r := range required {
			if r == key && i < 64 {
				seen |= 1 << i
			}
		}
		if d.err == nil {
			d.field(keyAt, key, field)
		}
	}
	for i, r := range required {
		if d.err == nil && (i >= 64 || seen>>i&1 == 0) {
			d.err = &Error{Off: at, Err: ErrMissingKey, Key: r}
		}
	}
}

// field has one value read and looks at whether it was just one.
func (d *Decoder) field(keyAt int, key int64, read func(int64) bool) {
	depth, left := d.afterOne()
	if !read(key) {
		if d.err == nil {
			d.err = &Error{Off: keyAt, Err: ErrUnknownKey, Key: key}
		}
		return
	}
	if d.err == nil && (d.depth != depth || depth > 0 && d.open[depth-1].left != left) {
		d.fail(d.off, ErrUnread)
	}
}

// afterOne tells which container will be the innermost open one when the next
// item is complete, and how much will be left in it.
func (d *Decoder) afterOne() (depth, left int) {
	for depth = d.depth; depth > 0; depth-- {
		if left = d.open[depth-1].left - 1; left > 0 {
			return depth, left
		}
	}
	return 0, 0
}
