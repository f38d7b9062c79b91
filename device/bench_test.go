package device_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// BenchmarkOpen is a clean start over a vault of 64 KiB (NAND: 256 KiB), with
// every signature verified.
func BenchmarkOpen(b *testing.B) {
	for _, m := range []sim.Config{rig.NOR(), rig.ECCNOR(), rig.NAND(), rig.File()} {
		b.Run("memory="+m.Name, func(b *testing.B) {
			r, w, _ := provisioned(b, m, newChip("bench"))
			config := &device.Config{Vault: r.Policy.Area("vault").Span}
			b.ReportAllocs()
			for b.Loop() {
				d, err := device.Open(ctx, w.flash, w.chip, config)
				ok(b, err)
				ok(b, d.Close())
			}
		})
	}
}

// BenchmarkHost compares a host's reads of a deployed device with those of a bare
// Lock under the same policy: A/B, interleaved, and A/A as the measure of what the
// machine makes of it. ratio is the median over rounds of B/A.
func BenchmarkHost(b *testing.B) {
	r, w, config := provisioned(b, rig.NOR(), newChip("bench"))
	mem := &flat{geo: w.flash.Geometry(), b: make([]byte, w.flash.Geometry().Size)}
	ok(b, w.flash.Peek(mem.b, 0))
	d, err := device.Open(ctx, mem, w.chip, config)
	ok(b, err)
	lock, err := nanolock.New(mem, r.Policy, &nanolock.Config{State: policy.Deployed})
	ok(b, err)
	for _, size := range []int{16, 256, 4096} {
		for _, pair := range []struct {
			name string
			a, b *nanolock.Handle
		}{{"device", lock.Host(), d.Host()}, {"same", lock.Host(), lock.Host()}} {
			b.Run(fmt.Sprintf("bytes=%d/pair=%s", size, pair.name), func(b *testing.B) {
				p := make([]byte, size)
				read := func(h *nanolock.Handle) time.Duration {
					start := time.Now()
					for i := range 2000 {
						if _, err := h.ReadAt(p, int64(i&7)); err != nil {
							b.Fatal(err)
						}
					}
					return time.Since(start)
				}
				var ratios []float64
				for i := 0; b.Loop(); i++ {
					var x, y time.Duration
					if i%2 == 0 {
						x, y = read(pair.a), read(pair.b)
					} else {
						y, x = read(pair.b), read(pair.a)
					}
					ratios = append(ratios, float64(y)/float64(x))
				}
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], "ratio")
			})
		}
	}
}

// flat is a memory that costs nothing, so that the rest shows.
type flat struct {
	geo nvm.Geometry
	b   []byte
}

func (f *flat) Geometry() nvm.Geometry { return f.geo }
func (f *flat) Sync() error            { return nil }

func (f *flat) ReadAt(p []byte, off int64) (int, error) {
	if err := f.geo.CheckRead(off, int64(len(p))); err != nil {
		return 0, err
	}
	return copy(p, f.b[off:]), nil
}

func (f *flat) WriteAt(p []byte, off int64) (int, error) {
	if err := f.geo.CheckProgram(off, int64(len(p))); err != nil {
		return 0, err
	}
	for i, c := range p {
		f.b[off+int64(i)] &= c
	}
	return len(p), nil
}

func (f *flat) Erase(off, n int64) error {
	if err := f.geo.CheckErase(off, n); err != nil {
		return err
	}
	for i := range n {
		f.b[off+i] = f.geo.Erased
	}
	return nil
}
