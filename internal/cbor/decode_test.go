package cbor

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
)

func TestIntegers(t *testing.T) {
	for _, v := range []int64{0, 1, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1,
		math.MaxInt64, -1, -24, -25, -256, -257, -65536, -65537, math.MinInt32, math.MinInt64} {
		d := NewDecoder(AppendInt(nil, v))
		if got := d.Int(); got != v || d.End() != nil {
			t.Errorf("%d: got %d, %v", v, got, d.Err())
		}
	}
	for _, v := range []uint64{0, 23, 24, math.MaxInt64 + 1, math.MaxUint64} {
		d := NewDecoder(AppendUint(nil, v))
		if got := d.Uint(); got != v || d.End() != nil {
			t.Errorf("%d: got %d, %v", v, got, d.Err())
		}
	}
}

// Every read of a wrong kind or beyond a limit is refused as ErrSchema, and
// from then on everything is.
func TestSchema(t *testing.T) {
	for _, v := range []struct {
		name, hex string
		read      func(*Decoder)
		want      error
	}{
		{"uint of text", "6161", func(d *Decoder) { d.Uint() }, ErrType},
		{"uint of negative", "20", func(d *Decoder) { d.Uint() }, ErrType},
		{"uint over the limit", "0b", func(d *Decoder) { d.UintMax(10) }, ErrLimit},
		{"int of bytes", "40", func(d *Decoder) { d.Int() }, ErrType},
		{"int above int64", "1b8000000000000000", func(d *Decoder) { d.Int() }, ErrLimit},
		{"int below int64", "3b8000000000000000", func(d *Decoder) { d.Int() }, ErrLimit},
		{"bytes of text", "60", func(d *Decoder) { d.Bytes(9) }, ErrType},
		{"bytes over the limit", "43010203", func(d *Decoder) { d.Bytes(2) }, ErrLimit},
		{"bytes under a negative limit", "40", func(d *Decoder) { d.Bytes(-1) }, ErrLimit},
		{"bytes too short", "4101", func(d *Decoder) { d.BytesOf(2) }, ErrLimit},
		{"bytes too long", "43010203", func(d *Decoder) { d.BytesOf(2) }, ErrLimit},
		{"text of bytes", "40", func(d *Decoder) { d.Text(9) }, ErrType},
		{"text over the limit", "6161", func(d *Decoder) { d.Text(0) }, ErrLimit},
		{"array of map", "a0", func(d *Decoder) { d.Array(9) }, ErrType},
		{"array over the limit", "820000", func(d *Decoder) { d.Array(1) }, ErrLimit},
		{"array too short", "8100", func(d *Decoder) { d.ArrayOf(2) }, ErrLimit},
		{"array too long", "83000000", func(d *Decoder) { d.ArrayOf(2) }, ErrLimit},
		{"map of array", "80", func(d *Decoder) { d.Map(9) }, ErrType},
		{"map over the limit", "a10000", func(d *Decoder) { d.Map(0) }, ErrLimit},
		{"bool of null", "f6", func(d *Decoder) { d.Bool() }, ErrType},
		{"null of bool", "f4", func(d *Decoder) { d.Null() }, ErrType},
		{"tag of integer", "00", func(d *Decoder) { d.Tag() }, ErrType},
		{"unread item", "820000", func(d *Decoder) { d.Array(2); d.Uint() }, ErrUnread},
		{"nothing read", "00", func(*Decoder) {}, ErrUnread},
	} {
		d := NewDecoder(unhex(t, v.hex))
		v.read(d)
		err := d.End()
		if !errors.Is(err, v.want) || !errors.Is(err, ErrSchema) || errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v, want %v", v.name, err, v.want)
		}
		if d.Uint() != 0 || d.Int() != 0 || d.Bytes(9) != nil || d.Text(9) != "" || d.Bool() || d.Tag() != 0 ||
			d.Array(9) != 0 || d.Map(9) != 0 || d.Raw() != nil || d.Peek() != Invalid {
			t.Errorf("%s: a value after the error", v.name)
		}
		if d.Fail(io.EOF); d.Err() != err {
			t.Errorf("%s: the first error did not stay", v.name)
		}
	}
}

// A value that is a key out of order must not come back as a value.
func TestKeyOutOfOrderReadsZero(t *testing.T) {
	d := NewDecoder(unhex(t, "a205000300"))
	d.Map(2)
	d.Uint()
	d.Uint()
	if got := d.Uint(); got != 0 || !errors.Is(d.Err(), ErrOrder) {
		t.Errorf("%d, %v", got, d.Err())
	}
	d = NewDecoder(unhex(t, "a2420505004203 0300"))
	d.Map(2)
	d.Bytes(2)
	d.Uint()
	if got := d.Bytes(2); got != nil || !errors.Is(d.Err(), ErrOrder) {
		t.Errorf("%x, %v", got, d.Err())
	}
	d = NewDecoder(unhex(t, "a281000080 00"))
	d.Map(2)
	d.Raw()
	d.Uint()
	if got := d.Array(1); got != 0 || !errors.Is(d.Err(), ErrOrder) {
		t.Errorf("%d, %v", got, d.Err())
	}
}

func TestMixed(t *testing.T) {
	b := AppendTag(nil, 98)
	b = AppendArray(b, 5)
	b = AppendBytes(b, []byte{1, 2, 3})
	b = AppendMap(b, 2)
	b = AppendText(AppendInt(b, 1), "één")
	b = AppendBool(AppendInt(b, -1), true)
	b = AppendNull(b)
	b = AppendBool(b, false)
	b = AppendArray(b, 0)

	d := NewDecoder(b)
	kinds := []Kind{d.Peek()}
	peek := func() { kinds = append(kinds, d.Peek()) }
	if d.Tag() != 98 {
		t.Error("tag")
	}
	peek()
	d.ArrayOf(5)
	peek()
	if got := d.BytesOf(3); !bytes.Equal(got, []byte{1, 2, 3}) || cap(got) != 3 || &got[0] != &b[4] {
		t.Errorf("bytes %x, cap %d: not a clipped part of the input", got, cap(got))
	}
	peek()
	if d.Map(2) != 2 || d.Int() != 1 {
		t.Error("map")
	}
	peek()
	if d.Text(5) != "één" || d.Int() != -1 || !d.Bool() {
		t.Error("pairs")
	}
	peek()
	d.Null()
	peek()
	if d.Bool() {
		t.Error("bool")
	}
	if d.Array(0) != 0 || d.End() != nil {
		t.Error(d.Err())
	}
	peek()
	want := []Kind{Tag, Array, Bytes, Map, Text, Null, Bool, Invalid}
	for i, k := range kinds {
		if k != want[i] {
			t.Errorf("peek %d: %d, want %d", i, k, want[i])
		}
	}
	if d.Uint(); !errors.Is(d.Err(), ErrTrailing) {
		t.Errorf("a second item: %v", d.Err())
	}
}

func TestRaw(t *testing.T) {
	b := unhex(t, "83 a201820203 20f6 c1 81 626162 3bffffffffffffffff")
	d := NewDecoder(b)
	d.ArrayOf(3)
	for i, want := range []string{"a20182020320f6", "c181626162", "3bffffffffffffffff"} {
		if got := d.Raw(); !bytes.Equal(got, unhex(t, want)) || cap(got) != len(got) {
			t.Errorf("item %d: %x, want %s", i, got, want)
		}
	}
	if err := d.End(); err != nil {
		t.Error(err)
	}
}

func TestPeekRefusesWhatNothingReads(t *testing.T) {
	for _, s := range []string{"1c", "5f", "9f", "ff", "f7", "f8ff", "f90000", "e0"} {
		if k := NewDecoder(unhex(t, s)).Peek(); k != Invalid {
			t.Errorf("%s: kind %d", s, k)
		}
	}
}

func TestFail(t *testing.T) {
	d := NewDecoder(unhex(t, "820102"))
	d.ArrayOf(2)
	d.Uint()
	d.Fail(nil)
	d.Fail(io.ErrNoProgress)
	var e *Error
	if err := d.End(); !errors.Is(err, io.ErrNoProgress) || !errors.As(err, &e) || e.Off != 2 {
		t.Errorf("%v", err)
	}
}

func TestClaimsCostNothing(t *testing.T) {
	for _, s := range []string{"5bffffffffffffffff", "7b00000fffffffffff", "9bffffffffffffffff", "bb00000fffffffffff", "9a7fffffff"} {
		b := unhex(t, s)
		if n := testing.AllocsPerRun(100, func() { _ = Valid(b) }); n > 2 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
	b := unhex(t, "a201820203206449455446")
	if n := testing.AllocsPerRun(100, func() { _ = Valid(b) }); n > 1 {
		t.Errorf("a valid item: %v allocations", n)
	}
}

func BenchmarkValid(b *testing.B) {
	m := AppendMap(nil, 64)
	for i := range 64 {
		m = AppendBytes(AppendUint(m, uint64(i)), make([]byte, 32))
	}
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		if Valid(m) != nil {
			b.Fatal("invalid")
		}
	}
}
