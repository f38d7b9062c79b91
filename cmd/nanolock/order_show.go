package main

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/policy"
)

func (a *app) orderShowCommand() *cobra.Command {
	pol := ""
	c := &cobra.Command{
		Use: "show FILE [ORDER...]", Short: "Show what an order says and who has signed it",
		Long: `Prints everything in an order, and with the device's policy who has signed, who is
missing, and whether a device would believe it. A policy order names its owner
itself: that proves who signed, not that the device is theirs.

Of a batch only the number of orders and their digest can be seen; name the unsigned
orders too, and they are shown if they are the ones.`,
		Example: `  nanolock order show grant.order --policy router.yaml
  nanolock order show january.batch orders
  nanolock order show grant.order --policy router.yaml --json | jq .missing`,
		Args: atLeast("FILE", 1),
		RunE: func(c *cobra.Command, args []string) error { return a.orderShow(c, args[0], args[1:], pol) },
	}
	c.Flags().StringVar(&pol, "policy", "", "policy of the device, which names its authorities and regions; YAML or CBOR")
	return c
}

// signerReport is one key of the authority, in JSON.
type signerReport struct {
	Name   string `json:"name"`
	ID     string `json:"id"`
	Signed bool   `json:"signed"`
}

// orderReport is an order file in JSON.
type orderReport struct {
	document
	File      string         `json:"file"`
	Form      string         `json:"form"` // unsigned, signed, batch, leaf
	Digest    string         `json:"digest"`
	Order     map[string]any `json:"order,omitempty"`
	Count     uint64         `json:"count,omitempty"` // of a batch
	Root      string         `json:"root,omitempty"`
	Index     *uint64        `json:"index,omitempty"` // in its batch
	Orders    []string       `json:"orders,omitempty"`
	Threshold int            `json:"threshold"`
	Signers   []signerReport `json:"signers"`
	Unknown   []string       `json:"unknown"` // kids of nobody in the policy
	Missing   int            `json:"missing"`
	Verified  bool           `json:"verified"`
	Why       string         `json:"why,omitempty"`
}

func (a *app) orderShow(c *cobra.Command, path string, orders []string, pol string) error {
	m, _, err := readMessage(path)
	if err != nil {
		return err
	}
	var p *policy.Policy
	if pol != "" {
		if p, err = a.readPolicy(pol); err != nil {
			return err
		}
	}
	s, err := m.Check(p)
	if err != nil {
		return deviceFailure(path, err)
	}
	r := newOrderReport(c, path, m, s)
	if len(orders) > 0 {
		if r.Orders, err = ordersOf(m, path, orders); err != nil {
			return err
		}
	}
	if m.Order != nil {
		r.Order = map[string]any{}
		for _, f := range ownerfiles.Describe(m.Order, p) {
			r.Order[f.Name] = f.Value
		}
	}
	if a.json {
		a.emit(r)
		return nil
	}
	a.printOrder(m, p, r)
	return nil
}

// ordersOf lists the orders of a batch, if they are the ones.
func ordersOf(m *ownerfiles.Message, path string, files []string) (list []string, err error) {
	b, err := readBatch(files)
	if err != nil {
		return nil, err
	}
	if !b.Matches(m) {
		return nil, badInput(path, fmt.Errorf("%w: these %d are not the orders of %v", ownerfiles.ErrOther, len(b.Orders()), m), "name all that it was made of, and no others")
	}
	for _, o := range b.Orders() {
		list = append(list, fmt.Sprintf("%v  %v", o.Order.Kind, o.Order.Device))
	}
	return list, nil
}

func newOrderReport(c *cobra.Command, path string, m *ownerfiles.Message, s *ownerfiles.Signatures) *orderReport {
	digest := m.Digest()
	r := &orderReport{document: newDocument(c.CommandPath()), File: path, Form: "unsigned", Digest: hex.EncodeToString(digest[:]),
		Threshold: s.Threshold, Signers: []signerReport{}, Unknown: []string{}, Missing: s.Missing, Verified: s.Verified, Why: s.Why}
	switch {
	case m.Leaf != nil:
		r.Form, r.Index, r.Count = "leaf", &m.Leaf.Index, m.Leaf.Signed.Count
	case m.Batch():
		r.Form, r.Count, r.Root = "batch", m.Count, hex.EncodeToString(m.Root[:])
	case m.Signed():
		r.Form = "signed"
	}
	for _, x := range s.Signers {
		r.Signers = append(r.Signers, signerReport{x.Name, hex.EncodeToString(x.ID[:]), x.Signed})
	}
	for _, kid := range s.Unknown {
		r.Unknown = append(r.Unknown, hex.EncodeToString(kid[:]))
	}
	return r
}

func (a *app) printOrder(m *ownerfiles.Message, p *policy.Policy, r *orderReport) {
	row := func(name, text string) { a.printf("%s %s\n", a.style.dim(pad(name, 10)), text) }
	a.printf("%s\n", a.style.bold(m.String()))
	if m.Order != nil {
		for _, f := range ownerfiles.Describe(m.Order, p) {
			row(f.Name, f.Text)
		}
	} else {
		row("root", r.Root)
	}
	if r.Index != nil {
		row("batch", fmt.Sprintf("order %d of %d", *r.Index+1, r.Count))
	}
	row("digest", r.Digest)
	for _, o := range r.Orders {
		row("order", o)
	}
	for _, s := range r.Signers {
		mark := a.style.dim(a.style.pick("·", "-") + " not yet")
		if s.Signed {
			mark = a.style.pick("✓", "ok") + " signed"
		}
		row("signer", fmt.Sprintf("%s  %s  %s", s.ID, s.Name, mark))
	}
	for _, kid := range slices.Compact(r.Unknown) {
		row("signer", "kid "+kid+"  of nobody known")
	}
	if r.Threshold > 0 {
		row("threshold", fmt.Sprintf("%d of %d, %d missing", r.Threshold, len(r.Signers), r.Missing))
	}
	if r.Verified {
		row("verified", a.style.green("yes"))
	} else {
		row("verified", a.style.yellow("no: "+r.Why))
	}
}
