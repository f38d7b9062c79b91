package policy_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime/metrics"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// cborAllocated is the number of bytes ever allocated on the heap.
func cborAllocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// cborCost is what reading n bytes may allocate. A state of a region takes four
// bytes on the wire and the better part of a table of a map here; the first
// megabyte is what else goes on in the process.
func cborCost(n int) uint64 { return 1<<20 + 200*uint64(n) }

// FuzzPolicyCBOR: no input panics or costs more than its length explains, and
// what is accepted is written the same again.
func FuzzPolicyCBOR(f *testing.F) {
	f.Add(cborMarshal(f, cborGolden()))
	f.Add(cborMarshal(f, &policy.Policy{}))
	r := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		f.Add(cborMarshal(f, cborRandom(r)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p policy.Policy
		before := cborAllocated()
		err := p.UnmarshalBinary(b)
		if n := cborAllocated() - before; n > cborCost(len(b)) {
			t.Errorf("%d bytes allocated for %d", n, len(b))
		}
		if err != nil {
			if !errors.Is(err, policy.ErrEncoding) {
				t.Fatalf("not a typed error: %v", err)
			}
			return
		}
		if again := cborMarshal(t, &p); !bytes.Equal(again, b) {
			t.Fatalf("%x\nbecame %x", b, again)
		}
	})
}

// TestCBORMutants: single bytes of a policy changed. Most are refused; the rest
// are another policy with that very encoding.
func TestCBORMutants(t *testing.T) {
	good := cborMarshal(t, cborGolden())
	accepted := 0
	for i := range good {
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128} {
			b := bytes.Clone(good)
			b[i] ^= flip
			var p policy.Policy
			if p.UnmarshalBinary(b) != nil {
				continue
			}
			accepted++
			if again := cborMarshal(t, &p); !bytes.Equal(again, b) {
				t.Fatalf("byte %d ^ %d: accepted, but another encoding", i, flip)
			}
		}
	}
	if accepted == 0 {
		t.Error("no mutant was another policy: the test reaches nothing")
	}
}

// TestCBORLarge: the largest map goes both ways, and a claim of one that is not
// there costs nothing.
func TestCBORLarge(t *testing.T) {
	p := &policy.Policy{Map: make([]policy.Region, policy.MaxRegions)}
	for i := range p.Map {
		p.Map[i] = policy.Region{ID: uint32(i + 1), Name: "r", Span: nvm.Span{Off: int64(i) << 12, Len: 1 << 12}}
	}
	b := cborMarshal(t, p)
	var q policy.Policy
	before := cborAllocated()
	if err := q.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if n := cborAllocated() - before; n > cborCost(len(b)) {
		t.Errorf("%d bytes allocated for %d", n, len(b))
	}
	if len(q.Map) != len(p.Map) || q.Map[len(q.Map)-1].Span != p.Map[len(p.Map)-1].Span {
		t.Error("changed")
	}
	claim := append([]byte{0xa2, 1, 1, 5, 0x9a, 0, 2, 0, 0}, make([]byte, 1<<17)...)
	before = cborAllocated()
	if err := q.UnmarshalBinary(claim); err == nil {
		t.Error("accepted")
	}
	if n := cborAllocated() - before; n > 4<<20 {
		t.Errorf("%d bytes allocated for a claim", n)
	}
}
