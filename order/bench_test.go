package order_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/order"
)

// bare are the verifications of a message's signatures and nothing else.
func bare(b *testing.B, s cose.Suite, msg []byte, n byte) (halves []func() error) {
	key := signer(s, n).Public()
	tbs, err := cose.New(parse(b, msg).Payload()).ToBeSigned(cose.Order, key)
	if err != nil {
		b.Fatal(err)
	}
	for i, a := range s.Algs() {
		sig, err := signer(s, n).SignHalf(a, tbs[i])
		if err != nil {
			b.Fatal(err)
		}
		halves = append(halves, func() error { return key.VerifyHalf(a, tbs[i], sig) })
	}
	return halves
}

// BenchmarkOpen opens a grant, and compares that with the bare verifications of
// its signatures in the same run, turn by turn: "ratio" is the median of the
// turns' ratios, so that what slows the machine slows both sides.
func BenchmarkOpen(b *testing.B) {
	for _, s := range suites {
		b.Run("suite="+s.String(), func(b *testing.B) {
			msg, k := signed(b, s, sampleOrder(b, order.Grant)), ring(b, s)
			halves := bare(b, s, msg, serviceKey)
			var ratios, whole []float64
			b.ReportAllocs()
			for b.Loop() {
				t0 := time.Now()
				if _, err := k.Open(msg, device, epoch); err != nil {
					b.Fatal(err)
				}
				t1 := time.Now()
				for _, verify := range halves {
					if err := verify(); err != nil {
						b.Fatal(err)
					}
				}
				t2 := time.Now()
				whole = append(whole, float64(t1.Sub(t0)))
				ratios = append(ratios, float64(t1.Sub(t0))/float64(t2.Sub(t1)))
			}
			slices.Sort(ratios)
			slices.Sort(whole)
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(whole[len(whole)/2], "open-ns")
		})
	}
}

// BenchmarkForeign is what another device's order costs: no signature is looked at.
func BenchmarkForeign(b *testing.B) {
	o := sampleOrder(b, order.Grant)
	o.Device[0]++
	msg, k := signed(b, cose.Ed25519MLDSA65, o), ring(b, cose.Ed25519MLDSA65)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open(msg, device, epoch); err == nil {
			b.Fatal("accepted")
		}
	}
}

// BenchmarkBatch makes batches of 100 000 orders, and leaves of them.
func BenchmarkBatch(b *testing.B) {
	orders := fleet(100_000)
	batch, err := order.NewBatch(orders)
	if err != nil {
		b.Fatal(err)
	}
	env := sealed(b, batch.Payload(), cose.Batch, signer(cose.Ed25519, ownerKey))
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			if _, err := order.NewBatch(orders); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(orders)), "ns/order")
	})
	b.Run("leaf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := batch.Leaf(env, 77_777); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		k := ring(b, cose.Ed25519)
		leaf, err := batch.Leaf(env, 77_777)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := k.Open(leaf, orders[77_777].Device, epoch); err != nil {
				b.Fatal(err)
			}
		}
	})
}
