package device

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strconv"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// reported is what reports of this boot have in common.
type reported struct {
	seq    uint64 // behind the vault's counter
	digest [32]byte
}

// Report returns what the device says of itself, signed. nonce is the reader's,
// of 8 to 64 bytes. Nothing is written, however often it is asked for: reports of
// one boot are numbered, and boots are told apart by their random id.
func (d *Device) Report(ctx context.Context, nonce []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil || d.closed {
		return nil, ErrClosed
	}
	d.poll(ctx)
	return d.report(ctx, nonce, nil)
}

func (d *Device) report(ctx context.Context, nonce []byte, c *order.Certificate) ([]byte, error) {
	if d.ks == nil || d.key == nil {
		return nil, fmt.Errorf("%w: %s", ErrDegraded, d.reason())
	}
	if c == nil && (len(nonce) < 8 || len(nonce) > 64) {
		return nil, fmt.Errorf("%w: nonce of %d bytes", order.ErrMalformed, len(nonce))
	}
	r := &order.Report{
		Nonce: nonce, Device: d.id, Boot: d.boot, Uptime: d.set.Tick(), Epoch: d.epoch(), State: uint8(d.state),
		VaultEpoch: d.epoch(), Health: d.healthNow(), Previous: d.reported.digest, Certificate: c,
	}
	if err := d.claimPolicy(ctx, r); err != nil {
		return nil, err
	}
	d.claimVault(ctx, r)
	d.reported.seq++
	r.Seq += d.reported.seq
	b, err := order.SignReport(ctx, r, d.ks)
	if err != nil {
		return nil, fmt.Errorf("device: report: %w", err)
	}
	d.reported.digest = sha256.Sum256(b)
	return b, nil
}

// healthNow adds what is looked up rather than remembered.
func (d *Device) healthNow() order.Health {
	if d.later != nil {
		return d.health | order.AnchorAbsent // for now: an order waits for it
	}
	return d.health
}

// claimPolicy says what is in force and what the flash holds under it.
func (d *Device) claimPolicy(ctx context.Context, r *order.Report) error {
	if d.pol == nil {
		return nil
	}
	b, err := d.pol.MarshalBinary()
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	r.PolicyVersion, r.PolicyDigest = d.pol.Version, sha256.Sum256(b)
	for i := range d.pol.Map {
		p := &d.pol.Map[i]
		if !d.measurable(p) {
			continue
		}
		m, ok := d.measured[p.ID]
		if !ok || !d.stable(p) {
			if m, err = d.measure(ctx, p); err != nil {
				return err
			}
			d.measured[p.ID] = m
		}
		r.Measurements = append(r.Measurements, order.Measurement{Region: p.ID, Keyed: p.Confidential, Digest: m})
	}
	return nil
}

// measurable regions are those that no host may change, those that boot, and the
// confidential ones.
func (d *Device) measurable(r *policy.Region) bool {
	return r.Confidential || r.Boot || d.fixed(r)
}

// fixed regions change by a grant alone.
func (d *Device) fixed(r *policy.Region) bool {
	a := r.AccessIn(d.state)
	granted := func(x policy.Rule) bool { return x.Mode == policy.Never || x.Mode == policy.Grant }
	return granted(a.Write) && granted(a.Erase)
}

// stable regions are as they were measured: nobody can write there now.
func (d *Device) stable(r *policy.Region) bool { return d.fixed(r) && len(d.sessions) == 0 }

// measure digests a region's content; that of a confidential one with a key that
// never leaves the device, so that nobody can guess it from the digest.
func (d *Device) measure(ctx context.Context, r *policy.Region) (out [32]byte, err error) {
	var h hash.Hash = sha256.New()
	if r.Confidential {
		key, err := d.ks.Derive(ctx, "region/"+strconv.FormatUint(uint64(r.ID), 10))
		if err != nil {
			return out, fmt.Errorf("device: %w", err)
		}
		h = hmac.New(sha256.New, key[:])
	}
	p := make([]byte, min(r.Span.Len, 64<<10))
	for at := r.Span.Off; at < r.Span.End(); at += int64(len(p)) {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		p = p[:min(int64(len(p)), r.Span.End()-at)]
		if _, err := d.mem.ReadAt(p, at); errors.Is(err, nvm.ErrUncorrectable) {
			clear(p) // what cannot be read is not what was written
		} else if err != nil {
			return out, fmt.Errorf("device: region %q: %w", r.Name, err)
		}
		h.Write(p)
	}
	return [32]byte(h.Sum(nil)), nil
}

// claimVault says what the lock remembers.
func (d *Device) claimVault(ctx context.Context, r *order.Report) {
	if d.lock != nil {
		r.Audit.Denied = d.lock.Denials()
	}
	if d.audit != nil {
		r.Audit.Seq, r.Audit.Tag = d.audit.Head()
		r.Audit.Unlogged = d.audit.Unlogged()
	}
	if a := d.ks.Anchor(); a != nil {
		r.Anchor.Kind = uint8(d.ks.Identity().Class)
		r.Anchor.Value, _ = a.Read(ctx)
	}
	if d.vault == nil {
		return
	}
	s := d.vault.Snapshot()
	_, r.Vault.Seq, r.Vault.Tag = s.Head()
	r.Anchor.Through, _ = s.Anchored()
	r.Seq = s.Counter(d.counterKey("", order.ClassReport))
	if d.pol == nil {
		return
	}
	for i := range d.pol.Authorities {
		name := d.pol.Authorities[i].Name
		for _, c := range []order.Class{order.ClassRoot, order.ClassOperate} {
			if v := s.Counter(d.counterKey(name, c)); v != 0 {
				r.Counters = append(r.Counters, order.Counter{Authority: name, Class: c, Value: v})
			}
		}
	}
	for _, id := range s.Usages() {
		u := s.Usage(id)
		r.Wear = append(r.Wear, order.RegionUsage{Region: id, Erases: u.Erases, Allowed: u.Allowed, Rounds: u.Rounds, Mark: uint64(max(u.Mark, 0)), Sealed: u.Sealed})
	}
}

// forget drops measurements that a change may have made wrong. Whether anything
// was written does not matter.
func (d *Device) forget() { clear(d.measured) }
