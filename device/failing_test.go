//go:build !race

package device_test

import (
	"fmt"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// tired is a flash of which one call fails, or each from then on. Nothing is done then.
type tired struct {
	*sim.Flash
	calls, at int
	stays     bool
	reads     bool
}

func (f *tired) fails() bool {
	f.calls++
	return f.calls == f.at+1 || f.stays && f.calls > f.at
}

func (f *tired) WriteAt(p []byte, off int64) (int, error) {
	if !f.reads && f.fails() {
		return 0, errSilent
	}
	return f.Flash.WriteAt(p, off)
}

func (f *tired) Erase(off, n int64) error {
	if !f.reads && f.fails() {
		return errSilent
	}
	return f.Flash.Erase(off, n)
}

func (f *tired) Sync() error {
	if !f.reads && f.fails() {
		return errSilent
	}
	return f.Flash.Sync()
}

func (f *tired) ReadAt(p []byte, off int64) (int, error) {
	if f.reads && f.fails() {
		return 0, errSilent
	}
	return f.Flash.ReadAt(p, off)
}

// TestFailingFlash: each program, erase, sync and read of each scenario fails, once or
// from then on. The device does not panic; the next start on a sound flash shows the
// state in front of the step or behind it, or after a failed order to recover a lost one.
func TestFailingFlash(t *testing.T) {
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			s, w, err := newStage(parts()[0], sc, 0)
			ok(t, err)
			s.e.open = plainly
			if !s.e.rehearse(w.clone()) {
				t.Fatal(s.e.faults)
			}
			for _, mode := range []tired{{}, {stays: true}, {reads: true}, {reads: true, stays: true}} {
				stride := 1
				if mode.reads {
					stride = 7
				}
				for k := 0; s.tire(t, w.clone(), mode, k); k += stride {
				}
			}
		})
	}
}

// tire plays the steps with the k-th call failing; false if there are fewer.
func (s *stage) tire(t *testing.T, w *world, mode tired, k int) bool {
	f := mode
	f.Flash, f.at = w.flash, k
	id := fmt.Sprintf("%s: call %d of %+v", s.e.name, k, mode)
	s.e.open = func(w *world, c *device.Config) (*device.Device, error) { return device.Open(ctx, &f, w.chip, c) }
	d, _, err := s.e.boot(w)
	if err == nil {
		for i, step := range s.e.steps {
			s.e.next = i + 1
			tw := &world{flash: w.flash, chip: w.chip, mem: &f}
			w.out.acked = step(tw, d) == nil
			if f.calls > k {
				break
			}
		}
	}
	if d != nil {
		_, _ = d.Report(ctx, []byte("a nonce."))
		_ = d.Close()
	}
	if f.calls <= k {
		return false
	}
	s.e.open = plainly
	_, view, err := s.e.boot(w.clone())
	lost := s.e.retry != nil && view == "lost"
	if before, after := s.e.views[s.e.next-1], s.e.views[s.e.next]; err != nil || view != after && (w.out.acked || view != before) && !lost {
		t.Errorf("%s: acked %v, shows\n\t%s\nwant\n\t%s\nor\n\t%s (%v)", id, w.out.acked, view, before, after, err)
	}
	return !t.Failed()
}

// The audit chain: what acted is in it, denials are folded in at leisure, and what was
// read may go, once.
func TestAuditChain(t *testing.T) {
	r := deployed(t, rig.Config{})
	if r.Device.ID() != r.ID {
		t.Error("id")
	}
	head := func() order.AuditState {
		rep, err := r.Report()
		ok(t, err)
		return rep.Audit
	}
	first := head()
	_, _, err := r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	if now := head(); now.Seq <= first.Seq {
		t.Errorf("audit %+v behind %+v", now, first)
	}
	before := head()
	for range 5 {
		_, _ = r.Device.Host().WriteAt([]byte{1}, 0)
	}
	r.Tick(3600)
	if now := head(); now.Seq != before.Seq {
		t.Error("denials are written at a host's pace")
	}
	r.Tick(3 * 3600)
	if now := head(); now.Seq <= before.Seq || now.Denied != 5 {
		t.Errorf("audit %+v", now)
	}
	ack := func(seq uint64) error {
		_, err := r.Do(order.Owner, order.Void, &order.VoidBody{Authority: order.Owner, Class: order.ClassAudit, To: seq})
		return err
	}
	is(t, "beyond the head", ack(1000), device.ErrStale)
	ok(t, ack(1))
	is(t, "again", ack(1), device.ErrStale)
	ok(t, r.Cut())
	if s := r.Device.Status(); s.Health&order.AuditBroken != 0 {
		t.Errorf("behind a cut: %+v", s)
	}
	// Fill it: what no longer fits is counted, and keeps nothing from acting.
	for i := 0; r.Device.Status().Health&order.AuditFull == 0; i++ {
		if i > 5000 {
			t.Fatal("it is never full")
		}
		_, id, err := r.Grant(order.Vendor, r.Whole("boot"))
		ok(t, err)
		ok(t, r.Device.EndSession(id))
	}
	if a := head(); a.Unlogged == 0 {
		t.Errorf("audit %+v", a)
	}
	ok(t, ack(head().Seq-1))
	if s := r.Device.Status(); s.Health&order.AuditFull != 0 {
		t.Errorf("acknowledged: %+v", s)
	}
	ok(t, r.Lifecycle(policy.RMA))
}

// An anchor that wears is stepped for every root order, and for others within its budget.
func TestBudget(t *testing.T) {
	r := deployed(t, rig.Config{Budget: keystore.Budget{Writes: 100_000, PerDay: 8}})
	steps := r.Anchor.Steps()
	for range 10 {
		_, id, err := r.Grant(order.Vendor, r.Whole("boot"))
		ok(t, err)
		ok(t, r.Device.EndSession(id))
	}
	if n := r.Anchor.Steps() - steps; n != 2 {
		t.Errorf("%d steps for ten grants", n)
	}
	r.Tick(24 * 3600)
	steps = r.Anchor.Steps()
	for range 20 {
		_, id, err := r.Grant(order.Vendor, r.Whole("boot"))
		ok(t, err)
		ok(t, r.Device.EndSession(id))
	}
	if n := r.Anchor.Steps() - steps; n != 8 {
		t.Errorf("%d steps for twenty grants a day later", n)
	}
	ok(t, r.Lifecycle(policy.RMA))
	if n := r.Anchor.Steps() - steps; n != 9 {
		t.Errorf("a root order is not anchored")
	}
	// A device without an anchor works, and says so.
	r = deployed(t, rig.Config{NoAnchor: true})
	_, _, err := r.Grant(order.Vendor, r.Whole("boot"))
	ok(t, err)
	ok(t, r.Device.Close())
	ok(t, r.Flash.Erase(r.Policy.Area("vault").Span.Off, r.Policy.Area("vault").Span.Len))
	ok(t, r.Open())
	ok(t, r.Recover(policy.Deployed, order.RegionUsage{Region: 2, Erases: 3}))
}

var _ nvm.NVM = (*tired)(nil)
