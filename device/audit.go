package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/vault"
)

// Kinds of audit entries beside those of orders, which have their number.
const (
	auditDenials = 0x100 + iota // what was refused since the last entry
	auditFrozen
	auditRecovered
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
		Boot: [16]byte(d.boot[:16]), Known: vault.AuditHead{Seq: seq, Tag: tag}})
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
	body := append([]byte{uint8(a.Kind)}, a.Digest[:]...)
	d.append(ctx, uint16(a.Kind), body)
}

// append adds an entry with the denials since the last one.
func (d *Device) append(ctx context.Context, kind uint16, body []byte) {
	if d.audit == nil || d.lock == nil {
		return
	}
	denied := d.lock.Denials()
	body = binary.LittleEndian.AppendUint64(body, denied-d.folded)
	err := d.audit.Append(ctx, kind, d.set.Tick(), body)
	if err == nil {
		d.folded = denied
		return
	}
	if !errors.Is(err, vault.ErrFull) {
		d.health |= order.AuditBroken
	}
	d.tell(Event{Kind: EventAudit, Err: err})
}

// acknowledge lets go of what somebody has read.
func (d *Device) acknowledge(ctx context.Context, seq uint64) error {
	if d.audit == nil {
		return fmt.Errorf("%w: the policy has no audit area", ErrNotAllowed)
	}
	if err := d.audit.Acknowledge(ctx, seq); err != nil {
		return fmt.Errorf("device: audit: %w", err)
	}
	return nil
}
