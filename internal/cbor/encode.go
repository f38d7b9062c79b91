package cbor

import (
	"bytes"
	"cmp"
	"slices"
)

// Major types (RFC 8949 §3.1), in the upper three bits of an initial byte.
const (
	majorUint = iota << 5
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

// appendHead writes the shortest head for arg (RFC 8949 §4.2.1).
func appendHead(b []byte, major byte, arg uint64) []byte {
	switch {
	case arg < 24:
		return append(b, major|byte(arg))
	case arg < 1<<8:
		return append(b, major|24, byte(arg))
	case arg < 1<<16:
		return append(b, major|25, byte(arg>>8), byte(arg))
	case arg < 1<<32:
		return append(b, major|26, byte(arg>>24), byte(arg>>16), byte(arg>>8), byte(arg))
	}
	return append(b, major|27, byte(arg>>56), byte(arg>>48), byte(arg>>40), byte(arg>>32),
		byte(arg>>24), byte(arg>>16), byte(arg>>8), byte(arg))
}

// AppendUint appends an unsigned integer.
func AppendUint(b []byte, v uint64) []byte { return appendHead(b, majorUint, v) }

// AppendInt appends an integer.
func AppendInt(b []byte, v int64) []byte {
	if v < 0 {
		return appendHead(b, majorNegative, ^uint64(v))
	}
	return appendHead(b, majorUint, uint64(v))
}

// AppendBytes appends a byte string.
func AppendBytes(b, v []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(v))), v...)
}

// AppendText appends a text string. The result is valid only if v is UTF-8.
func AppendText(b []byte, v string) []byte {
	return append(appendHead(b, majorText, uint64(len(v))), v...)
}

// AppendBool appends true or false.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, majorSimple|simpleTrue)
	}
	return append(b, majorSimple|simpleFalse)
}

// AppendNull appends null.
func AppendNull(b []byte) []byte { return append(b, majorSimple|simpleNull) }

// AppendTag appends the number of a tag; the tagged item goes behind it.
func AppendTag(b []byte, number uint64) []byte { return appendHead(b, majorTag, number) }

// AppendArray appends the head of an array; its n items go behind it. A
// negative n counts as 0.
func AppendArray(b []byte, n int) []byte { return appendHead(b, majorArray, uint64(max(n, 0))) }

// AppendMap appends the head of a map; its n pairs go behind it, keys in the
// order of [CompareKeys], which [Valid] verifies. Where the order is not fixed
// in the source, use [AppendEntries]. A negative n counts as 0.
func AppendMap(b []byte, n int) []byte { return appendHead(b, majorMap, uint64(max(n, 0))) }

// CompareKeys orders integer keys as a deterministic map holds them: 0, 1, 2 …
// and behind all of these −1, −2 …
func CompareKeys(a, b int64) int {
	if a < 0 || b < 0 {
		return cmp.Compare(b, a)
	}
	return cmp.Compare(a, b)
}

// Entry is one pair of a map, both sides encoded.
type Entry struct{ Key, Value []byte }

// AppendEntries appends a whole map in deterministic order. It sorts entries in
// place; two equal keys are ErrDuplicate, and b is returned as it was.
func AppendEntries(b []byte, entries []Entry) ([]byte, error) {
	slices.SortFunc(entries, func(x, y Entry) int { return bytes.Compare(x.Key, y.Key) })
	for i := 1; i < len(entries); i++ {
		if bytes.Equal(entries[i-1].Key, entries[i].Key) {
			return b, &Error{Off: len(b), Err: ErrDuplicate}
		}
	}
	b = AppendMap(b, len(entries))
	for _, e := range entries {
		b = append(append(b, e.Key...), e.Value...)
	}
	return b, nil
}
