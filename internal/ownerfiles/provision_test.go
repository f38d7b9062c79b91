package ownerfiles_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func person(t testing.TB, name string) *cose.Signer {
	t.Helper()
	s, err := rig.Person(cose.Ed25519, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const block = 4 << 10

// small is a policy of a part of 96 KiB with one owner key for each name.
func small(t testing.TB, threshold int, owners ...string) *policy.Policy {
	t.Helper()
	any := policy.Rule{Mode: policy.Any}
	own := policy.Rule{Mode: policy.Grant, Authority: order.Owner}
	p := &policy.Policy{Name: "small", Version: 1, Memory: policy.Memory{Size: 24 * block, Granule: block,
		Hidden: []policy.Area{{ID: 9, Name: "vault", Kind: policy.Vault, Span: nvm.Span{Off: 8 * block, Len: 16 * block}}}},
		Map: []policy.Region{
			{ID: 1, Name: "boot", Boot: true, Span: nvm.Span{Len: 4 * block}, Access: policy.Access{Read: any, Write: own, Erase: own}},
			{ID: 2, Name: "secret", Confidential: true, Span: nvm.Span{Off: 4 * block, Len: block}},
		}}
	a := policy.Authority{Name: order.Owner, Suite: policy.Ed25519, Threshold: threshold}
	for _, name := range owners {
		a.Keys = append(a.Keys, policy.Key{Name: name, Public: person(t, name).Public().Bytes()})
	}
	p.Authorities = []policy.Authority{a}
	return p
}

func flash(t testing.TB, p *policy.Policy) *sim.Flash {
	t.Helper()
	g := p.Geometry()
	g.PageSize = 256
	f, err := sim.New(sim.Config{Name: "unit", Geometry: g})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// fuses are a latch that loses its power before or behind a step, as often as
// cuts says.
type fuses struct {
	rig.Latch
	mu   sync.Mutex
	cuts int
	rng  *rand.Rand
}

var errCut = errors.New("power cut")

func (f *fuses) Set(ctx context.Context, r keystore.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cuts == 0 {
		return f.Latch.Set(ctx, r)
	}
	f.cuts--
	if f.rng.IntN(2) == 0 {
		_ = f.Latch.Set(ctx, r)
	}
	return errors.Join(errCut, keystore.ErrUncertain)
}

// unit is one device of a factory.
type unit struct {
	mem    *sim.Flash
	latch  *fuses
	secret [32]byte
	id     order.DeviceID
}

func (u *unit) open(t testing.TB) *soft.Keystore {
	t.Helper()
	ks, err := soft.Supply(u.secret[:], &soft.Config{Latch: u.latch})
	if err != nil {
		t.Fatal(err)
	}
	return ks
}

// A factory of a thousand units: the power goes at any operation, secrets are
// there twice. Whoever repeats the same call ends with every unit provisioned, but
// for the copies, and nothing that was done is done again.
func TestThousandUnits(t *testing.T) {
	const n, cuts = 1000, 3
	rng := rand.New(rand.NewPCG(1, 2))
	p, owner := small(t, 1, "alice"), person(t, "alice")
	units, ids := make([]*unit, n), make([]order.DeviceID, n)
	for i := range units {
		u := &unit{mem: flash(t, p), latch: &fuses{rng: rng, cuts: rng.IntN(2)}, secret: sha256.Sum256(fmt.Append(nil, i))}
		if i%100 == 99 {
			u.secret = units[i-50].secret
		}
		ks := u.open(t)
		id, err := ownerfiles.IDOf(ks)
		if err != nil {
			t.Fatal(err)
		}
		units[i], ids[i], u.id = u, id, id
		ks.Close()
	}
	twins := ownerfiles.Duplicates(ids)
	if len(twins) != n/100*2 {
		t.Fatalf("%d units have the secret of another, want %d", len(twins), n/100*2)
	}
	done, torn := map[order.DeviceID]bool{}, 0
	for i, u := range units {
		if j, ok := twins[i]; ok {
			if ids[i] != ids[j] || i == j {
				t.Fatalf("unit %d is no copy of %d", i, j)
			}
			continue
		}
		torn += u.provision(t, p, owner, rng, cuts)
		if done[u.id] {
			t.Fatalf("device %v is there twice", u.id)
		}
		done[u.id] = true
	}
	if len(done) != n-len(twins) || torn < n/2 {
		t.Errorf("%d units of %d are provisioned, after %d cuts", len(done), n-len(twins), torn)
	}
}

// provision repeats the call until it is not cut any more, and returns how often
// it was.
func (u *unit) provision(t *testing.T, p *policy.Policy, owner *cose.Signer, rng *rand.Rand, cuts int) (torn int) {
	t.Helper()
	o, err := ownerfiles.FirstOrder(p, u.id)
	if err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ {
		msg, err := order.Sign(o, owner)
		if err != nil {
			t.Fatal(err)
		}
		ks := u.open(t)
		if try < cuts {
			u.mem.CutAtOp(u.mem.Ops()+uint64(rng.IntN(60)), "")
		}
		out, err := ownerfiles.Provision(t.Context(), u.mem, ks, msg, ownerfiles.Rehearse(ownerfiles.VaultOf(p), false))
		ks.Close()
		if err == nil {
			if out.Device != u.id || out.State != policy.Manufacturing || out.Policy != p.Name {
				t.Fatalf("device %v: %+v", u.id, out)
			}
			u.again(t, msg, p)
			return torn
		}
		if try > cuts+1 {
			t.Fatalf("device %v: %v", u.id, err)
		}
		torn++
		u.mem.PowerCut()
		u.mem.PowerOn()
	}
}

// again is the same once more: nothing may be written.
func (u *unit) again(t *testing.T, msg []byte, p *policy.Policy) {
	t.Helper()
	u.mem.PowerCut() // and what was armed is gone
	u.mem.PowerOn()
	ks := u.open(t)
	defer ks.Close()
	config := ownerfiles.Rehearse(ownerfiles.VaultOf(p), false)
	before := u.mem.Fingerprint()
	out, err := ownerfiles.Provision(t.Context(), u.mem, ks, msg, config)
	if err != nil || !out.Before {
		t.Fatalf("device %v once more: %+v, %v", u.id, out, err)
	}
	if before != u.mem.Fingerprint() {
		t.Fatalf("device %v: provisioning once more has written", u.id)
	}
}

func TestProvisionRefuses(t *testing.T) {
	p := small(t, 2, "alice", "bob", "carol")
	u := &unit{mem: flash(t, p), latch: new(fuses), secret: sha256.Sum256([]byte("u"))}
	ks := u.open(t)
	id, err := ownerfiles.IDOf(ks)
	if err != nil {
		t.Fatal(err)
	}
	alice, bob, mallory := person(t, "alice"), person(t, "bob"), person(t, "mallory")
	for _, tc := range []struct {
		name    string
		signers []*cose.Signer
		want    error
	}{
		{"too few", []*cose.Signer{alice}, ownerfiles.ErrUnsigned},
		{"one twice", []*cose.Signer{alice, alice}, ownerfiles.ErrUnsigned},
		{"nobody", nil, ownerfiles.ErrUnsigned},
		{"a stranger", []*cose.Signer{alice, mallory}, order.ErrAuthority},
		{"enough", []*cose.Signer{alice, bob}, nil},
	} {
		if err := ownerfiles.Enough(p, order.Owner, tc.signers); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	o, err := ownerfiles.FirstOrder(p, id)
	if err != nil {
		t.Fatal(err)
	}
	other := *o
	other.Device[0] ^= 1
	config := ownerfiles.Rehearse(ownerfiles.VaultOf(p), false)
	for _, tc := range []struct {
		name    string
		o       *order.Order
		signers []*cose.Signer
		want    error
	}{
		{"too few", o, []*cose.Signer{alice}, order.ErrSignature},
		{"another device", &other, []*cose.Signer{alice, bob}, order.ErrForeign},
	} {
		msg, err := order.Sign(tc.o, tc.signers...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ownerfiles.Provision(t.Context(), u.mem, ks, msg, config); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	good, err := order.Sign(o, alice, bob)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ownerfiles.Provision(t.Context(), u.mem, ks, good, config); err != nil {
		t.Fatal(err)
	}
	p.Version++
	if o, err = ownerfiles.FirstOrder(p, id); err != nil {
		t.Fatal(err)
	}
	if good, err = order.Sign(o, alice, bob); err != nil {
		t.Fatal(err)
	}
	if _, err := ownerfiles.Provision(t.Context(), u.mem, ks, good, config); !errors.Is(err, device.ErrProvisioned) {
		t.Errorf("another policy: %v", err)
	}
}
