package cbor

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// point reads {1: x, 2: [y…], ? -1: note}.
type point struct {
	x    uint64
	y    []uint64
	note string
}

func (p *point) read(d *Decoder) {
	d.Fields([]int64{1, 2}, func(key int64) bool {
		switch key {
		case 1:
			p.x = d.Uint()
		case 2:
			for range d.Array(4) {
				p.y = append(p.y, d.Uint())
			}
		case -1:
			p.note = d.Text(8)
		default:
			return false
		}
		return true
	})
}

func TestFields(t *testing.T) {
	for _, v := range []struct {
		name, hex string
		want      error
		key       int64
	}{
		{"all", "a30107028203042061 61", nil, 0},
		{"without the optional", "a201070280", nil, 0},
		{"unknown key", "a3010702800300", ErrUnknownKey, 3},
		{"unknown first", "a3000001070280", ErrUnknownKey, 0},
		{"first missing", "a10280", ErrMissingKey, 1},
		{"last missing", "a2010720 6161", ErrMissingKey, 2},
		{"empty", "a0", ErrMissingKey, 1},
		{"text key", "a1616100", ErrType, 0},
		{"huge key", "a11bffffffffffffffff00", ErrLimit, 0},
		{"twice", "a2010701070280", ErrDuplicate, 0},
		{"not a map", "80", ErrType, 0},
		{"bad value", "a201070261 61", ErrType, 0},
		{"trailing", "a20107028000", ErrTrailing, 0},
		{"cut", "a2010702", ErrTruncated, 0},
	} {
		var p point
		d := NewDecoder(unhex(t, v.hex))
		p.read(d)
		err := d.End()
		var e *Error
		if !errors.Is(err, v.want) || (err == nil) != (v.want == nil) {
			t.Errorf("%s: %v, want %v", v.name, err, v.want)
		} else if errors.As(err, &e) && e.Key != v.key {
			t.Errorf("%s: key %d, want %d", v.name, e.Key, v.key)
		}
	}
}

func TestFieldsNested(t *testing.T) {
	// {1: {1: 7, 2: [3]}, 2: {1: 8, 2: []}} inside an array, followed by a number.
	d := NewDecoder(unhex(t, "82 a2 01 a201070281 03 02 a201080280 05"))
	var p, q point
	d.ArrayOf(2)
	d.Fields(nil, func(key int64) bool {
		if key == 1 {
			p.read(d)
		} else {
			q.read(d)
		}
		return true
	})
	if n := d.Uint(); n != 5 || d.End() != nil || p.x != 7 || q.x != 8 || !slices.Equal(p.y, []uint64{3}) {
		t.Errorf("%v %v %d %v", p, q, n, d.Err())
	}
}

// A reader that takes too little or too much is caught, also at the last value
// and where the map is the last item of all.
func TestFieldsReadsExactlyOne(t *testing.T) {
	for _, v := range []struct {
		name, hex string
		read      func(d *Decoder)
	}{
		{"nothing", "a201020304", func(*Decoder) {}},
		{"nothing at the end", "a10102", func(*Decoder) {}},
		{"two", "a201020304", func(d *Decoder) { d.Uint(); d.Uint() }},
		{"beyond the map", "a101020304", func(d *Decoder) { d.Uint(); d.Uint() }},
		{"half an array", "a20182020203 04", func(d *Decoder) { d.Array(2); d.Uint() }},
		{"half an array at the end", "a101820202", func(d *Decoder) { d.Array(2); d.Uint() }},
	} {
		d := NewDecoder(append([]byte{0x83}, append(unhex(t, v.hex), 0, 0)...))
		d.ArrayOf(3)
		d.Fields(nil, func(int64) bool { v.read(d); return true })
		if !errors.Is(d.Err(), ErrUnread) {
			t.Errorf("%s: %v", v.name, d.Err())
		}
	}
}

func TestFieldsRequiresAtMost64(t *testing.T) {
	b, required := AppendMap(nil, 65), []int64{}
	for i := range int64(65) {
		b = AppendBool(AppendInt(b, i), true)
		required = append(required, i)
	}
	for n, want := range map[int]error{64: nil, 65: ErrMissingKey} {
		d := NewDecoder(b)
		d.Fields(required[:n], func(int64) bool { return d.Bool() })
		if err := d.End(); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestCompareKeys(t *testing.T) {
	keys := []int64{-70001, 3, -1, 0, math.MinInt64, 24, math.MaxInt64, -25, 23, 256, -257}
	slices.SortFunc(keys, CompareKeys)
	b := AppendMap(nil, len(keys))
	for _, k := range keys {
		b = AppendNull(AppendInt(b, k))
	}
	if err := Valid(b); err != nil {
		t.Errorf("%v: %v", keys, err)
	}
	if CompareKeys(-3, -3) != 0 || CompareKeys(3, 3) != 0 {
		t.Error("a key is not equal to itself")
	}
}

func TestAppendEntries(t *testing.T) {
	text := func(s string) []byte { return AppendText(nil, s) }
	e := []Entry{{text("bb"), AppendUint(nil, 2)}, {text("c"), AppendUint(nil, 3)}, {AppendInt(nil, -1), AppendUint(nil, 1)}}
	b, err := AppendEntries([]byte{0x81}, e)
	if err != nil || Valid(b) != nil || string(b) != string(unhex(t, "81a3 2001 616303 62626202")) {
		t.Errorf("%x, %v", b, err)
	}
	b, err = AppendEntries([]byte{0x81}, append(e, Entry{text("c"), text("again")}))
	if !errors.Is(err, ErrDuplicate) || len(b) != 1 {
		t.Errorf("%x, %v", b, err)
	}
}

func TestNegativeCounts(t *testing.T) {
	if b := AppendMap(AppendArray(nil, -1), -5); string(b) != "\x80\xa0" {
		t.Errorf("%x", b)
	}
}
