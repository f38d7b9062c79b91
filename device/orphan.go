package device

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// orphan is a vault of this device whose latch reads as never set: somebody took
// the latch away, or an operator made one anew in a TPM that was tampered with. The
// device is lost, not new.
//
// Which owner may recover it, only the flash can say: the one whose policy the
// newest state of the latest epoch names, which is authenticated by a key that no
// other device has. That is weaker than the latch. Who can blank the latch gains
// nothing by it as long as the flash stays: the owner in force is asked. Who can
// rewrite the flash as well puts back a copy from the time of an earlier owner; with
// that owner's key the device then obeys that owner. So a latch that can be blanked
// protects no further than its own medium. But it gives nothing that blanking the
// latch and erasing the vault would not give without any key: then the device is
// taken for new, and whoever stands before it provisions it. In both cases its
// identity is the old one and its reports show what happened: an owner epoch that went
// back, or a policy that its platform did not send. That is why no keystore reads
// as never set by itself, and tpm.Config.Mend is the operator's.
type orphan struct {
	why      error
	readable bool // state and doc are known, and the state was set in force
	state    vault.Snapshot
	doc      document
	pol      *policy.Policy // nil if its copies are lost
	ring     *order.Keyring
}

// orphaned looks for a vault of this device's own under a latch that was never set;
// nil if the device is new. What a cut left of Provision is no vault yet.
func (d *Device) orphaned(ctx context.Context) (*orphan, error) {
	w, err := d.window(d.set.journal)
	if err != nil {
		return nil, err
	}
	s, err := vault.Look(ctx, w, d.secret.vault)
	epoch, _, _ := s.Head()
	if errors.Is(err, vault.ErrBlank) || errors.Is(err, vault.ErrForeign) {
		return nil, nil
	}
	// A Provision that was cut and begun again leaves pieces of the first epoch. Who
	// made the same of a vault that was owned could as well have erased it.
	if errors.Is(err, vault.ErrLost) && epoch <= firstEpoch {
		return nil, nil
	}
	if err != nil && epoch == 0 {
		return nil, err
	}
	if err == nil && s.Intent().Kind == intentProvision {
		return nil, nil
	}
	o := &orphan{state: s, readable: err == nil,
		why: fmt.Errorf("latch: it reads as never set, and the flash holds a vault of this device in epoch %d", epoch)}
	if err == nil {
		err = d.identify(ctx, o)
	}
	if err != nil {
		o.why = fmt.Errorf("%w, which names no owner: %w", o.why, err)
	}
	return o, ctx.Err()
}

// identify reads the policy that the orphan names.
func (d *Device) identify(ctx context.Context, o *orphan) error {
	doc, ok := parseDocument(o.state.Slot(slotDocument))
	if in, err := parseIntent(o.state.Intent()); err == nil && in.kind == intentOwner {
		doc, ok = in.doc, true // the next start would have given it to them
	}
	if !ok {
		return vault.ErrLost
	}
	copies, err := d.openCopies()
	if err != nil {
		return err
	}
	msg, err := copies.Get(ctx, int(doc.set), doc.digest)
	if err != nil {
		return err
	}
	_, pol, ring, err := d.set.verify.policy(msg, d.id)
	if err != nil {
		return err
	}
	o.doc, o.pol, o.ring = doc, pol, ring
	return nil
}

// findOrphan is findVault of a device whose latch was never set. The device goes on
// as if the latch named the orphan's owner, one epoch above all that is on the flash, so
// that nothing there counts.
func (d *Device) findOrphan(ctx context.Context) error {
	if err := d.derive(ctx); err != nil {
		return d.failOrStop(ctx, order.VaultLost, err)
	}
	o, err := d.orphaned(ctx)
	switch {
	case err != nil:
		return err
	case o == nil:
		return ErrNotProvisioned
	}
	epoch, _, _ := o.state.Head()
	if o.pol != nil && epoch < math.MaxUint32 {
		d.latch = keystore.Record{Root: o.ring.Root(), Epoch: uint64(epoch) + 1}
	}
	d.fail(order.VaultLost, o.why)
	if d.orphan = o; d.latch.Set() {
		d.pol, d.ring, d.doc = o.pol, o.ring, o.doc
	}
	return nil
}

// adopt sets the latch that an orphan lacks, as the owner has ordered, before the
// flash is touched: whatever a cut leaves from here is a lost device, never a new one.
func (d *Device) adopt(ctx context.Context) error {
	if d.orphan == nil {
		return nil
	}
	if err := d.ks.Latch().Set(ctx, d.latch); err != nil {
		return fmt.Errorf("device: latch: %w", err)
	}
	return nil
}
