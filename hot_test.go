package nanolock

import (
	"math"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// Both twins of hot against plain arithmetic, where it overflows too.
func TestHotAllows(t *testing.T) {
	until := []uint32{0, 24, 24, 0, 40, 50, 0, 64}
	edges := []uint64{0, 1, 7, 8, 9, 15, 16, 23, 24, 25, 31, 32, 33, 40, 47, 48, 55, 56, 57, 63, 64, 65,
		1 << 31, 1 << 32, 1<<35 + 8, 1 << 47, 1<<63 - 1, 1 << 63, math.MaxUint64 - 8, math.MaxUint64 - 1, math.MaxUint64}
	for _, mapped := range []bool{false, true} {
		var mem []byte
		if mapped {
			mem = make([]byte, 64)
			for i := range mem {
				mem[i] = byte(i)
			}
		}
		var h hot
		h.set(until, 3, 64, mem)
		if h.mapped() != mapped {
			t.Errorf("mapped: %v", h.mapped())
		}
		for _, o := range edges {
			for n := uint64(1); n <= 70; n++ {
				want := o < 64 && n <= 64-o && o+n <= uint64(until[o/8])
				if got := h.allows(o, n); got != want {
					t.Fatalf("allows(%d, %d) = %v, want %v", o, n, got, want)
				}
				if mapped && want {
					p := make([]byte, n)
					if h.copyTo(p, o); p[0] != byte(o) || p[n-1] != byte(o+n-1) {
						t.Fatalf("copyTo(%d, %d)", o, n)
					}
				}
			}
			for _, n := range edges { // lengths that no slice has do not wrap into a run either
				if n <= math.MaxInt64 && n > 0 && h.allows(o, n) != (o < 64 && n <= 64 && o+n <= uint64(until[o/8])) {
					t.Fatalf("allows(%d, %d)", o, n)
				}
			}
		}
	}
	if new(hot).allows(0, 1) || new(hot).allows(0, 0) || new(hot).mapped() {
		t.Error("the zero hot allows")
	}
}

// A table that would lead out of the memory is refused before it is used.
func TestCheckHot(t *testing.T) {
	for name, tc := range map[string]struct {
		until []uint32
		shift uint
		size  int64
		mem   []byte
	}{
		"end behind the memory": {[]uint32{0, 17}, 3, 16, nil},
		"table behind it":       {[]uint32{0, 0, 0}, 3, 16, nil},
		"mapping too short":     {[]uint32{8, 16}, 3, 16, make([]byte, 15)},
		"mapping too long":      {[]uint32{8, 16}, 3, 16, make([]byte, 17)},
		"negative size":         {nil, 3, -1, nil},
		"shift":                 {nil, 63, 16, nil},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			new(hot).set(tc.until, tc.shift, tc.size, tc.mem)
		}()
	}
	new(hot).set([]uint32{8, 16}, 3, 16, make([]byte, 16))
}

// An access across a flipped region's border is nobody's: it is refused rather
// than read from one of the two places.
func TestReadFlippedBorder(t *testing.T) {
	s := &snap{flips: []flip{{region: nvm.Span{Off: 16, Len: 16}, slot: nvm.Span{Off: 64, Len: 16}}}}
	for _, off := range []int64{8, 24} {
		if n, err := new(Handle).readFlipped(s, make([]byte, 16), off); n != 0 || err != nvm.ErrRange {
			t.Errorf("at %d: %d, %v", off, n, err)
		}
	}
}
