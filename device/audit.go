package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/vault"
)

// Kinds of audit entries: an order is its number above auditOrder. What a host can
// cause in numbers stays below vault.AuditReserved, so that it cannot fill the room
// that is kept for the rest.
const (
	auditDenials = 1 // what was refused since the last entry
	auditOrder   = vault.AuditReserved
	auditFrozen  = vault.AuditReserved + 0x100
)

// auditPeriod is the uptime, in seconds, behind which denials are folded into an
// entry. A host that restarts the device more often gets none: it does not choose
// how often flash is written.
const auditPeriod = 3 * hour

// openAudit opens the chain, if the policy has room for one. A chain that is not
// whole is reported and goes on; it keeps nobody from anything.
func (d *Device) openAudit(ctx context.Context) error {
	a := auditArea(d.pol)
	if a == nil {
		return nil
	}
	w, err := d.window(a.Span)
	if err != nil {
		return err
	}
	seq, tag := auditHead(d.vault.Snapshot())
	log, rep, err := vault.OpenAudit(ctx, w, d.secret.audit, vault.AuditOptions{
		Boot: [16]byte(d.boot[:16]), Known: vault.AuditMark{Seq: seq, Tag: tag}, Acknowledged: acknowledged(d.vault.Snapshot())})
	if err != nil || !rep.Whole {
		d.health |= order.AuditBroken
		d.tell(Event{Kind: EventAudit, Text: rep.Why, Err: err})
	}
	if err == nil {
		d.audit = log
	}
	return ctx.Err()
}

// log puts an order that acted into the chain. That it fails keeps nothing from
// having happened.
func (d *Device) log(ctx context.Context, a *accepted) {
	if a.Kind.Class() == order.ClassLive {
		return
	}
	d.append(ctx, auditOrder+uint16(a.Kind), a.Digest[:])
}

// append adds an entry with the denials since the last one.
func (d *Device) append(ctx context.Context, kind uint16, body []byte) {
	if d.audit == nil || d.lock == nil {
		return
	}
	denied := d.lock.Denials()
	body = binary.LittleEndian.AppendUint64(slices.Clone(body), denied-d.folded)
	err := d.audit.Append(ctx, kind, d.set.Tick(), body)
	switch {
	case err == nil:
		d.folded = denied
		d.health &^= order.AuditFull
		return
	case errors.Is(err, vault.ErrFull):
		d.health |= order.AuditFull
	default:
		d.health |= order.AuditBroken
	}
	d.tell(Event{Kind: EventAudit, Err: err})
}

// acknowledge lets go of what somebody has read. The vault keeps how far before the
// chain is told, or a start in between would call it broken.
func (d *Device) acknowledge(ctx context.Context, a *accepted, seq uint64) error {
	if d.audit == nil {
		return fmt.Errorf("%w: the policy has no audit area", ErrNotAllowed)
	}
	if head, _ := d.audit.Head(); seq > head || seq <= acknowledged(d.vault.Snapshot()) {
		return fmt.Errorf("%w: audit record %d, the chain is at %d", ErrStale, seq, head)
	}
	return d.record(ctx, a, func(ctx context.Context) error {
		if err := d.audit.Acknowledge(ctx, seq); err != nil {
			return fmt.Errorf("device: audit: %w", err)
		}
		d.health &^= order.AuditFull
		return nil
	}, vault.PutSlot(slotAcknowledged, binary.LittleEndian.AppendUint64(nil, seq)).Owner())
}

func acknowledged(s vault.Snapshot) uint64 {
	if p := s.Slot(slotAcknowledged); len(p) == 8 {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}
