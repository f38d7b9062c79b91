package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// provisioning is what was asked of "provision".
type provisioning struct {
	desk
	dir    string
	count  int
	create bool
	ids    bool
	orders []string
	owners people

	pol     *policy.Policy
	geo     nvm.Geometry
	signers []*cose.Signer
	signed  map[order.DeviceID][]byte // made elsewhere
}

func (a *app) provisionCommand() *cobra.Command {
	r := &provisioning{}
	c := &cobra.Command{
		Use: "provision", Short: "Give devices their owner and first policy",
		Long: `Makes or opens each device's secret, signs its first policy order (or takes one
that was signed elsewhere), writes vault and policy into the image, and opens the
device again to see that it is so. After a cut, or for fun, the same command again
finishes what is left and leaves the rest alone.

One unit is --image; many are the .bin and .img files of --dir, or with --count N
the files unit-0001.bin and on, which are copied from --image where they are missing.
Beside each image lie then the secret (IMAGE.secret, its latch IMAGE.secret.latch),
the public key of the device (IMAGE.pub) and what its memory is like (IMAGE.unit).

Owners whose keys are elsewhere take the list of --ids, sign orders of kind policy
for epoch 1, alone or in a batch, and bring them back with --order.`,
		Example: `  nanolock provision --policy router.yaml --image flash.bin --create --owner-key alice.key --owner-key bob.key
  nanolock provision --policy router.yaml --dir units --count 1000 --image factory.bin --create --owner-key alice.key --json
  nanolock provision --policy router.yaml --dir units --create --ids > ids.txt
  nanolock provision --policy router.yaml --dir units --order signed`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error { return a.provision(c, r) },
	}
	f := c.Flags()
	f.StringVar(&r.desk.policy, "policy", "", "policy of the devices; YAML or CBOR")
	f.StringVar(&r.image, "image", "", "image of one device's flash; with --count, what the units' are copied from")
	f.StringVar(&r.dir, "dir", "", "folder with the images of many devices")
	f.IntVar(&r.count, "count", 0, "with --dir: how many units to make")
	f.StringVar(&r.keystore, "keystore", "", "with --image alone: the device's secret (IMAGE"+ownerfiles.SecretSuffix+")")
	f.BoolVar(&r.create, "create", false, "make secrets that are missing")
	f.BoolVar(&r.ids, "ids", false, "print the ids of the devices and provision nothing")
	f.StringArrayVar(&r.orders, "order", nil, "signed policy order, or a folder of them; repeat for more")
	r.partFlags(c)
	r.developmentFlag(c)
	r.owners.flags(c, "owner-key", "private key of an owner; repeat for more")
	return c
}

// unitLine is what is said of each unit, one JSON document a line.
type unitLine struct {
	document
	Device  string  `json:"device,omitempty"`
	Image   string  `json:"image"`
	Policy  string  `json:"policy,omitempty"`
	Version uint64  `json:"version,omitempty"`
	State   string  `json:"state,omitempty"`
	Before  bool    `json:"before,omitempty"` // nothing had to be done
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
	Code    int     `json:"code,omitempty"`
	Hint    string  `json:"hint,omitempty"`
}

func (a *app) provision(c *cobra.Command, r *provisioning) error {
	if err := r.sensible(); err != nil {
		return err
	}
	if err := a.prepare(c.Context(), r); err != nil {
		return err
	}
	images, err := r.images()
	if err != nil {
		return err
	}
	ids, errs := r.identify(c.Context(), images)
	if err := c.Context().Err(); err != nil {
		return stopped(0, len(images))
	}
	for i, j := range ownerfiles.Duplicates(ids) {
		errs[i] = badInput(images[i], refusedDuplicate(images[j], ids[i]),
			"one of the two is a copy: find out which, and give both a new secret")
	}
	if r.ids {
		return a.printIDs(c, images, ids, errs)
	}
	bar := a.newProgress(len(images), "provisioning")
	defer bar.done()
	worst := 0
	for i, image := range images {
		line := unitLine{document: newDocument(c.CommandPath()), Image: image}
		if ids[i] != (order.DeviceID{}) {
			line.Device = ids[i].String()
		}
		start := time.Now()
		if errs[i] == nil {
			errs[i] = r.one(c.Context(), image, ids[i], &line)
		}
		if c.Context().Err() != nil {
			bar.done()
			return stopped(i, len(images))
		}
		line.Seconds = time.Since(start).Seconds()
		worst = max(worst, line.fail(errs[i]))
		bar.done()
		a.printUnit(&line)
		bar.step(i+1, len(images), filepath.Base(image))
	}
	bar.done()
	if worst != 0 {
		return silent(worst)
	}
	return nil
}

func refusedDuplicate(other string, id order.DeviceID) error {
	return fmt.Errorf("%w: %s, device %v", ownerfiles.ErrDuplicate, other, id)
}

func stopped(done, all int) error {
	return &failure{exitInterrupted, "", fmt.Errorf("interrupted: %d of %d units are done", done, all), "the same command goes on"}
}

// fail notes why a unit was not provisioned.
func (l *unitLine) fail(err error) int {
	if err == nil {
		return 0
	}
	f := asFailure(err)
	l.Error, l.Code, l.Hint = f.err.Error(), f.code, f.hint
	if f.where != "" && f.where != l.Image {
		l.Error = f.where + ": " + l.Error
	}
	return f.code
}

func (a *app) printUnit(l *unitLine) {
	if a.json {
		a.emitLine(l)
		return
	}
	if l.Error != "" {
		fmt.Fprintf(a.err, "nanolock: %s: %s", l.Image, l.Error)
		if l.Hint != "" {
			fmt.Fprintf(a.err, "; %s", l.Hint)
		}
		fmt.Fprintln(a.err)
		return
	}
	what := "provisioned"
	if l.Before {
		what = "was provisioned before"
	}
	a.printf("%s %s  device %s  %s: %s, version %d, %s\n", a.style.green(a.style.pick("✓", "ok")), l.Image, l.Device,
		what, l.Policy, l.Version, l.State)
}

// sensible refuses flags that do not fit each other.
func (r *provisioning) sensible() error {
	switch {
	case r.desk.policy == "":
		return usage("say --policy FILE", "no policy is named")
	case r.dir == "" && r.image == "":
		return usage("say --image FLASH.bin, or --dir FOLDER", "no image is named")
	case r.count < 0 || r.count > 1_000_000:
		return usage("", "--count %d makes no sense", r.count)
	case r.count > 0 && r.dir == "":
		return usage("say --dir FOLDER", "--count is for many devices")
	case r.dir != "" && r.image != "" && r.count == 0:
		return usage("name one of them, or say --count", "--image and --dir do not go together")
	case r.dir != "" && r.keystore != "":
		return usage("leave it away: secrets lie beside their images", "--keystore is for one device")
	case r.ids && (len(r.orders) > 0 || len(r.owners.keys) > 0):
		return usage("leave them away", "--ids signs nothing")
	case len(r.orders) > 0 && len(r.owners.keys) > 0:
		return usage("name one of them", "--order and --owner-key do not go together")
	case !r.ids && len(r.orders) == 0 && len(r.owners.keys) == 0:
		return usage("say --owner-key FILE.key, or --order FILE that was signed elsewhere", "nobody signs the policy")
	}
	return nil
}

// prepare reads policy, keys and orders: what all units have in common.
func (a *app) prepare(ctx context.Context, r *provisioning) (err error) {
	r.part.state = policy.Manufacturing.String()
	if r.pol, _, err = a.load(r.desk.policy, &r.part); err != nil {
		return err
	}
	if r.geo, err = r.part.geometry(r.pol); err != nil {
		return err
	}
	if ownerfiles.VaultOf(r.pol) == (nvm.Span{}) {
		return badInput(r.desk.policy, errors.New("it has no hidden area of kind vault"), "a device needs one: six erase blocks or more")
	}
	if r.signed, err = readOrders(r.orders); err != nil {
		return err
	}
	if len(r.owners.keys) == 0 {
		return nil
	}
	signers, wipe, err := a.signers(ctx, &r.owners)
	if err != nil {
		return err
	}
	wipe() // who signs goes on to do so
	if err := ownerfiles.Enough(r.pol, order.Owner, signers); err != nil {
		return badInput(r.desk.policy, err, "name the keys of its owner with --owner-key, or sign elsewhere and use --order")
	}
	r.signers = signers
	return nil
}

// readOrders reads signed policy orders, by device.
func readOrders(paths []string) (map[order.DeviceID][]byte, error) {
	out := map[order.DeviceID][]byte{}
	files, err := orderFiles(paths)
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		m, b, err := readMessage(path)
		if err != nil {
			return nil, err
		}
		if m.Batch() || m.Order.Kind != order.Policy {
			return nil, badInput(path, fmt.Errorf("it is %v, not a policy order", m), "see nanolock order new policy, and order split for batches")
		}
		if !m.Signed() {
			return nil, deviceFailure(path, ownerfiles.ErrUnsigned)
		}
		if _, ok := out[m.Order.Device]; ok {
			return nil, badInput(path, fmt.Errorf("a second order for device %v", m.Order.Device), "name one of them")
		}
		out[m.Order.Device] = b
	}
	return out, nil
}
