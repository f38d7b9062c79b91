package device

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// Open boots the device. What an attacker or a failing part can do to the vault,
// its anchor or the keystore is no error: the device opens with
// Status().Degraded set, serves what every host may read and refuses change.
// Errors are ErrConfig, ErrNotProvisioned and those of a memory that cannot be
// read. A nil keystore is one that could not be opened: then the baseline alone
// is served. mem and ks stay the caller's, who closes them after Close.
func Open(ctx context.Context, mem nvm.NVM, ks keystore.Keystore, c *Config) (*Device, error) {
	d, err := newDevice(mem, ks, c)
	if err != nil {
		return nil, err
	}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.shut())
	}
	return d, nil
}

// start is a boot, or what follows an order to recover. Caller holds d.mu or owns d.
func (d *Device) start(ctx context.Context) error {
	d.health, d.why, d.state, d.orphan = 0, nil, policy.Deployed, nil
	// The caller's clock may have begun long ago.
	d.watch.last, d.audited = d.set.Tick(), d.set.Tick()
	if err := d.findVault(ctx); err != nil {
		return err
	}
	if d.health&order.DevelopmentKeys != 0 && !d.set.Development {
		return fmt.Errorf("%w: the policy has some, and the device is not opened for development", ErrDevelopment)
	}
	if err := d.serve(); err != nil {
		return err
	}
	switch {
	case d.degraded():
		d.tell(Event{Kind: EventDegraded, Text: d.reason()})
	case d.set.Development || d.health&order.DevelopmentKeys != 0:
		d.tell(Event{Kind: EventDevelopment, Text: "DEVELOPMENT: this device accepts orders of development keys"})
	}
	d.tell(Event{Kind: EventBoot, Text: d.state.String()})
	return d.finishDecommission(ctx)
}

// findVault opens the vault and completes what an earlier start left open. What
// it cannot use it reports as degraded; an error is a context's.
func (d *Device) findVault(ctx context.Context) (err error) {
	if d.copies, err = d.openCopies(); err != nil {
		return err
	}
	if d.ks == nil {
		d.fail(order.VaultLost, errors.New("no keystore"))
		return nil
	}
	if d.latch, err = d.ks.Latch().Read(ctx); err != nil {
		return d.failOrStop(ctx, order.VaultLost, fmt.Errorf("latch: %w", err))
	}
	if !d.latch.Set() {
		return d.findOrphan(ctx)
	}
	if d.latch.Epoch > math.MaxUint32 {
		d.fail(order.VaultLost, fmt.Errorf("latch: epoch %d", d.latch.Epoch))
		return nil
	}
	if err := d.derive(ctx); err != nil {
		return d.failOrStop(ctx, order.VaultLost, err)
	}
	if err := d.openVault(ctx); err != nil {
		if h := healthOf(err); h != order.VaultLost {
			_ = d.loadPolicy(ctx) // it still tells what is public, and who the owner is
		}
		return d.failOrStop(ctx, healthOf(err), err)
	}
	if err := d.load(ctx); err != nil {
		return d.failOrStop(ctx, healthOf(err), err)
	}
	return nil
}

func (d *Device) openCopies() (*vault.Copies, error) {
	w, err := d.window(d.set.copies)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c, err := vault.NewCopies(w)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, nil
}

func (d *Device) openVault(ctx context.Context) error {
	w, err := d.window(d.set.journal)
	if err != nil {
		return err
	}
	v, _, err := vault.Open(ctx, w, d.secret.vault, d.options())
	d.vault = v
	if errors.Is(err, vault.ErrPending) {
		err = v.FinishAnchor(ctx)
	}
	if err != nil || d.ks.Anchor() == nil {
		return err
	}
	// Beside an anchor every vault is anchored before the latch makes it count, unless
	// it says from its first record on that there was none. What is not is the
	// beginning of a chain whose end somebody, or a cut, took away.
	s := v.Snapshot()
	if _, anchored := s.Anchored(); !anchored && !isSet(s, slotUnanchored) {
		return fmt.Errorf("%w: the state is from before the first anchored one", vault.ErrAnchorAhead)
	}
	return nil
}

func (d *Device) options() vault.Options {
	o := vault.Options{Epoch: d.epoch(), Intent: intentRoom}
	if a := d.ks.Anchor(); a != nil {
		o.Anchor = a
	}
	return o
}

// load takes over what the vault says: intents first, then the policy.
func (d *Device) load(ctx context.Context) error {
	if err := d.redo(ctx); err != nil {
		return err
	}
	if err := d.loadPolicy(ctx); err != nil {
		return err
	}
	s := d.vault.Snapshot()
	d.state = policy.State(s.Lifecycle())
	if isSet(s, slotRMA) {
		d.health |= order.WasRMA
	}
	if isSet(s, slotFrozen) {
		d.health |= order.Frozen
	}
	d.ledger.load(s, d.set.Tick())
	return d.openAudit(ctx)
}

// loadPolicy reads the policy that the vault names.
func (d *Device) loadPolicy(ctx context.Context) error {
	s := d.vault.Snapshot()
	doc, ok := parseDocument(s.Slot(slotDocument))
	if !ok {
		return fmt.Errorf("%w: it names no policy", vault.ErrLost)
	}
	msg, err := d.verbatim(ctx, doc)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	v, pol, _, err := d.set.verify.policy(msg, d.id)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if v.Epoch != d.epoch() {
		return fmt.Errorf("policy: %w: owner epoch %d", vault.ErrLost, v.Epoch)
	}
	return d.believe(pol, doc, revoked(s))
}

// verbatim reads a document and notes whether one of its copies is lost, for Scrub
// to write it again.
func (d *Device) verbatim(ctx context.Context, doc document) (msg []byte, err error) {
	copies := 0
	for c, err := range d.copies.All(ctx) {
		if err == nil && c.Set == int(doc.set) && c.Digest == doc.digest {
			msg = c.Bytes
			copies++
		}
	}
	if copies == 0 {
		return d.copies.Get(ctx, int(doc.set), doc.digest) // which says why
	}
	if copies == 1 {
		d.health |= order.CopyLost
	}
	return msg, nil
}

// believe makes p the policy that orders are held against.
func (d *Device) believe(p *policy.Policy, doc document, gone [][32]byte) error {
	ring, err := d.set.verify.ring(p, gone)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	d.pol, d.doc, d.ring = p, doc, ring
	d.health &^= order.DevelopmentKeys
	if development(p) {
		d.health |= order.DevelopmentKeys
	}
	return nil
}

func healthOf(err error) order.Health {
	switch {
	case errors.Is(err, vault.ErrAnchorAhead):
		return order.AnchorAhead
	case errors.Is(err, vault.ErrAnchorBehind):
		return order.AnchorBehind
	case errors.Is(err, vault.ErrAnchorAbsent), errors.Is(err, vault.ErrPending):
		return order.AnchorAbsent
	}
	return order.VaultLost
}

// fail notes why change is refused. What can be read is looked for in the copies.
func (d *Device) fail(h order.Health, err error) {
	d.health |= h
	d.why = append(d.why, err.Error())
	d.later = nil
	d.books.Store(nil)
	if h == order.VaultLost {
		d.vault, d.ring, d.pol = nil, nil, nil
	}
	if d.ring == nil {
		d.salvage()
	}
}

func (d *Device) failOrStop(ctx context.Context, h order.Health, err error) error {
	if ctx.Err() != nil {
		return err
	}
	d.fail(h, err)
	return nil
}

// salvage looks through the verbatim copies for the newest policy of the owner
// whom the latch remembers. It is good for reading, and for knowing whose order
// to recover counts.
func (d *Device) salvage() {
	if !d.latch.Set() || d.copies == nil {
		return
	}
	for c, err := range d.copies.All(context.Background()) {
		if err != nil {
			continue
		}
		v, pol, ring, err := d.set.verify.policy(c.Bytes, d.id)
		if err != nil || v.Epoch != d.epoch() || ring.Root() != d.latch.Root {
			continue
		}
		if d.pol == nil || pol.Version > d.pol.Version {
			d.pol, d.ring = pol, ring
			// The set is what recovering must not write to.
			d.doc = document{set: uint8(c.Set & 1), digest: sha256.Sum256(c.Bytes)}
		}
	}
}

// serve puts the lock over the memory.
func (d *Device) serve() error {
	p, st := d.effective(), d.state
	if d.degraded() {
		base := d.pol
		if base == nil {
			base = d.set.Baseline
		}
		if base == nil {
			return nil
		}
		// The same rules in every state, so that recovering may lay it out anew.
		p, st = readOnly(base), policy.Manufacturing
	}
	c := &nanolock.Config{State: st, OnDeny: d.denied, Persist: d.persist}
	if !d.degraded() {
		d.books.Store(d.vault)
		s := d.vault.Snapshot()
		c.Usage = map[uint32]policy.Usage{}
		for _, id := range s.Usages() {
			c.Usage[id] = policy.Usage(s.Usage(id))
		}
	}
	lock, err := nanolock.New(d.mem, p, c)
	if err != nil {
		if d.degraded() { // a baseline that does not fit serves nothing
			d.why = append(d.why, err.Error())
			return nil
		}
		d.fail(order.VaultLost, fmt.Errorf("policy: %w", err))
		return d.serve()
	}
	d.lock = lock
	d.serving.Store(lock)
	if d.health&order.Frozen != 0 || d.degraded() {
		lock.Freeze()
	}
	return nil
}

// denied passes a refusal on. The lock has counted it; nothing is written.
func (d *Device) denied(n nanolock.Denial) {
	d.tell(Event{Kind: EventDenied, Err: n.Err, Denial: n})
}
