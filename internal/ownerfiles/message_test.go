package ownerfiles_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
)

// lifecycle is an order of the owner for a device.
func lifecycle(device byte) *order.Order {
	return &order.Order{Kind: order.Lifecycle, Device: order.DeviceID{device}, Epoch: 1, Authority: order.Owner,
		Fresh: order.Fresh{Challenge: bytes.Repeat([]byte{7}, 32)}, Body: &order.LifecycleBody{State: 2}}
}

func message(t testing.TB, o *order.Order) *ownerfiles.Message {
	t.Helper()
	m, err := ownerfiles.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// again writes the file and reads it.
func again(t testing.TB, m *ownerfiles.Message) *ownerfiles.Message {
	t.Helper()
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	out, err := ownerfiles.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Two of three sign: one behind the other, apart and merged, or with a key that
// is elsewhere. All ways lead to an order that a device believes.
func TestSigningTogether(t *testing.T) {
	p := small(t, 2, "alice", "bob", "carol")
	alice, bob := person(t, "alice"), person(t, "bob")
	ways := map[string]func(*testing.T) *ownerfiles.Message{
		"one behind the other": func(t *testing.T) *ownerfiles.Message {
			m := message(t, lifecycle(1))
			must(t, m.Sign(alice))
			m = again(t, m)
			if s, err := m.Check(p); err != nil || s.Verified || s.Missing != 1 || !s.Signers[0].Signed || s.Signers[1].Signed {
				t.Errorf("after one: %+v, %v", s, err)
			}
			must(t, m.Sign(bob))
			return m
		},
		"merged": func(t *testing.T) *ownerfiles.Message {
			m, other := message(t, lifecycle(1)), message(t, lifecycle(1))
			must(t, m.Sign(alice))
			must(t, other.Sign(bob))
			m = again(t, m)
			must(t, m.Merge(again(t, other)))
			return m
		},
		"merged into the unsigned one": func(t *testing.T) *ownerfiles.Message {
			other := message(t, lifecycle(1))
			must(t, other.Sign(alice))
			must(t, other.Sign(bob))
			m := message(t, lifecycle(1))
			must(t, m.Merge(other))
			return m
		},
		"elsewhere": func(t *testing.T) *ownerfiles.Message {
			m := message(t, lifecycle(1))
			must(t, m.Sign(alice))
			must(t, m.Attach(bob.Public(), detached(t, message(t, lifecycle(1)), bob)...))
			return m
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			m := again(t, way(t))
			s, err := m.Check(p)
			if err != nil || !s.Verified || s.Missing != 0 || len(s.Unknown) != 0 {
				t.Fatalf("%+v, %v", s, err)
			}
			ring, err := order.NewKeyring(p, nil)
			must(t, err)
			b, err := m.Bytes()
			must(t, err)
			if _, err := ring.Open(b, order.DeviceID{1}, 1); err != nil {
				t.Error(err)
			}
		})
	}
}

// detached signs what is to be signed, half by half.
func detached(t testing.TB, m *ownerfiles.Message, s *cose.Signer) (sigs [][]byte) {
	t.Helper()
	tbs, err := m.ToBeSigned(s.Public())
	must(t, err)
	for i, alg := range s.Public().Suite().Algs() {
		sig, err := s.SignHalf(alg, tbs[i])
		must(t, err)
		sigs = append(sigs, sig)
	}
	return sigs
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMessagesRefuse(t *testing.T) {
	alice, bob := person(t, "alice"), person(t, "bob")
	hybrid, err := rig.Person(cose.Ed25519MLDSA65, "hybrid")
	must(t, err)
	signed := message(t, lifecycle(1))
	must(t, signed.Sign(alice))
	batch, err := ownerfiles.NewBatch([]*ownerfiles.Message{message(t, lifecycle(1)), message(t, lifecycle(2))})
	must(t, err)
	whole, err := batch.Message()
	must(t, err)
	must(t, whole.Sign(alice))
	raw, err := batch.Leaf(whole, 0)
	must(t, err)
	leaf, err := ownerfiles.Parse(raw)
	must(t, err)
	wrong := lifecycle(1)
	wrong.Authority = "vendor"
	good := detached(t, message(t, lifecycle(1)), bob)
	for _, tc := range []struct {
		name string
		err  error
		want error
	}{
		{"signed twice", signed.Sign(alice), ownerfiles.ErrSigned},
		{"a leaf", leaf.Sign(bob), ownerfiles.ErrSigned},
		{"not theirs to sign", message(t, wrong).Sign(alice), order.ErrAuthority},
		{"merge of another", signed.Merge(message(t, lifecycle(2))), ownerfiles.ErrOther},
		{"merge of nothing", signed.Merge(message(t, lifecycle(1))), ownerfiles.ErrUnsigned},
		{"merge of a leaf", signed.Merge(leaf), ownerfiles.ErrSigned},
		{"another's signature", signed.Attach(alice.Public(), good...), ownerfiles.ErrSigned},
		{"half a signature", signed.Attach(hybrid.Public(), good...), ownerfiles.ErrSigned},
		{"signature of another order", message(t, lifecycle(2)).Attach(bob.Public(), good...), ownerfiles.ErrSigned},
		{"a batch of signed orders", second(ownerfiles.NewBatch([]*ownerfiles.Message{signed})), ownerfiles.ErrSigned},
		{"a batch with a double", second(ownerfiles.NewBatch([]*ownerfiles.Message{message(t, lifecycle(1)), message(t, lifecycle(1))})), ownerfiles.ErrOther},
		{"an empty batch", second(ownerfiles.NewBatch(nil)), order.ErrMalformed},
		{"nothing", second(ownerfiles.Parse(nil)), ownerfiles.ErrMalformed},
		{"text", second(ownerfiles.Parse([]byte("nanolock: 1\n"))), ownerfiles.ErrMalformed},
		{"too long", second(ownerfiles.Parse(make([]byte, order.MaxMessage+1))), ownerfiles.ErrMalformed},
		{"a trailing byte", second(ownerfiles.Parse(append(bytes.Clone(signed.Payload), 0))), ownerfiles.ErrMalformed},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, tc.err, tc.want)
		}
	}
	if s, err := signed.Check(nil); err != nil || s.Verified || len(s.Unknown) != 1 || !strings.Contains(s.Why, "without the policy") {
		t.Errorf("no policy: %+v, %v", s, err)
	}
}

func second[T any](_ T, err error) error { return err }

// A thousand orders, two signatures, and each device gets its own.
func TestBatch(t *testing.T) {
	const n = 1000
	p := small(t, 2, "alice", "bob")
	var orders []*ownerfiles.Message
	for i := range n {
		o := lifecycle(1)
		copy(o.Device[:], fmt.Sprintf("device %d", i))
		orders = append(orders, message(t, o))
	}
	b, err := ownerfiles.NewBatch(orders)
	must(t, err)
	m, err := b.Message()
	must(t, err)
	if _, err := b.Leaf(m, 0); !errors.Is(err, ownerfiles.ErrUnsigned) {
		t.Errorf("an unsigned batch: %v", err)
	}
	must(t, m.Sign(person(t, "alice")))
	m = again(t, m)
	must(t, m.Sign(person(t, "bob")))
	m = again(t, m)
	if s, err := m.Check(p); err != nil || !s.Verified || m.Count != n {
		t.Fatalf("the batch: %+v, %v", s, err)
	}
	ring, err := order.NewKeyring(p, nil)
	must(t, err)
	for i, o := range b.Orders() {
		raw, err := b.Leaf(m, i)
		must(t, err)
		if _, err := ring.Open(raw, o.Order.Device, 1); err != nil {
			t.Fatalf("order %d: %v", i, err)
		}
		l, err := ownerfiles.Parse(raw)
		must(t, err)
		if s, err := l.Check(p); err != nil || !s.Verified || l.Digest() != o.Digest() || l.Leaf.Index != uint64(i) {
			t.Fatalf("order %d: %+v, %v", i, s, err)
		}
	}
	other, err := ownerfiles.NewBatch(orders[1:])
	must(t, err)
	if _, err := other.Leaf(m, 0); !errors.Is(err, ownerfiles.ErrOther) || other.Matches(m) {
		t.Errorf("another batch: %v", err)
	}
	orders[0], orders[1] = orders[1], orders[0]
	if same, err := ownerfiles.NewBatch(orders); err != nil || !same.Matches(m) {
		t.Errorf("the same orders with other names make another batch: %v", err)
	}
}

// What Parse takes it writes as it was, and says the same of it.
func FuzzParse(f *testing.F) {
	signed := message(f, lifecycle(1))
	must(f, signed.Sign(person(f, "alice")))
	b, err := ownerfiles.NewBatch([]*ownerfiles.Message{message(f, lifecycle(1)), message(f, lifecycle(2))})
	must(f, err)
	m, err := b.Message()
	must(f, err)
	f.Add(bytes.Clone(m.Payload))
	must(f, m.Sign(person(f, "alice")))
	leaf, err := b.Leaf(m, 1)
	must(f, err)
	one, err := signed.Bytes()
	must(f, err)
	f.Add(leaf)
	f.Add(one)
	f.Add(signed.Payload)
	p := small(f, 1, "alice")
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := ownerfiles.Parse(in)
		if err != nil {
			return
		}
		out, err := m.Bytes()
		if err != nil || !bytes.Equal(in, out) {
			t.Fatalf("%x became %x, %v", in, out, err)
		}
		if s, err := m.Check(p); err == nil && s.Verified && !m.Signed() {
			t.Fatal("verified, and nobody signed")
		}
		if m.Order != nil {
			ownerfiles.Describe(m.Order, p)
		}
	})
}

func FuzzUnit(f *testing.F) {
	p := small(f, 1, "alice")
	f.Add(ownerfiles.UnitOf(order.DeviceID{1}, p.Geometry(), p).Encode())
	f.Add([]byte(`{"nanolock":1,"size":-1}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		u, err := ownerfiles.ParseUnit(in)
		if err != nil {
			return
		}
		same, err := ownerfiles.ParseUnit(u.Encode())
		if err != nil || *same != *u {
			t.Fatalf("%+v became %+v, %v", u, same, err)
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(`{"device":"` + strings.Repeat("01", 32) + `","epoch":1,"authorities":[{"name":"owner","fresh":{"root":{"counter":1,"challenge":"` +
		strings.Repeat("02", 32) + `"}}}]}`))
	f.Add([]byte(`{"device":"00"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := ownerfiles.ParseStatus(in)
		if err != nil {
			return
		}
		for _, k := range []order.Kind{order.Lifecycle, order.Policy, order.Grant} {
			o := &order.Order{Kind: k, Authority: order.Owner}
			if err := s.Fill(o); err == nil && o.Device.String() != strings.ToLower(s.Device) {
				t.Fatalf("%v: for %v, the status is of %s", k, o.Device, s.Device)
			}
		}
	})
}
