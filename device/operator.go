package device

import (
	"context"
	"fmt"

	"github.com/nanolock/nanolock/order"
)

// Freeze refuses every program and erase until an order of kind thaw, over
// restarts too. It is the operator's: nothing that a courier or host sends leads
// here. The freeze holds at once; an error means that it may not outlive a
// restart. It is written once, however often it is called.
func (d *Device) Freeze(ctx context.Context) error {
	if l := d.serving.Load(); l != nil {
		l.Freeze() // at once, whatever the keystore is busy with
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil || d.closed {
		return ErrClosed
	}
	if d.lock != nil {
		d.lock.Freeze() // an order may have put other rules in force meanwhile
	}
	if err := d.usable(); err != nil {
		return err
	}
	if d.health&order.Frozen == 0 {
		d.health |= order.Frozen
		d.endSessions()
		d.tell(Event{Kind: EventFrozen})
	}
	// Written even if it holds already: it may have failed, or be thawing.
	if isSet(d.vault.Snapshot(), slotFrozen) {
		return nil
	}
	if err := d.vault.Commit(ctx, putFlag(slotFrozen, true)); err != nil {
		return d.commitFailed(err)
	}
	d.append(ctx, auditFrozen, nil)
	return nil
}

// HostReset says that the host's reset line went. Sessions were given to a host
// that is gone; they end. Nothing is written, so that resets wear nothing.
func (d *Device) HostReset(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil || d.closed {
		return ErrClosed
	}
	d.endSessions()
	return ctx.Err()
}

// Scrub looks after what time does to flash: it measures protected content anew,
// and writes a verbatim copy of the policy again that no longer reads. It goes on
// until maxBytes were read, and begins where it stopped.
func (d *Device) Scrub(ctx context.Context, maxBytes int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	if err := d.copies.Repair(ctx, int(d.doc.set), d.doc.digest); err != nil {
		d.health |= order.CopyLost
		return fmt.Errorf("device: copies: %w", err)
	}
	if d.health&order.CopyLost != 0 {
		d.tell(Event{Kind: EventRepaired})
	}
	d.health &^= order.CopyLost
	return d.remeasure(ctx, maxBytes)
}

// remeasure renews measurements, the ones it never did first.
func (d *Device) remeasure(ctx context.Context, maxBytes int64) error {
	for n := range d.pol.Map {
		r := &d.pol.Map[(d.scrubbed+n)%len(d.pol.Map)]
		if !d.measurable(r) {
			continue
		}
		if maxBytes -= r.Span.Len; maxBytes < 0 {
			d.scrubbed = (d.scrubbed + n) % len(d.pol.Map)
			return nil
		}
		m, err := d.measure(ctx, r)
		if err != nil {
			return err
		}
		d.measured[r.ID] = m
	}
	d.scrubbed = 0
	return nil
}

// Poll does what is due: it ends sessions, carries out what waited for the anchor, narrows hosts whose heartbeat is late,
// begins periods of wear ledgers, folds denials into the audit chain, and settles
// the vault when it has been idle. Once a second is often enough.
func (d *Device) Poll(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set != nil && !d.closed {
		d.poll(ctx)
	}
}

func (d *Device) poll(ctx context.Context) {
	d.expire()
	d.overdue()
	if d.later != nil {
		if err := d.catchUp(ctx); err != nil {
			d.tell(Event{Kind: EventAnchor, Err: err})
		}
	}
	if d.degraded() || d.vault == nil {
		return
	}
	if err := d.allow(ctx); err != nil {
		d.tell(Event{Kind: EventRefused, Err: err})
	}
	now := d.set.Tick()
	if d.audit != nil && d.lock != nil && d.lock.Denials() > d.folded && now-d.audited >= auditPeriod {
		d.audited = now
		d.append(ctx, auditDenials, nil)
	}
	d.settle(ctx, now)
}

// idle is the uptime, in seconds, after which a vault that nobody writes to is
// settled, so that the next start finds it clean.
const idle = 60

func (d *Device) settle(ctx context.Context, now uint64) {
	_, seq, _ := d.vault.Snapshot().Head()
	if seq != d.idleSeq {
		d.idleSeq, d.idleSince = seq, now
		return
	}
	if now-d.idleSince >= idle {
		d.idleSince = now
		if err := d.vault.Settle(ctx); err != nil {
			_ = d.commitFailed(err)
		}
	}
}
