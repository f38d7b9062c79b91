package cbor

import (
	"bytes"
	"math/rand/v2"
	"runtime/metrics"
	"testing"
)

// transcode reads one item with the typed methods and writes it again.
func transcode(d *Decoder, b []byte) []byte {
	switch d.Peek() {
	case Uint:
		return AppendUint(b, d.Uint())
	case Negative:
		probe := *d
		if v := probe.Int(); probe.Err() == nil {
			*d = probe
			return AppendInt(b, v)
		}
		return append(b, d.Raw()...) // below int64
	case Bytes:
		return AppendBytes(b, d.Bytes(len(d.b)))
	case Text:
		return AppendText(b, d.Text(len(d.b)))
	case Bool:
		return AppendBool(b, d.Bool())
	case Tag:
		return transcode(d, AppendTag(b, d.Tag()))
	case Array:
		n := d.Array(len(d.b))
		b = AppendArray(b, n)
		for range n {
			b = transcode(d, b)
		}
		return b
	case Map:
		n := d.Map(len(d.b))
		b = AppendMap(b, n)
		for range 2 * n {
			b = transcode(d, b)
		}
		return b
	}
	d.Null()
	return AppendNull(b)
}

// random appends a random item that is at most depth deep.
func random(r *rand.Rand, b []byte, depth int) []byte {
	kind := r.IntN(9)
	if depth == 0 {
		kind = r.IntN(6)
	}
	switch kind {
	case 0:
		return AppendUint(b, r.Uint64()>>r.IntN(64))
	case 1:
		return AppendInt(b, -int64(r.Uint64()>>(1+r.IntN(63))))
	case 2:
		return AppendBytes(b, make([]byte, r.IntN(300)))
	case 3:
		return AppendText(b, string([]rune("aé水𐅑")[:r.IntN(5)]))
	case 4:
		return AppendBool(b, r.IntN(2) == 0)
	case 5:
		return AppendNull(b)
	case 6:
		return random(r, AppendTag(b, 4+r.Uint64()>>(1+r.IntN(60))), depth-1)
	case 7:
		n := r.IntN(30)
		b = AppendArray(b, n)
		for range n {
			b = random(r, b, depth-1)
		}
		return b
	}
	seen := map[string]bool{}
	var entries []Entry
	for range r.IntN(12) {
		if k := random(r, nil, depth-1); !seen[string(k)] {
			seen[string(k)] = true
			entries = append(entries, Entry{k, random(r, nil, depth-1)})
		}
	}
	b, err := AppendEntries(b, entries)
	if err != nil {
		panic(err)
	}
	return b
}

func TestEncodeDecodeIdentity(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := random(r, nil, 1+r.IntN(3))
		if err := Valid(b); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		d := NewDecoder(b)
		if again := transcode(d, nil); d.End() != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x\nbecame %x (%v)", b, again, d.Err())
		}
	}
}

// allocated is the number of bytes ever allocated on the heap.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func seed(f *testing.F) {
	for _, v := range appendixA {
		f.Add(unhex(f, v.hex))
	}
	for _, v := range malformed {
		if len(v.hex) < 100 {
			f.Add(unhex(f, v.hex))
		}
	}
}

// FuzzValid: what Valid accepts has one encoding, the typed methods read it, and
// nothing costs more than the input is long.
func FuzzValid(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := allocated()
		err := Valid(b)
		d := NewDecoder(b)
		again := transcode(d, nil)
		end := d.End()
		if n := allocated() - before; n > 1<<20+64*uint64(len(b)) {
			t.Errorf("%d bytes allocated for %d", n, len(b))
		}
		if (err == nil) != (end == nil) {
			t.Fatalf("Valid: %v, typed methods: %v", err, end)
		}
		if err == nil && !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// FuzzDecoder calls the methods in any order on any input: no panic, errors
// stick, and what it reads lies inside the input.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{4, 2, 9}, unhex(f, "a201020304"))
	f.Add([]byte{7, 9, 9, 9, 10}, unhex(f, "8301820203820405"))
	f.Add([]byte{11, 1, 2}, unhex(f, "a301070282030420 6161"))
	f.Fuzz(func(t *testing.T, calls, b []byte) {
		d := NewDecoder(b)
		for _, c := range calls {
			failed, off, limit := d.Err(), d.off, int(c>>4)
			call(d, c%16, limit)
			if failed != nil && (d.Err() != failed || d.off != off) {
				t.Fatal("an error did not stick")
			}
			if d.off < off || d.off > len(b) || d.depth > MaxDepth {
				t.Fatalf("went from %d to %d of %d", off, d.off, len(b))
			}
		}
		if d.End() == nil && Valid(b) != nil {
			t.Fatal("read to the end of an invalid item")
		}
	})
}

func call(d *Decoder, which byte, limit int) {
	switch which {
	case 0:
		d.Uint()
	case 1:
		d.Int()
	case 2:
		d.Bytes(limit)
	case 3:
		d.Text(limit)
	case 4:
		d.Map(limit)
	case 5:
		d.Bool()
	case 6:
		d.Null()
	case 7:
		d.Array(limit)
	case 8:
		d.Tag()
	case 9:
		d.Raw()
	case 10:
		d.ArrayOf(limit)
	case 11:
		d.Fields([]int64{1, int64(limit)}, func(int64) bool { d.Raw(); return limit != 3 })
	case 12:
		d.BytesOf(limit)
	case 13:
		d.UintMax(uint64(limit))
	case 14:
		d.Peek()
	default:
		d.Fields(nil, func(int64) bool { return true })
	}
}
