package device

import (
	"fmt"

	"github.com/nanolock/nanolock/order"
)

// clock is the time as a platform told it in this boot. A device knows no other.
type clock struct {
	unix, at uint64
	known    bool
}

// set takes a time that is not before what the clock says already.
func (c *clock) set(unix, uptime uint64) error {
	if now, ok := c.now(uptime); ok && unix < now {
		return fmt.Errorf("%w: the time %d is before %d", ErrStale, unix, now)
	}
	*c = clock{unix, uptime, true}
	return nil
}

func (c *clock) now(uptime uint64) (uint64, bool) {
	if !c.known || uptime < c.at {
		return 0, false
	}
	return c.unix + (uptime - c.at), true
}

// within is nil if an order that ends at notAfter may still act; 0 is no end. A
// device that was not told the time takes no order that ends.
func (c *clock) within(notAfter, uptime uint64) error {
	if notAfter == 0 {
		return nil
	}
	now, ok := c.now(uptime)
	if !ok || now > notAfter {
		return ErrExpired
	}
	return nil
}

// watchdog narrows hosts when nobody vouches for them any more.
type watchdog struct{ last uint64 }

// beat is a heartbeat of the platform.
func (d *Device) beat() error {
	d.watch.last = d.set.Tick()
	if d.health&order.HeldBack == 0 {
		return nil
	}
	d.health &^= order.HeldBack
	d.tell(Event{Kind: EventRestored})
	return d.enforce()
}

// overdue narrows hosts to reading when the heartbeat has been missing too long.
func (d *Device) overdue() {
	if d.set.Watchdog == 0 || d.health&order.HeldBack != 0 || d.lock == nil || d.degraded() {
		return
	}
	if d.set.Tick()-d.watch.last < d.set.Watchdog {
		return
	}
	d.health |= order.HeldBack
	d.tell(Event{Kind: EventNarrowed, Err: d.enforce()})
}
