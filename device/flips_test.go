//go:build !race

package device_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
)

// TestFlips inverts every bit of the vault, one at a time. The device starts with
// the state it had, or refuses every change and serves what is public.
func TestFlips(t *testing.T) {
	c := parts()[0]
	c.Geometry.Size, c.Geometry.EraseSize = 32<<10, 1<<10 // a vault of 16 KiB
	r, w, config := provisioned(t, c, newChip("flips"))
	d, err := device.Open(ctx, w.flash.Clone(), w.chip.clone(), config)
	ok(t, err)
	want := d.View()
	v := r.Policy.Area("vault").Span
	boot := r.Policy.Region("boot").Span
	var next, harmless, detected atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				bit := next.Add(1) - 1
				if bit >= v.Len*8 || t.Failed() {
					return
				}
				f := w.flash.Clone()
				if err := f.FlipBit(v.Off+bit/8, uint(bit%8)); err != nil {
					t.Error(err)
					return
				}
				switch verdict, lost := flipped(f, w.chip.clone(), config, want, boot.Off); {
				case verdict != "":
					t.Errorf("bit %d of byte %d: %s", bit%8, bit/8, verdict)
				case lost:
					detected.Add(1)
				default:
					harmless.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("vault of %d bytes, every bit flipped: %d harmless, %d detected", v.Len, harmless.Load(), detected.Load())
	if detected.Load() == 0 || harmless.Load() == 0 {
		t.Error("one of the two never happens")
	}
}

// flipped starts what a flip left; verdict is what is wrong with it.
func flipped(f *sim.Flash, c *chip, config *device.Config, want string, public int64) (verdict string, lost bool) {
	d, err := device.Open(ctx, f, c, config)
	if err != nil {
		return fmt.Sprintf("start: %v", err), false
	}
	defer d.Close()
	switch view := d.View(); view {
	case want:
		return "", false
	case "lost":
	default:
		return "another state: " + view, false
	}
	if _, err := d.Host().WriteAt(make([]byte, 256), 2<<10); err == nil {
		return "lost, and a host writes", true
	}
	if err := d.Freeze(ctx); err == nil {
		return "lost, and it commits", true
	}
	if d.Policy() == nil { // nothing is left that says what is public
		return "", true
	}
	if _, err := d.Host().ReadAt(make([]byte, 16), public); err != nil {
		return fmt.Sprintf("public content: %v", err), true
	}
	return "", true
}
