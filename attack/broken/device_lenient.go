package broken

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/nanolock/nanolock/internal/cbor"
)

// tolerate turns what a lenient reader takes into the one encoding that it has. A
// model without such a bug gets what came.
func (m *model) tolerate(b []byte, payload bool) ([]byte, error) {
	switch m.bug {
	case "trailing-ignored", "indefinite-accepted", "last-key-wins", "first-key-wins", "unknown-fields-ignored",
		"unprotected-ignored", "long-integers-accepted", "nesting-panics", "lengths-believed":
	default:
		return b, nil
	}
	t := &tolerant{bug: m.bug, in: b, payload: payload}
	out, err := t.item(0)
	if err != nil {
		return nil, err
	}
	if len(t.in) > 0 && m.bug != "trailing-ignored" {
		return nil, errRefused
	}
	return out, nil
}

// tolerant is a reader of CBOR that forgives one thing.
type tolerant struct {
	bug     string
	in      []byte
	payload bool
	stack   [1 << 10]byte // of what is open; a small device has a small one
}

// head reads the head of an item. open is true where its length is indefinite.
func (t *tolerant) head() (major byte, n uint64, open bool, err error) {
	if len(t.in) == 0 {
		return 0, 0, false, errRefused
	}
	b := t.in[0]
	major, t.in = b>>5, t.in[1:]
	info := b & 31
	switch {
	case info < 24:
		return major, uint64(info), false, nil
	case info == 31 && (t.bug == "indefinite-accepted") && major >= 2 && major <= 5:
		return major, 0, true, nil
	case info > 27:
		return 0, 0, false, errRefused
	}
	size := 1 << (info - 24)
	if len(t.in) < size {
		return 0, 0, false, errRefused
	}
	var word [8]byte
	copy(word[8-size:], t.in[:size])
	t.in = t.in[size:]
	n = binary.BigEndian.Uint64(word[:])
	short := n < 24 || size > 1 && n < 1<<(4*size)
	if short && t.bug != "long-integers-accepted" {
		return 0, 0, false, errRefused
	}
	return major, n, false, nil
}

func (t *tolerant) end() bool {
	if len(t.in) > 0 && t.in[0] == 0xff {
		t.in = t.in[1:]
		return true
	}
	return false
}

// item reads one item and returns its sound encoding.
func (t *tolerant) item(depth int) ([]byte, error) {
	if t.bug == "nesting-panics" {
		t.stack[depth] = 1
	} else if depth > 16 {
		return nil, errRefused
	}
	major, n, open, err := t.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case 0:
		return cbor.AppendUint(nil, n), nil
	case 1:
		return cbor.AppendInt(nil, -1-int64(n)), nil
	case 2, 3:
		if open {
			return nil, errRefused
		}
		return t.text(major, n)
	case 4:
		return t.array(depth, n, open)
	case 5:
		return t.fields(depth, n, open)
	case 6:
		inner, err := t.item(depth + 1)
		return append(cbor.AppendTag(nil, n), inner...), err
	}
	if n == 22 {
		return cbor.AppendNull(nil), nil
	}
	return nil, errRefused
}

func (t *tolerant) text(major byte, n uint64) ([]byte, error) {
	if t.bug == "lengths-believed" && n <= 1<<29 {
		room := make([]byte, n) // before a look at how much there is
		if n > uint64(copy(room, t.in)) {
			return nil, errRefused
		}
	}
	if n > uint64(len(t.in)) {
		return nil, errRefused
	}
	b := t.in[:n]
	t.in = t.in[n:]
	if major == 3 {
		return cbor.AppendText(nil, string(b)), nil
	}
	return cbor.AppendBytes(nil, b), nil
}

func (t *tolerant) array(depth int, n uint64, open bool) ([]byte, error) {
	var items [][]byte
	for i := uint64(0); open || i < n; i++ {
		if open && t.end() {
			break
		}
		b, err := t.item(depth + 1)
		if err != nil {
			return nil, err
		}
		if t.bug == "unprotected-ignored" && !t.payload && i == 1 && len(b) > 0 && b[0]>>5 == 5 {
			b = cbor.AppendMap(nil, 0)
		}
		items = append(items, b)
	}
	return append(cbor.AppendArray(nil, len(items)), slices.Concat(items...)...), nil
}

func (t *tolerant) fields(depth int, n uint64, open bool) ([]byte, error) {
	var all []cbor.Entry
	for i := uint64(0); open || i < n; i++ {
		if open && t.end() {
			break
		}
		key, err := t.item(depth + 1)
		if err != nil {
			return nil, err
		}
		value, err := t.item(depth + 1)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(all, func(e cbor.Entry) bool { return bytes.Equal(e.Key, key) })
		switch {
		case at >= 0 && t.bug == "last-key-wins":
			all[at].Value = value
		case at >= 0 && t.bug == "first-key-wins":
		case at >= 0:
			return nil, errRefused
		case t.bug == "unknown-fields-ignored" && t.payload && depth == 0 && len(key) == 1 && key[0] > 8:
		default:
			all = append(all, cbor.Entry{Key: key, Value: value})
		}
	}
	return cbor.AppendEntries(nil, all)
}
