package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/flashpic"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// inspecting is what was asked of "inspect".
type inspecting struct {
	desk
	vault string
}

func (a *app) inspectCommand() *cobra.Command {
	r := &inspecting{}
	c := &cobra.Command{
		Use: "inspect IMAGE", Short: "Look into an image of a device's flash, and change nothing",
		Long: `Shows the regions with their digests, the policies and the certificate that lie in the
vault, and who signed them. The image is only read, so it may be a dump of a device that
somebody sent in.

What the lock remembers is authenticated by keys that only the device's secret makes:
with --keystore a copy of the image in memory is started as the device would start,
and its state, health and audit chain are shown. Without it the structure alone is
seen, and that proves nothing.`,
		Example: `  nanolock inspect dump.bin
  nanolock inspect dump.bin --policy router.yaml --keystore flash.bin.secret
  nanolock inspect dump.bin --erase-size 4KiB --vault 0xfc0000+256KiB --json | jq .regions`,
		Args: takes("IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			r.image = args[0]
			return a.inspect(c, r)
		},
	}
	f := c.Flags()
	f.StringVar(&r.keystore, "keystore", "", "the device's secret: look with its keys")
	f.StringVar(&r.desk.policy, "policy", "", "policy whose regions are shown (the newest in the image); YAML or CBOR")
	f.StringVar(&r.vault, "vault", "", "where the vault is: OFF+LEN (what the policy or IMAGE.unit says, or the last 64 KiB)")
	f.StringVar(&r.part.program, "program", "clear-bits", "what programming does: clear-bits (NOR), once-page (NAND) or rewrite (files)")
	f.StringVar(&r.part.erase, "erase-size", "", "smallest erase block of the part (the policy's granule, or 4KiB)")
	f.StringVar(&r.part.unit, "program-size", "", "smallest program unit of the part (1; 2KiB for once-page)")
	_ = c.RegisterFlagCompletionFunc("program", fixed("clear-bits", "once-page", "rewrite"))
	return c
}

// found is what inspect prints, in JSON.
type found struct {
	document
	File        string                 `json:"file"`
	Size        int64                  `json:"size"`
	Vault       ownerfiles.Extent      `json:"vault"`
	PolicyFrom  string                 `json:"policy_from"` // whose regions are shown
	Regions     []ownerfiles.Place     `json:"regions"`
	Documents   []*ownerfiles.Found    `json:"documents"`
	Certificate *verdict               `json:"certificate,omitempty"`
	Keys        bool                   `json:"keys"` // it was looked at with the device's secret
	State       *ownerfiles.Status     `json:"state,omitempty"`
	Audit       []ownerfiles.AuditLine `json:"audit,omitempty"`
	Notes       []string               `json:"notes"`
}

func (a *app) inspect(c *cobra.Command, r *inspecting) error {
	image, err := readImage(r.image)
	if err != nil {
		return err
	}
	p, u, err := a.described(r, int64(len(image)))
	if err != nil {
		return err
	}
	mem, err := dump(u.Geometry(), image)
	if err != nil {
		return badInput(r.image, err, "say --erase-size and --program, or --policy")
	}
	f := &found{document: newDocument(c.CommandPath()), File: r.image, Size: int64(len(image)), Vault: u.Vault, Regions: []ownerfiles.Place{}, Notes: []string{}}
	if f.Documents, err = ownerfiles.Documents(c.Context(), mem, u.Vault.Span()); errors.Is(err, device.ErrConfig) {
		return badInput(r.image, err, "say --vault OFF+LEN, --erase-size, or --policy")
	} else if err != nil {
		f.Notes = append(f.Notes, "a copy could not be read: "+err.Error())
	}
	f.PolicyFrom = r.desk.policy
	if best := ownerfiles.Newest(f.Documents); p == nil && best != nil {
		p, f.PolicyFrom = best.Rules, "the image"
	}
	if p != nil {
		if f.Regions, err = ownerfiles.Places(c.Context(), mem, p); err != nil {
			return badInput(r.image, err, "the image is smaller than the flash of the policy")
		}
	}
	for _, x := range f.Documents {
		if x.Certificate != nil {
			f.Certificate = newVerdict(c, r.image, x.Certificate, p)
			f.Notes = append(f.Notes, "the certificate was read and not verified: nanolock decommission keeps it in a file for nanolock report verify")
		}
	}
	if err := r.start(c.Context(), f, mem, u); err != nil {
		return err
	}
	if a.json {
		a.emit(f)
	} else {
		a.printFound(f)
	}
	if f.State != nil && !f.State.Healthy {
		return errFindings
	}
	return nil
}

// described is what is known of the memory: from the policy, the unit's file, or
// flags.
func (a *app) described(r *inspecting, size int64) (p *policy.Policy, u *ownerfiles.Unit, err error) {
	if r.desk.policy != "" {
		if p, err = a.readPolicy(r.desk.policy); err != nil {
			return nil, nil, err
		}
		if p.Memory.Size != size {
			return nil, nil, badInput(r.image, fmt.Errorf("%w: %d bytes, the policy is for %d", errSize, size, p.Memory.Size), "take an image of the whole flash")
		}
		u, err = a.unit(&r.desk)
	} else if u, err = r.beside(); err == nil && u == nil {
		g, gerr := r.part.geometry(&policy.Policy{Memory: policy.Memory{Size: size, Granule: 4 << 10}})
		u, err = ownerfiles.UnitOf(order.DeviceID{}, g, new(policy.Policy)), gerr
	}
	if err != nil {
		return nil, nil, err
	}
	if u.Size != size {
		return nil, nil, badInput(r.image, fmt.Errorf("%w: %d bytes, the flash has %d", errSize, size, u.Size), "take an image of the whole flash")
	}
	if r.vault != "" {
		if u.Vault, err = parseSpan(r.vault); err != nil {
			return nil, nil, err
		}
	}
	if u.Vault == (ownerfiles.Extent{}) { // what device.Config means by it
		u.Vault = ownerfiles.Extent{Off: max(size-64<<10, 0), Len: min(64<<10, size)}
	}
	return p, u, nil
}

// beside reads the file of the unit, if there is one.
func (r *inspecting) beside() (*ownerfiles.Unit, error) {
	path := r.image + ownerfiles.UnitSuffix
	b, err := readFile(path, ownerfiles.MaxUnit)
	if err != nil || r.part.erase != "" || r.part.unit != "" {
		return nil, nil // flags and guesses do
	}
	u, err := ownerfiles.ParseUnit(b)
	if err != nil {
		return nil, badInput(path, err, "remove it and name the policy with --policy")
	}
	return u, nil
}

func parseSpan(s string) (ownerfiles.Extent, error) {
	off, length, ok := strings.Cut(s, "+")
	o, err1 := parseSize(off)
	n, err2 := parseSize(length)
	if !ok || err1 != nil || err2 != nil || n == 0 {
		return ownerfiles.Extent{}, usage("write 0xfc0000+256KiB", "--vault %q is no OFF+LEN", s)
	}
	return ownerfiles.Extent{Off: o, Len: n}, nil
}

// dump is an image in memory, that can be started like a device.
func dump(g nvm.Geometry, image []byte) (nvm.NVM, error) {
	f, err := sim.New(sim.Config{Name: "dump", Geometry: g})
	if err != nil {
		return nil, err
	}
	return f, f.Poke(image, 0)
}

// start opens the device on the copy, if its secret is here.
func (r *inspecting) start(ctx context.Context, f *found, mem nvm.NVM, u *ownerfiles.Unit) error {
	if r.keystore == "" {
		f.Notes = append(f.Notes, "without --keystore the structure alone is seen: state, counters and the audit chain are authenticated by keys of the device")
		return nil
	}
	ks, err := ownerfiles.OpenSecret(r.keystore, false)
	if err != nil {
		return deviceFailure(r.keystore, err)
	}
	defer ks.Close()
	dev, err := device.Open(ctx, mem, ownerfiles.Rehearsal(ks), ownerfiles.Rehearse(u.Vault.Span(), false))
	if errors.Is(err, device.ErrNotProvisioned) {
		f.Notes = append(f.Notes, "the keystore's device was never provisioned")
		return nil
	}
	if err != nil {
		return deviceFailure(r.image, err)
	}
	defer dev.Close()
	report, err := dev.Report(ctx, make([]byte, order.MinNonce))
	if err != nil {
		return deviceFailure(r.image, err)
	}
	f.Keys = true
	f.State, err = ownerfiles.StatusOf(dev, report, ks.Anchor() != nil)
	if err != nil {
		return deviceFailure(r.image, err)
	}
	f.Notes = append(f.Notes, "this is the state in which the device would start; it was tried on a copy")
	p := dev.Policy()
	if p == nil {
		return nil
	}
	list, missing, err := ownerfiles.Audit(ctx, mem, ks, p)
	if err != nil {
		f.Notes = append(f.Notes, "the audit chain does not read: "+err.Error())
	}
	f.Audit = list
	for _, m := range missing {
		f.Notes = append(f.Notes, "audit: "+m)
	}
	return nil
}

func (a *app) printFound(f *found) {
	a.printf("%s, %s\n", a.style.bold(f.File), flashpic.Size(f.Size))
	if len(f.Regions) > 0 {
		a.printf("%s\n", a.style.dim("regions as in the policy of "+f.PolicyFrom))
	}
	for _, p := range f.Regions {
		text := p.Digest
		if p.Erased {
			text = pad("erased", len(p.Digest))
		}
		a.printf("  %s %s  %#x+%#x  %s\n", text, pad(p.Name, 16), p.Span.Off, p.Span.Len, a.style.dim(p.Kind))
	}
	a.printf("%s\n", a.style.dim(fmt.Sprintf("documents in the vault at %#x+%#x", f.Vault.Off, f.Vault.Len)))
	for _, d := range f.Documents {
		a.printFoundDocument(d)
	}
	if len(f.Documents) == 0 {
		a.printf("  none: the device was never provisioned, the vault is elsewhere, or it was erased\n")
	}
	if f.State != nil {
		a.printStatus(f.State)
	}
	for _, e := range f.Audit {
		what := strings.TrimSpace(e.Kind + " " + e.Order)
		if e.Denied > 0 {
			what += fmt.Sprintf(", %d %s refused before", e.Denied, plural(int(min(e.Denied, 2)), "access", "accesses"))
		}
		a.printf("%s %d, boot %s, %d s: %s\n", a.style.dim(pad("audit", 9)), e.Seq, e.Boot, e.At, what)
	}
	if f.Certificate != nil {
		a.printReport(f.Certificate)
	}
	for _, n := range f.Notes {
		a.printf("%s %s\n", a.style.dim(a.style.pick("·", "-")), n)
	}
}

func (a *app) printFoundDocument(d *ownerfiles.Found) {
	what := d.Why
	if d.Policy != nil {
		what = fmt.Sprintf("policy %s, version %d, signed by %s", d.Policy.Name, d.Policy.Version, strings.Join(d.Signers, ", "))
		if !d.Verified {
			what += a.style.red(": " + d.Why)
		}
	}
	a.printf("  set %d, %d of 2 copies: %s; device %s, epoch %d\n", d.Set, d.Copies, what, d.Device, d.Epoch)
}
