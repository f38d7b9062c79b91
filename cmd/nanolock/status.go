package main

import (
	"crypto/rand"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/order"
)

// codeOf is what a device's reply says of an error.
func codeOf(err error) order.Code { return device.CodeOf(err) }

func (a *app) statusCommand() *cobra.Command {
	d, report, nonce := &desk{}, "", ""
	c := &cobra.Command{
		Use: "status", Short: "Open a device and tell how it is",
		Long: `Opens the device and prints its state, policy and health, what to do about it, and
for each authority the counters and challenges that orders need: give the output of
--json to "order new --status". Exit code 1 if the device is not healthy.

Challenges marked with * die when this command ends: see nanolock order apply --wait.
A device whose keystore is a file has no anchor: whoever puts an old copy of image and
latch back is not noticed.`,
		Example: `  nanolock status --image flash.bin
  nanolock status --image flash.bin --json > router-7.json
  nanolock status --image flash.bin --report router-7.report --nonce 0011223344556677`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error { return a.status(c, d, report, nonce) },
	}
	d.flags(c)
	c.Flags().StringVar(&report, "report", "", "file for a signed report")
	c.Flags().StringVar(&nonce, "nonce", "", "what the report shall hold, in hex (random)")
	return c
}

func (a *app) status(c *cobra.Command, d *desk, report, nonce string) (err error) {
	n := make([]byte, 16)
	if nonce != "" {
		if n, err = parseNonce(nonce); err != nil {
			return err
		}
	} else if _, err := io.ReadFull(a.randomOr(rand.Reader), n); err != nil {
		return ioFailure("random numbers", err, "")
	}
	b, err := a.open(c.Context(), d)
	if err != nil {
		return err
	}
	defer func() {
		if e := b.finish(); e != nil {
			err = e
		}
	}()
	signed, err := b.Report(c.Context(), n)
	if err != nil {
		return deviceFailure(d.image, err)
	}
	s, err := ownerfiles.StatusOf(b.Device, signed, b.keys.Anchor() != nil)
	if err != nil {
		return deviceFailure(d.image, err)
	}
	if report != "" {
		if err := writeFile(report, signed, d.image, d.secretPath()); err != nil {
			return err
		}
	}
	if a.json {
		a.emit(struct {
			document
			*ownerfiles.Status
		}{newDocument(c.CommandPath()), s})
	} else {
		a.printStatus(s)
	}
	if !s.Healthy {
		return errFindings
	}
	return nil
}

// randomOr is where random bytes come from, tests aside.
func (a *app) randomOr(r io.Reader) io.Reader {
	if a.random != nil {
		return a.random
	}
	return r
}

func (a *app) printStatus(s *ownerfiles.Status) {
	row := func(name, format string, args ...any) {
		a.printf("%s %s\n", a.style.dim(pad(name, 9)), fmt.Sprintf(format, args...))
	}
	row("device", "%s", s.Device)
	row("state", "%s", s.State)
	if s.Policy.Version > 0 {
		row("policy", "%s, version %d, digest %s", s.Policy.Name, s.Policy.Version, s.Policy.Digest)
	} else {
		row("policy", "none can be believed")
	}
	row("epoch", "%d", s.Epoch)
	if s.Healthy {
		row("health", "%s", a.style.green("good"))
	}
	a.printHealth(s.Health)
	for _, why := range s.Why {
		row("why", "%s", why)
	}
	row("sessions", "%s", map[bool]string{true: "none"}[s.Sessions == 0])
	if !s.Anchor {
		row("anchor", "none: an old copy of image and latch would not be noticed")
	}
	if s.Vault.Seq > 0 {
		row("vault", "record %d, %s", s.Vault.Seq, s.Vault.Tag)
	}
	if s.Audit.Seq > 0 {
		row("audit", "entry %d, %s", s.Audit.Seq, s.Audit.Tag)
	}
	for _, x := range s.Authorities {
		if x.Keys == 0 && x.Threshold == 0 && len(x.Fresh) == 0 {
			continue
		}
		signers := ""
		if x.Keys > 0 {
			signers = fmt.Sprintf(", %d of %d keys", x.Threshold, x.Keys)
		}
		a.printf("%s%s\n", a.style.bold(x.Name), signers)
		for _, class := range []string{"root", "operate", "live"} {
			f, ok := x.Fresh[class]
			if !ok {
				continue
			}
			mark := ""
			if class == "live" || s.Vault.Seq == 0 {
				mark = " *"
			}
			a.printf("  %s counter %d, challenge %s%s\n", a.style.dim(pad(class, 8)), f.Counter, f.Challenge, mark)
		}
	}
}

// printHealth prints what is to be said, and what to do.
func (a *app) printHealth(list []ownerfiles.Symptom) {
	for _, x := range list {
		mark := a.style.dim(a.style.pick("·", "-"))
		if x.Bad {
			mark = a.style.yellow(a.style.pick("▲", "!"))
		}
		a.printf("%s %s %s: %s\n  %s %s\n", a.style.dim(pad("health", 9)), mark, a.style.bold(x.Name), x.Text,
			a.style.dim(a.style.pick("→", "->")), x.Do)
	}
}
