package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// certificateSuffix is behind the image in the name of its certificate.
const certificateSuffix = ".certificate"

// ending is what was asked of "decommission".
type ending struct {
	desk
	owners      people
	certificate string
	yes         bool
}

func (a *app) decommissionCommand() *cobra.Command {
	r := &ending{}
	c := &cobra.Command{
		Use: "decommission", Short: "End the life of a device, and keep its certificate",
		Long: `Orders the device to wipe its confidential regions, to sign a last report that says
so, the certificate, and to destroy its secret. Nothing brings it back. The certificate
stays in the image too; "report verify" checks it with the key in IMAGE.pub. After a
cut the same command again finishes.

Owners whose keys are elsewhere use "order new lifecycle --state decommissioned".`,
		Example: `  nanolock decommission --image flash.bin --owner-key alice.key --owner-key bob.key
  nanolock decommission --image flash.bin --owner-key alice.key --yes --certificate router-7.certificate
  nanolock report verify flash.bin.certificate --key flash.bin.pub`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error { return a.decommission(c, r) },
	}
	r.flags(c)
	r.owners.flags(c, "owner-key", "private key of an owner; repeat for more")
	f := c.Flags()
	f.StringVar(&r.certificate, "certificate", "", "file for the certificate (IMAGE"+certificateSuffix+")")
	f.BoolVar(&r.yes, "yes", false, "ask nobody")
	return c
}

func (a *app) decommission(c *cobra.Command, r *ending) (err error) {
	if r.certificate == "" {
		r.certificate = r.image + certificateSuffix
	}
	if len(r.owners.keys) == 0 {
		return usage("say --owner-key FILE.key, or see nanolock order new lifecycle", "nobody signs the order")
	}
	signers, wipe, err := a.signers(c.Context(), &r.owners)
	if err != nil {
		return err
	}
	wipe()
	b, err := a.open(c.Context(), &r.desk)
	if errors.Is(err, keystore.ErrAbsent) { // a run was cut behind the end of the secret
		if certificate := a.leftBehind(c.Context(), &r.desk); certificate != nil {
			return errors.Join(writeFile(r.certificate, certificate, r.image), a.showCertificate(c, r, certificate))
		}
	}
	if err != nil {
		return err
	}
	defer func() {
		if e := b.finish(); err == nil {
			err = e
		}
	}()
	certificate, err := b.Certificate(c.Context()) // of a run that was cut before it
	if err != nil {
		if err := a.confirm(c.Context(), r, b); err != nil {
			return err
		}
		if certificate, err = b.end(c.Context(), signers); err != nil {
			return refusedBy(r.image, err)
		}
	}
	if _, err := order.OpenReport(certificate, b.Identity(), nil); err != nil {
		return deviceFailure(r.image, err)
	}
	if err := writeFile(r.certificate, certificate, r.image); err != nil {
		return err
	}
	return a.showCertificate(c, r, certificate)
}

// leftBehind is the certificate in the image of a device whose secret is gone, if
// the key beside the image verifies it; nil otherwise.
func (a *app) leftBehind(ctx context.Context, d *desk) []byte {
	u, err := a.unit(d)
	if err != nil {
		return nil
	}
	key, err := readPublic(d.image + ownerfiles.PublicSuffix)
	if err != nil {
		return nil
	}
	mem, err := openImage(d.image, u.Geometry(), true)
	if err != nil {
		return nil
	}
	defer mem.Close()
	list, _ := ownerfiles.Documents(ctx, mem, u.Vault.Span()) // one that does not read is none
	for _, f := range list {
		if f.Certificate == nil {
			continue
		}
		if r, err := order.OpenReport(f.Bytes, key.Key, nil); err == nil && r.Certificate != nil {
			return f.Bytes
		}
	}
	return nil
}

// end orders it.
func (b *bench) end(ctx context.Context, signers []*cose.Signer) ([]byte, error) {
	if p := b.Policy(); p != nil {
		if err := ownerfiles.Enough(p, order.Owner, signers); err != nil {
			return nil, err
		}
	}
	o := &order.Order{Kind: order.Lifecycle, Authority: order.Owner, Body: &order.LifecycleBody{State: uint8(policy.Decommissioned)}}
	if err := ownerfiles.FillLive(b.Device, o); err != nil {
		return nil, err
	}
	msg, err := order.Sign(o, signers...)
	if err != nil {
		return nil, err
	}
	reply, err := b.Apply(ctx, msg)
	if err == nil && len(reply.Report) == 0 {
		err = errors.New("the device answers without a certificate")
	}
	return reply.Report, err
}

func (a *app) showCertificate(c *cobra.Command, r *ending, certificate []byte) error {
	rep, err := order.ParseReport(certificate)
	if err != nil {
		return deviceFailure(r.certificate, err)
	}
	v := newVerdict(c, r.certificate, rep, nil)
	v.Verified, v.Good = true, ownerfiles.Healthy(rep.Health)
	if !v.Good {
		v.Why = append(v.Why, "the device was not healthy at its end")
	}
	if a.json {
		a.emit(v)
		return nil
	}
	a.printReport(v)
	return nil
}

// confirm asks a person to type the first digits of the id.
func (a *app) confirm(ctx context.Context, r *ending, b *bench) error {
	if r.yes {
		return nil
	}
	tty, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return usage("say --yes", "there is no terminal to ask whether it is meant")
	}
	word := b.ID().String()[:8]
	fmt.Fprintf(a.err, "This ends device %v for ever: its confidential regions are wiped and its secret\nis destroyed. Type %s to go on: ", b.ID(), word)
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(tty).ReadString('\n') // nothing is not the word
		typed <- strings.TrimSpace(line)
	}()
	select {
	case line := <-typed:
		if line != word {
			return usage("nothing was changed", "that is not %s", word)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
