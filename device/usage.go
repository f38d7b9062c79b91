package device

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// persist makes a region's usage durable before the access that needs it. It is
// called by the lock while a program or an erase waits, and charges ahead, so that
// the journal wears less than what it counts. Nothing is refunded. d.mu is not held,
// and may be by somebody who waits for the access to end.
func (d *Device) persist(region uint32, want policy.Usage) (policy.Usage, error) {
	v := d.books.Load()
	if v == nil {
		return policy.Usage{}, ErrDegraded
	}
	was := policy.Usage(v.Snapshot().Usage(region))
	ahead := was.Join(want) // what was charged ahead stays charged
	if want.Erases > was.Erases {
		ahead.Erases += eraseChunk - 1
	}
	if want.Mark > was.Mark && want.Rounds == was.Rounds {
		ahead.Mark = (want.Mark + markChunk - 1) / markChunk * markChunk
	}
	err := v.Commit(context.Background(), vault.PutUsage(region, vault.Usage(ahead)))
	return ahead, err
}

// How far usage is charged ahead: a cut loses so many erases of a ledger, or
// bytes of an append region, at most.
const (
	eraseChunk = 16
	markChunk  = 256
)

// ledger remembers how much of the running periods of wear ledgers has passed, in
// seconds of uptime. There is no other clock that a host could not turn.
type ledger struct {
	carried, since uint64
	periods        map[uint32]uint64 // by region: the period that began last
}

func (l *ledger) load(s vault.Snapshot, now uint64) {
	*l = ledger{since: now, periods: map[uint32]uint64{}}
	if p := s.Slot(slotLedger); len(p) == 8 {
		l.carried = binary.LittleEndian.Uint64(p)
	}
}

// passed is the uptime of all boots that was recorded, and that of this one.
func (l *ledger) passed(now uint64) uint64 { return l.carried + (now - l.since) }

// change records it along with something that is written anyway, once an hour.
func (l *ledger) change(now uint64) []vault.Change {
	if l.passed(now)/hour == l.carried/hour {
		return nil
	}
	return []vault.Change{l.put(now)}
}

// recorded: what has passed is durable.
func (l *ledger) recorded(now uint64) { l.carried, l.since = l.passed(now), now }

func (l *ledger) put(now uint64) vault.Change {
	return vault.PutSlot(slotLedger, binary.LittleEndian.AppendUint64(nil, l.passed(now))).Owner()
}

const hour = 60 * 60

// allow gives each wear ledger with a period what a period that has begun brings.
// What was not used is not saved up. The time is recorded first, or a restart
// would make the same period begin again.
func (d *Device) allow(ctx context.Context) error {
	if d.lock == nil || d.vault == nil || d.pol == nil || d.degraded() {
		return nil
	}
	now := d.set.Tick()
	hours := d.ledger.passed(now) / hour
	var begun []*policy.Region
	used := false // some of what a running period allows
	for i := range d.pol.Map {
		r := &d.pol.Map[i]
		if r.Wear.PerHours == 0 {
			continue
		}
		period := hours / uint64(r.Wear.PerHours)
		if last, ok := d.ledger.periods[r.ID]; ok && last < period {
			begun = append(begun, r)
		}
		d.ledger.periods[r.ID] = period
		u := d.lock.Usage(r.Name)
		used = used || u.Erases+uint64(r.Wear.Erases) > max(u.Allowed, uint64(r.Wear.Erases))
	}
	// A device that is switched off every evening must reach the end of a period too.
	if begun == nil && (!used || now-d.ledger.since < hour) {
		return nil
	}
	if err := d.vault.Commit(ctx, d.ledger.put(now)); err != nil {
		return d.commitFailed(err)
	}
	d.ledger.recorded(now)
	var errs []error
	for _, r := range begun {
		u := d.lock.Usage(r.Name)
		errs = append(errs, d.lock.SetUsage(r.Name, policy.Usage{Allowed: u.Erases + uint64(r.Wear.Erases)}))
	}
	return errors.Join(errs...)
}
