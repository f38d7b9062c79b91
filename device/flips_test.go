package device_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// provisioned is a deployed device with a history, closed: its flash and keystore.
func provisioned(t testing.TB, c sim.Config, chip *chip) (*rig.Rig, *world, *device.Config) {
	t.Helper()
	f, err := sim.New(c)
	ok(t, err)
	r, err := rig.New(rig.Config{Memory: f, Keystore: opened(chip), Device: *device.Remember(&device.Config{})})
	ok(t, err)
	r.Flash = f
	ok(t, r.Lifecycle(policy.Deployed))
	ok(t, r.PutPolicy(r.NextPolicy(nil)))
	_, _, err = r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	ok(t, program(r.Device.Host(), make([]byte, max(256, len(page(r)))), r.Policy.Region("log").Span.Off))
	ok(t, r.Device.Close())
	return r, &world{flash: f.Clone(), chip: chip.clone()}, device.Remember(&device.Config{Vault: r.Policy.Area("vault").Span})
}

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
	stride := int64(1)
	if raceEnabled {
		stride = 251
	}
	var next, harmless, detected atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				bit := next.Add(stride) - stride
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
	t.Logf("vault of %d bytes, 1 bit in %d flipped: %d harmless, %d detected", v.Len, stride, harmless.Load(), detected.Load())
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
