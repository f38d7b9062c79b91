//go:build !race

package device_test

import (
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/nvm"
)

// tally counts what is done to a span of a memory: erases by block, programs in all.
type tally struct {
	span     nvm.Span
	erases   map[int64]int
	programs int
}

func (o *tally) watch(f *sim.Flash) {
	o.erases = map[int64]int{}
	f.SetHook(func(op *sim.Operation) {
		if s := op.Span(); s.Len > 0 && o.span.Contains(s) {
			if op.Data() == nil {
				o.erases[s.Off]++
			} else {
				o.programs++
			}
		}
	})
}

func (o *tally) most() (n int) {
	for _, e := range o.erases {
		n = max(n, e)
	}
	return n
}

// TestWorstHost: a flood of denials and a reset in every second of 30 days. Nothing
// of it is chosen to be extrapolated: a clean start writes nothing, which is counted
// over a day of resets, and so does every later day, which begins as this one did.
func TestWorstHost(t *testing.T) {
	r, w, config := provisioned(t, rig.NOR(), newChip("worst"))
	const day, days, endurance = 24 * 3600, 30, 100_000
	now := uint64(0)
	config.Tick = func() uint64 { return now }
	o := &tally{span: r.Policy.Area("vault").Span}
	o.watch(w.flash)
	resets := day
	start := w.flash.Fingerprint()
	denied := 0
	for range resets {
		now = 0
		d, err := device.Open(ctx, w.flash, w.chip, config)
		ok(t, err)
		h := d.Host()
		for i := range int64(4) {
			if _, err := h.WriteAt(make([]byte, 16), i*16); err == nil {
				t.Fatal("a host writes to boot")
			}
			denied++
		}
		now = 1
		d.Poll(ctx)
		w.flash.Reboot() // no Close: the host pulled the line
	}
	if o.most() != 0 || o.programs != 0 || w.flash.Fingerprint() != start {
		t.Errorf("%d erases of a block, %d programs", o.most(), o.programs)
	}
	t.Logf("worst host: %d resets with %d denials: %d erases, %d programs of the vault; 30 days the same, as every day begins with the same flash; bound 1 %% = %d erases",
		resets, denied, o.most(), o.programs, endurance/100)
	if days*o.most() > endurance/100 {
		t.Errorf("%d erases in %d days", days*o.most(), days)
	}
}

// TestBusiestHost: a host that uses up all its rules give it, for 30 days: the wear
// ledger of settings as soon as it has anything left, the append region byte by byte,
// and a reset whenever that could begin a period again. Denials flood all along.
func TestBusiestHost(t *testing.T) {
	r, w, config := provisioned(t, rig.NOR(), newChip("busy"))
	const endurance = 100_000
	now, days := uint64(0), uint64(30)
	config.Tick = func() uint64 { return now }
	o := &tally{span: r.Policy.Area("vault").Span}
	o.watch(w.flash)
	settings, log := r.Policy.Region("settings").Span, r.Policy.Region("log").Span
	appended, erased := int64(256), 0
	d, err := device.Open(ctx, w.flash, w.chip, config)
	ok(t, err)
	for now < days*24*3600 {
		h := d.Host()
		for h.Erase(settings.Off, settings.Len) == nil {
			erased++
		}
		for range 8 {
			if appended < log.Len {
				_, err := h.WriteAt([]byte{0}, log.Off+appended)
				if err == nil {
					appended++
				} else {
					appended = (appended + 255) / 256 * 256 // a reset lost what was charged ahead
				}
			}
		}
		_, _ = h.WriteAt([]byte{1}, 0)
		now += 61 // behind which an idle vault is settled
		d.Poll(ctx)
		if now%(3*3600) < 61 { // behind an hour or two that were recorded
			w.flash.Reboot()
			d, err = device.Open(ctx, w.flash, w.chip, config)
			ok(t, err)
		}
	}
	t.Logf("busiest host, %d days: %d erases of settings, %d bytes appended; vault: %d erases of its most worn block (%.3f %% of %d), %d programs",
		days, erased, appended-256, o.most(), 100*float64(o.most())/endurance, endurance, o.programs)
	if o.most() > endurance/100 {
		t.Errorf("%d erases of a block of the vault", o.most())
	}
	if limit := int(200 * (days + 1)); erased > limit {
		t.Errorf("%d erases of settings, %d at most", erased, limit)
	}
}

// A start that has nothing to do does nothing, on any memory.
func TestCleanStart(t *testing.T) {
	memories(t, func(t *testing.T, c rig.Config) {
		_, w, config := provisioned(t, c.Sim, newChip("clean"))
		for range 2 {
			count := func() uint64 { s := w.flash.Stats(); return s.Programs + s.Erases }
			before := count()
			d, err := device.Open(ctx, w.flash, w.chip, config)
			ok(t, err)
			ok(t, d.Close())
			if n := count() - before; n != 0 {
				t.Errorf("%d programs and erases", n)
			}
		}
	})
}
