package device

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// firstEpoch is that of a device's first owner.
const firstEpoch = 1

// Provision gives a device its owner and first policy: an order of kind policy
// for this device and owner epoch 1, signed by the owner keys that are in it. It
// begins in state manufacturing. A cut leaves a device that is provisioned, or one
// that may be provisioned again with the same call; the same order once more is
// nothing to do. ErrProvisioned if the device has another policy or owner, also if
// its vault is lost, or its latch: that takes the owner's order to recover.
func Provision(ctx context.Context, mem nvm.NVM, ks keystore.Keystore, signedPolicy []byte, c *Config) (*Device, error) {
	if ks == nil {
		return nil, fmt.Errorf("%w: no keystore", ErrConfig)
	}
	d, err := newDevice(mem, ks, c)
	if err != nil {
		return nil, err
	}
	if d.latch, err = ks.Latch().Read(ctx); err != nil {
		return nil, fmt.Errorf("device: latch: %w", err)
	}
	v, pol, ring, err := d.set.verify.policy(signedPolicy, d.id)
	if err != nil {
		return nil, err
	}
	if d.latch.Set() {
		return d.again(ctx, pol, ring)
	}
	if v.Epoch != firstEpoch {
		return nil, fmt.Errorf("%w: %d, a new device is in epoch %d", order.ErrEpoch, v.Epoch, firstEpoch)
	}
	if err := d.acceptable(pol, nil, policy.Manufacturing); err != nil {
		return nil, err
	}
	if err := d.derive(ctx); err != nil {
		return nil, err
	}
	if o, err := d.orphaned(ctx); err != nil {
		return nil, err
	} else if o != nil {
		return nil, fmt.Errorf("%w: %w", ErrProvisioned, o.why)
	}
	rec := keystore.Record{Root: ring.Root(), Epoch: firstEpoch}
	if err := d.write(ctx, signedPolicy, pol, v, rec); err != nil {
		return nil, err
	}
	return Open(ctx, mem, ks, c)
}

// again is Provision of a device that has an owner.
func (d *Device) again(ctx context.Context, pol *policy.Policy, ring *order.Keyring) (*Device, error) {
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.shut())
	}
	want, err := pol.MarshalBinary()
	if err != nil {
		return nil, errors.Join(err, d.shut())
	}
	if d.degraded() {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrProvisioned, d.reason()), d.shut())
	}
	if got, err := d.pol.MarshalBinary(); err != nil || !bytes.Equal(got, want) || ring.Root() != d.latch.Root {
		return nil, errors.Join(fmt.Errorf("%w: it has another policy", ErrProvisioned), d.shut())
	}
	return d, nil
}

// write puts the first state on the flash and closes with the latch: before it,
// nothing of this counts. The intent tells this vault from one whose latch is gone;
// the first start behind the latch closes it.
func (d *Device) write(ctx context.Context, msg []byte, pol *policy.Policy, v *order.Verified, rec keystore.Record) error {
	doc := document{digest: sha256.Sum256(msg)}
	if err := d.clearAudit(pol); err != nil {
		return err
	}
	copies, err := d.openCopies()
	if err != nil {
		return err
	}
	for set := range 2 {
		if err := copies.Clear(ctx, set); err != nil {
			return fmt.Errorf("device: copies: %w", err)
		}
	}
	if err := copies.Put(ctx, int(doc.set), msg); err != nil {
		return fmt.Errorf("device: copies: %w", err)
	}
	d.latch = rec
	jw, err := d.window(d.set.journal)
	if err != nil {
		return err
	}
	jv, err := vault.Format(ctx, jw, d.secret.vault, d.options(), vault.SetOwnerEpoch(uint32(rec.Epoch)),
		vault.SetLifecycle(uint8(policy.Manufacturing)), vault.PutSlot(slotDocument, doc.bytes()).Owner(), putFlag(slotUnanchored, d.ks.Anchor() == nil),
		vault.OpenIntent(intent{kind: intentProvision, doc: doc, root: rec.Root, epoch: firstEpoch, digest: v.Digest}.record()))
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	counter := vault.RaiseCounter(d.counterKey(v.Authority, v.Kind.Class()), max(v.Fresh.Counter, 1))
	if d.ks.Anchor() != nil {
		err = jv.CommitAnchored(ctx, counter)
	} else {
		err = jv.Commit(ctx, counter)
	}
	if err = errors.Join(err, jv.Close()); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	if err := d.ks.Latch().Set(ctx, rec); err != nil {
		return fmt.Errorf("device: latch: %w", err)
	}
	return nil
}

// clearAudit erases the audit area: what a factory image left there is no chain.
func (d *Device) clearAudit(p *policy.Policy) error {
	a := auditArea(p)
	if a == nil {
		return nil
	}
	marks, _ := d.mem.(nvm.BadBlocker)
	for at := a.Span.Off; at < a.Span.End(); {
		b := d.set.geo.Block(at)
		at = b.End()
		if marks != nil {
			if bad, err := marks.IsBad(b.Off); err != nil || bad {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := d.mem.Erase(b.Off, b.Len); err != nil {
			return fmt.Errorf("device: audit area: %w", err)
		}
	}
	return d.mem.Sync()
}
