package nvm_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// FuzzSpan compares In with sums that cannot overflow, and the relations of
// spans with a look at their bytes.
func FuzzSpan(f *testing.F) {
	for _, v := range []int64{0, 1, -1, 4096, math.MaxInt64, math.MinInt64} {
		f.Add(v, int64(1), int64(4096), uint8(3), uint8(4), uint8(5), uint8(6))
		f.Add(int64(1), v, int64(4096), uint8(0), uint8(0), uint8(0), uint8(9))
		f.Add(int64(1), int64(2), v, uint8(10), uint8(10), uint8(12), uint8(2))
	}
	f.Fuzz(func(t *testing.T, off, n, size int64, a, b, c, d uint8) {
		end := new(big.Int).Add(big.NewInt(off), big.NewInt(n))
		want := off >= 0 && n >= 0 && end.Cmp(big.NewInt(size)) <= 0
		if got := (nvm.Span{Off: off, Len: n}).In(size); got != want {
			t.Errorf("(%d+%d).In(%d) = %v", off, n, size, got)
		}
		s, u := nvm.Span{Off: int64(a), Len: int64(b)}, nvm.Span{Off: int64(c), Len: int64(d)}
		shared := int64(0)
		for i := u.Off; i < u.Off+u.Len; i++ {
			if i >= s.Off && i < s.Off+s.Len {
				shared++
			}
		}
		if s.Overlaps(u) != (shared > 0) || s.Intersect(u).Len != shared || s.Intersect(u) != u.Intersect(s) {
			t.Errorf("%v and %v share %d bytes: %v, %v", s, u, shared, s.Overlaps(u), s.Intersect(u))
		}
		if u.Len > 0 && s.Contains(u) != (shared == u.Len) {
			t.Errorf("%v.Contains(%v) = %v", s, u, s.Contains(u))
		}
	})
}
