package device

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/vault"
)

// View is what a start shows of the durable state, in one string: two devices of
// which it is equal obey and refuse the same. Left out are what every commit
// moves along (sequence, anchor, audit head, ledger time), what Scrub makes good, and the certificate's
// digest, which a repeated signature changes. What is degraded is "lost".
func (d *Device) View() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.degraded() {
		return "lost"
	}
	s := d.vault.Snapshot()
	var b strings.Builder
	fmt.Fprintf(&b, "%v health %x epoch %d/%d life %d doc %x frozen %v rma %v gone %x intent %d cert %v",
		d.state, d.health&^(order.AuditBroken|order.CopyLost), d.latch.Epoch, s.OwnerEpoch(), s.Lifecycle(), d.doc.digest[:4],
		isSet(s, slotFrozen), isSet(s, slotRMA), s.Slot(slotRevoked), s.Intent().Kind, len(s.Slot(slotCertificate)))
	for i := range d.pol.Authorities {
		name := d.pol.Authorities[i].Name
		fmt.Fprintf(&b, " %s %d/%d", name, d.counter(name, order.ClassRoot), d.counter(name, order.ClassOperate))
	}
	for _, id := range s.Usages() {
		fmt.Fprintf(&b, " use %d %+v", id, s.Usage(id))
	}
	return b.String()
}

// Journal and Copies are the parts of the vault.
func (d *Device) Journal() (off, n int64) { return d.set.journal.Off, d.set.journal.Len }

// Vault is the open vault.
func (d *Device) Vault() *vault.Vault { return d.vault }

// Remember has c take over what verified before, by digest; one answer in sixteen
// is made again and compared. Enumerating cuts starts a device a million times, and
// of a start the signatures and keys cost nine tenths.
func Remember(c *Config) *Config {
	c.verify = remembering
	return c
}

var remembering = func() *verifier {
	real := standard()
	var m memory
	return &verifier{
		identity: func(id keystore.Identity) (*cose.PublicKey, error) {
			return recall(&m, sha256.Sum256(append([]byte("id"), id.Public...)), func() (*cose.PublicKey, error) { return real.identity(id) })
		},
		policy: func(msg []byte, id order.DeviceID) (*order.Verified, *policy.Policy, *order.Keyring, error) {
			type opened struct {
				v *order.Verified
				p *policy.Policy
				k *order.Keyring
			}
			o, err := recall(&m, sha256.Sum256(append(id[:], msg...)), func() (o opened, err error) {
				o.v, o.p, o.k, err = real.policy(msg, id)
				return o, err
			})
			return o.v, o.p, o.k, err
		},
		ring: func(p *policy.Policy, gone [][32]byte) (*order.Keyring, error) {
			return recall(&m, keysOf(p, gone), func() (*order.Keyring, error) { return real.ring(p, gone) })
		},
		order: func(k *order.Keyring, msg []byte, id order.DeviceID, epoch uint32) (*order.Verified, error) {
			return recall(&m, sha256.Sum256(fmt.Appendf(nil, "%p %x %d %s", k, id, epoch, msg)), func() (*order.Verified, error) { return real.order(k, msg, id, epoch) })
		},
	}
}()

// keysOf digests what a keyring is made of.
func keysOf(p *policy.Policy, gone [][32]byte) [32]byte {
	var b []byte
	for i := range p.Authorities {
		a := &p.Authorities[i]
		b = append(append(b, a.Name...), 0, uint8(a.Suite), uint8(a.Threshold), uint8(len(a.Keys)))
		for _, k := range a.Keys {
			b = append(b, k.Public...)
		}
	}
	for _, id := range gone {
		b = append(b, id[:]...)
	}
	return sha256.Sum256(b)
}

// memory is what was answered.
type memory struct {
	known sync.Map
	asked atomic.Uint64
}

type answer struct {
	value any
	err   error
}

func recall[T any](m *memory, key [32]byte, ask func() (T, error)) (T, error) {
	old, ok := m.known.Load(key)
	if ok && m.asked.Add(1)%16 != 0 {
		a := old.(answer)
		return a.value.(T), a.err
	}
	v, err := ask()
	if !ok {
		old, _ = m.known.LoadOrStore(key, answer{v, err})
	}
	a := old.(answer)
	if (a.err == nil) != (err == nil) {
		panic("verified once, and not again")
	}
	return a.value.(T), a.err
}
