package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
)

// desk is a device whose flash and keystore lie here as files.
type desk struct {
	part        part
	image       string
	keystore    string // "" = beside the image
	policy      string // "" = the file of the unit beside the image says what is needed
	development bool
}

func (d *desk) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&d.image, "image", "", "image of the whole flash")
	f.StringVar(&d.keystore, "keystore", "", "the device's secret (IMAGE"+ownerfiles.SecretSuffix+")")
	f.StringVar(&d.policy, "policy", "", "policy of the device, where no IMAGE"+ownerfiles.UnitSuffix+" tells its memory; YAML or CBOR")
	d.partFlags(c)
}

// partFlags are those of the memory alone.
func (d *desk) partFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&d.part.program, "program", "clear-bits", "with --policy: what programming does: clear-bits (NOR), once-page (NAND) or rewrite (files)")
	f.StringVar(&d.part.erase, "erase-size", "", "with --policy: smallest erase block of the part (the policy's granule)")
	f.StringVar(&d.part.unit, "program-size", "", "with --policy: smallest program unit of the part (1; 2KiB for once-page)")
	_ = c.RegisterFlagCompletionFunc("program", fixed("clear-bits", "once-page", "rewrite"))
}

func (d *desk) developmentFlag(c *cobra.Command) {
	c.Flags().BoolVar(&d.development, "development", false, "let the device take a policy with development keys, in manufacturing")
}

func (d *desk) secretPath() string {
	if d.keystore != "" {
		return d.keystore
	}
	return d.image + ownerfiles.SecretSuffix
}

// unit is what must be known of the memory.
func (a *app) unit(d *desk) (*ownerfiles.Unit, error) {
	if d.image == "" {
		return nil, usage("say --image FLASH.bin", "no image is named")
	}
	if d.policy != "" {
		p, err := a.readPolicy(d.policy)
		if err != nil {
			return nil, err
		}
		g, err := d.part.geometry(p)
		if err != nil {
			return nil, err
		}
		return ownerfiles.UnitOf(order.DeviceID{}, g, p), nil
	}
	path := d.image + ownerfiles.UnitSuffix
	b, err := readFile(path, ownerfiles.MaxUnit)
	if errors.Is(err, fs.ErrNotExist) {
		if _, _, err := openFile(d.image); err != nil {
			return nil, err // that is what people want to hear first
		}
		return nil, ioFailure(path, fs.ErrNotExist, "name the device's policy with --policy; nanolock provision writes this file")
	}
	if err != nil {
		return nil, err
	}
	u, err := ownerfiles.ParseUnit(b)
	if err != nil {
		return nil, badInput(path, err, "remove it and name the policy with --policy")
	}
	return u, nil
}

// bench is a device that is open.
type bench struct {
	*device.Device
	mem  *mmap.Memory
	keys *soft.Keystore
}

// open opens the device of a desk.
func (a *app) open(ctx context.Context, d *desk) (*bench, error) {
	u, err := a.unit(d)
	if err != nil {
		return nil, err
	}
	b, err := openFiles(d, u.Geometry(), false)
	if err != nil {
		return nil, err
	}
	if err := b.belongs(d, u); err != nil {
		b.close()
		return nil, err
	}
	b.Device, err = device.Open(ctx, b.mem, b.keys, ownerfiles.Rehearse(u.Vault.Span(), d.development))
	if err != nil {
		b.close()
		return nil, deviceFailure(d.image, err)
	}
	return b, nil
}

// belongs refuses an image and a secret of two devices, where the unit's file
// tells: nobody wants to hear then that the vault is lost.
func (b *bench) belongs(d *desk, u *ownerfiles.Unit) error {
	id, err := ownerfiles.IDOf(b.keys)
	if err != nil {
		return deviceFailure(d.secretPath(), err)
	}
	if u.Device != (order.DeviceID{}).String() && u.Device != id.String() {
		return badInput(d.secretPath(), fmt.Errorf("it is the secret of device %v, the image is of %s", id, u.Device),
			"name the keystore of this image with --keystore")
	}
	return nil
}

// openFiles opens secret and image, and leaves the device alone.
func openFiles(d *desk, g nvm.Geometry, create bool) (*bench, error) {
	b := new(bench)
	var err error
	if b.mem, err = openImage(d.image, g, false); err != nil {
		return nil, err
	}
	if b.keys, err = ownerfiles.OpenSecret(d.secretPath(), create); err != nil {
		b.close()
		return nil, deviceFailure(d.secretPath(), err)
	}
	return b, nil
}

func openImage(path string, g nvm.Geometry, readOnly bool) (*mmap.Memory, error) {
	if g.Size > maxImage {
		return nil, badInput(path, fmt.Errorf("%w: %d bytes of flash are more than %d", errSize, g.Size, maxImage), "")
	}
	m, err := mmap.Open(path, &mmap.Options{Geometry: g, ReadOnly: readOnly})
	if err != nil {
		return nil, deviceFailure(path, err)
	}
	return m, nil
}

// close is for ways out that have an error already.
func (b *bench) close() { _ = b.finish() }

// finish closes all and says what did not become durable.
func (b *bench) finish() error {
	var errs []error
	if b.Device != nil {
		errs = append(errs, b.Device.Close())
	}
	if b.keys != nil {
		errs = append(errs, b.keys.Close())
	}
	if b.mem != nil {
		errs = append(errs, b.mem.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return ioFailure("", err, "run nanolock status to see what is in force")
	}
	return nil
}

// refusals says of each error what it is to a script, and what to do next.
var refusals = []struct {
	err  error
	code int
	hint string
}{
	{mmap.ErrLocked, exitIO, "wait for the program that uses it"},
	{mmap.ErrSize, exitInput, "take an image of the whole flash: this one is truncated, or of another part"},
	{mmap.ErrNotFile, exitIO, "name an image in a regular file"},
	{nvm.ErrReadOnly, exitIO, "make the image writable: a device writes to its flash"},
	{nvm.ErrGeometry, exitInput, "see --erase-size and --program-size"},
	{errors.ErrUnsupported, exitIO, "images are opened on Linux alone"},
	{keystore.ErrAbsent, exitIO, "name it with --keystore; a new device gets one from nanolock provision --create, and a decommissioned one has none any more"},
	{keystore.ErrExposed, exitInput, "chmod 600 the file and its latch, and keep them in a folder that nobody else can write"},
	{keystore.ErrExists, exitIO, "leave --create away, or name another file"},
	{keystore.ErrCorrupt, exitInput, "restore it from a backup"},
	{keystore.ErrForeign, exitInput, "secret and latch belong together: restore both"},
	{device.ErrNotProvisioned, exitInput, "give it an owner with nanolock provision"},
	{device.ErrProvisioned, exitInput, "change it by orders: nanolock order new policy, or transfer"},
	{device.ErrDevelopment, exitInput, "take other keys, or say --development in manufacturing"},
	{device.ErrStale, exitInput, "make a new order with what nanolock status says now"},
	{device.ErrExpired, exitInput, "tell the device the time with an order of kind time, or make a new order"},
	{device.ErrFrozen, exitInput, "an order of kind thaw ends it"},
	{device.ErrDegraded, exitInput, "nanolock status says why; an order of kind recover ends it"},
	{device.ErrBusy, exitIO, "try again later"},
	{device.ErrFull, exitInput, "a policy without what is not needed makes room"},
	{device.ErrPolicy, exitInput, "see nanolock policy check"},
	{device.ErrConfig, exitInput, "is it the policy of this memory?"},
	{device.ErrNotAllowed, exitInput, "see nanolock policy explain and nanolock status"},
	{device.ErrUnsupported, exitInput, ""},
	{order.ErrForeign, exitInput, "make an order for this device: nanolock status tells its id"},
	{order.ErrEpoch, exitInput, "make a new order with what nanolock status says now"},
	{order.ErrAuthority, exitInput, "see who may: nanolock order new --help"},
	{order.ErrSignature, exitInput, "nanolock order show --policy says who has signed"},
	{order.ErrMalformed, exitInput, ""},
	{order.ErrKeys, exitInput, "each key may be in a policy once"},
	{ownerfiles.ErrUnsigned, exitInput, "see nanolock order sign"},
	{ownerfiles.ErrSigned, exitInput, "nanolock order show says who has signed"},
	{ownerfiles.ErrOther, exitInput, "name the files of one order"},
	{ownerfiles.ErrMalformed, exitInput, "name what nanolock order new has written"},
	{fs.ErrPermission, exitIO, "check its permissions"},
	{fs.ErrNotExist, exitIO, "check the path"},
}

// deviceFailure gives an error of a device, its files or its orders a code and a
// hint.
func deviceFailure(where string, err error) error {
	var f *failure
	if errors.As(err, &f) || errors.Is(err, context.Canceled) {
		return err
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return &failure{r.code, where, shortened{err}, r.hint}
		}
	}
	return &failure{exitIO, where, shortened{err}, ""}
}

// shortened is an error that does not name its file twice.
type shortened struct{ error }

func (s shortened) Error() string { return bare(s.error).Error() }
func (s shortened) Unwrap() error { return s.error }
