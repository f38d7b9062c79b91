// Command offline-owner shows owners without a server: three people, each with a
// computer that is on no network, own a thousand devices. Two of them have to agree.
// All that goes between them, and to the factory, are files.
//
//	go run ./examples/offline-owner            # a thousand devices
//	go run ./examples/offline-owner -devices 50
//
// Each owner signs once; a Merkle tree makes of the two signatures one order for each
// device, which no other device accepts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func main() {
	n := flag.Int("devices", 1000, "how many devices to make")
	flag.Parse()
	dir, err := os.MkdirTemp("", "offline-owner-")
	check(err)
	err = story(context.Background(), dir, *n, os.Stdout)
	os.RemoveAll(dir)
	check(err)
}

// story is told in files under dir.
func story(ctx context.Context, dir string, n int, out io.Writer) error {
	say := func(f string, args ...any) { fmt.Fprintf(out, f+"\n", args...) }
	owners, err := hire(dir, "anna", "ben", "cleo")
	if err != nil {
		return err
	}
	say("owners:    %d people, %d of them have to agree, keys under passphrases", len(owners), quorum)

	factory, err := build(dir, n)
	if err != nil {
		return err
	}
	ids, err := factory.identities()
	if err != nil {
		return err
	}
	say("factory:   %d devices, each with a secret of its own; a file of ids goes to the owners", len(ids))

	first := rules(owners, 1)
	signed, batch, err := agree(dir, "first", owners[0], owners[2], policyOrders(ids, first, 1))
	if err != nil {
		return err
	}
	say("owners:    anna and cleo each sign once; the file has %d orders", batch.Len())
	err = factory.each(func(i int, u *unit) error {
		leaf, err := batch.Leaf(signed, i)
		if err != nil {
			return err
		}
		return u.provision(ctx, leaf)
	})
	if err != nil {
		return err
	}
	say("factory:   %d devices have an owner", n)

	leaf, err := batch.Leaf(signed, 1)
	if err != nil {
		return err
	}
	say("thief:     the order of device 1 on device 0: %s", verdict(factory.units[0].apply(ctx, leaf), order.ErrForeign))

	tighter := rules(owners, 2)
	tighter.Region("settings").Write = policy.Rule{}
	next := policyOrders(ids, tighter, 2)
	_, err = factory.alone(ctx, dir, owners[1], next)
	say("ben alone: %s", verdict(err, order.ErrSignature))
	if signed, batch, err = agree(dir, "second", owners[1], owners[2], next); err != nil {
		return err
	}
	if err := factory.deliver(ctx, signed, batch); err != nil {
		return err
	}
	say("owners:    ben and cleo put policy 2 on all %d devices", n)
	return factory.check(ctx, 2, say)
}

func verdict(err, want error) string {
	switch {
	case err == nil:
		return "OBEYED"
	case errors.Is(err, want):
		return "refused: " + want.Error()
	}
	return "refused, but why? " + err.Error()
}

// rules of a small sensor: firmware that nobody changes here, settings that the host
// writes, and the lock's own state.
func rules(owners []*person, version uint64) *policy.Policy {
	anyone := policy.Rule{Mode: policy.Any}
	p := &policy.Policy{Name: "sensor", Version: version, Memory: policy.Memory{Size: flashSize, Granule: 4 << 10,
		Hidden: []policy.Area{{ID: 9, Name: "vault", Kind: policy.Vault, Span: vaultSpan}}}}
	p.Map = []policy.Region{
		{ID: 1, Name: "firmware", Span: nvm.Span{Off: 0, Len: 24 << 10}, Boot: true, Access: policy.Access{Read: anyone}},
		{ID: 2, Name: "settings", Span: nvm.Span{Off: 24 << 10, Len: 8 << 10}, Wear: policy.Wear{Erases: 96, PerHours: 24},
			Access: policy.Access{Read: anyone, Write: anyone, Erase: anyone}},
	}
	a := policy.Authority{Name: order.Owner, Suite: policy.Ed25519, Threshold: quorum}
	for _, o := range owners {
		a.Keys = append(a.Keys, policy.Key{Name: o.name, Public: o.public.Bytes()})
	}
	p.Authorities = []policy.Authority{a}
	return p
}

// policyOrders is the same policy for every device, as one order each.
func policyOrders(ids []order.DeviceID, p *policy.Policy, counter uint64) (orders []*order.Order) {
	b, err := p.MarshalBinary()
	check(err)
	for _, id := range ids {
		orders = append(orders, &order.Order{Kind: order.Policy, Device: id, Epoch: 1, Authority: order.Owner,
			Fresh: order.Fresh{Counter: counter}, Body: &order.PolicyBody{Policy: b}})
	}
	return orders
}

// agree has two owners sign a batch, each on a computer of their own: what goes there
// is the payload, what comes back an envelope with one signature.
func agree(dir, name string, a, b *person, orders []*order.Order) ([]byte, *order.BatchOf, error) {
	batch, err := order.NewBatch(orders)
	if err != nil {
		return nil, nil, err
	}
	payload := filepath.Join(dir, name+".payload")
	if err := os.WriteFile(payload, batch.Payload(), 0o644); err != nil {
		return nil, nil, err
	}
	var signed *cose.Envelope
	for _, p := range []*person{a, b} {
		file, err := p.sign(payload)
		if err != nil {
			return nil, nil, err
		}
		e, err := readEnvelope(file)
		if err != nil {
			return nil, nil, err
		}
		if signed == nil {
			signed = e
		} else if err := signed.Merge(e); err != nil {
			return nil, nil, err
		}
	}
	msg, err := signed.MarshalBinary()
	return msg, batch, err
}

func readEnvelope(file string) (*cose.Envelope, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return cose.Parse(b, cose.DefaultMaxPayload)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
