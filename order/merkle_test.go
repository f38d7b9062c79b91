package order_test

import (
	"crypto/sha256"
	"math/bits"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/order"
)

func leafHash(b []byte) [32]byte { return sha256.Sum256(append([]byte{0}, b...)) }

func nodeHash(l, r [32]byte) [32]byte {
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}

// mth and path are RFC 9162 §2.1.1 and §2.1.3.1 word for word: they split at the
// largest power of two below the number of leaves.
func mth(d [][32]byte) [32]byte {
	if len(d) == 1 {
		return d[0]
	}
	k := 1 << (bits.Len(uint(len(d)-1)) - 1)
	return nodeHash(mth(d[:k]), mth(d[k:]))
}

func path(m int, d [][32]byte) [][32]byte {
	if len(d) == 1 {
		return nil
	}
	k := 1 << (bits.Len(uint(len(d)-1)) - 1)
	if m < k {
		return append(path(m, d[:k]), mth(d[k:]))
	}
	return append(path(m-k, d[k:]), mth(d[:k]))
}

func TestTree(t *testing.T) {
	for n := 1; n <= 67; n++ {
		var leaves [][32]byte
		for i := range n {
			leaves = append(leaves, leafHash([]byte{byte(i)}))
		}
		if order.Root(leaves) != mth(leaves) {
			t.Fatalf("root of %d", n)
		}
		for i := range n {
			p := path(i, leaves)
			if got := order.Path(leaves, i); !slices.Equal(got, p) {
				t.Fatalf("path of %d in %d: %x", i, n, got)
			}
			if r, ok := order.RootFrom(leaves[i], uint64(i), uint64(n), p); !ok || r != mth(leaves) {
				t.Fatalf("%d of %d is not in", i, n)
			}
			for _, wrong := range []struct{ index, count int }{{i, n + n}, {i + 1, n}, {i, i}, {n, n}} {
				r, ok := order.RootFrom(leaves[i], uint64(wrong.index), uint64(wrong.count), p)
				if ok && r == mth(leaves) {
					t.Errorf("%d of %d passes for %v", i, n, wrong)
				}
				if ok && wrong.index >= wrong.count {
					t.Errorf("%v is a place", wrong)
				}
			}
		}
	}
}
