package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/keyfile"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/order"
)

// images are those of all units, made if that was asked for.
func (r *provisioning) images() ([]string, error) {
	if r.dir == "" {
		return []string{r.image}, nil
	}
	if r.count > 0 {
		return r.makeImages()
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, ioFailure(r.dir, err, hintFor(err, nil))
	}
	var list []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".bin" || ext == ".img" {
			list = append(list, filepath.Join(r.dir, e.Name()))
		}
	}
	if len(list) == 0 {
		return nil, badInput(r.dir, errors.New("no .bin or .img file is in it"), "say --count to make some")
	}
	slices.Sort(list)
	return list, nil
}

// makeImages copies the factory's image, or erased flash, where a unit has none.
func (r *provisioning) makeImages() (list []string, err error) {
	var content []byte
	if r.image != "" {
		if content, err = readImage(r.image); err != nil {
			return nil, err
		}
		if int64(len(content)) != r.geo.Size {
			return nil, badInput(r.image, fmt.Errorf("%w: %d bytes, the policy is for %d", errSize, len(content), r.geo.Size), "take an image of the whole flash")
		}
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, ioFailure(r.dir, err, hintFor(err, nil))
	}
	for i := range r.count {
		path := filepath.Join(r.dir, fmt.Sprintf("unit-%04d.bin", i+1))
		list = append(list, path)
		if _, err := os.Lstat(path); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, ioFailure(path, err, hintFor(err, nil))
		}
		if content != nil {
			err = replace(path, content, 0o600)
		} else if err = mmap.Create(path, r.geo); err != nil {
			err = deviceFailure(path, err)
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// of is the desk of one unit.
func (r *provisioning) of(image string) *desk {
	return &desk{part: r.part, image: image, keystore: r.keystore, development: r.development}
}

// identify opens every secret once: two units with the same are known before
// either is given an owner.
func (r *provisioning) identify(ctx context.Context, images []string) ([]order.DeviceID, []error) {
	ids, errs := make([]order.DeviceID, len(images)), make([]error, len(images))
	for i, image := range images {
		if ctx.Err() != nil {
			break
		}
		d := r.of(image)
		f, _, err := openFile(image) // before a secret is made for nothing
		if err != nil {
			errs[i] = err
			continue
		}
		_ = f.Close()
		ks, err := ownerfiles.OpenSecret(d.secretPath(), r.create)
		if err == nil {
			ids[i], err = ownerfiles.IDOf(ks)
			err = errors.Join(err, ks.Close())
		}
		if err != nil {
			errs[i] = deviceFailure(d.secretPath(), err)
		}
	}
	return ids, errs
}

func (a *app) printIDs(c *cobra.Command, images []string, ids []order.DeviceID, errs []error) error {
	worst := 0
	for i := range images {
		line := unitLine{document: newDocument(c.CommandPath()), Image: images[i]}
		if worst = max(worst, line.fail(errs[i])); errs[i] != nil {
			a.printUnit(&line)
			continue
		}
		if line.Device = ids[i].String(); a.json {
			a.emitLine(&line)
			continue
		}
		a.printf("%v  %s\n", ids[i], images[i])
	}
	if worst != 0 {
		return silent(worst)
	}
	return nil
}

// one provisions a unit.
func (r *provisioning) one(ctx context.Context, image string, id order.DeviceID, line *unitLine) (err error) {
	msg, ok := r.signed[id], r.signers != nil
	if msg == nil {
		if !ok {
			return badInput(image, fmt.Errorf("%w: no order for device %v", ownerfiles.ErrUnsigned, id), "have one signed for it, and name it with --order")
		}
		if msg, err = r.sign(id); err != nil {
			return deviceFailure(image, err)
		}
	}
	d := r.of(image)
	b, err := openFiles(d, r.geo, false)
	if err != nil {
		return err
	}
	defer func() {
		if e := b.finish(); err == nil {
			err = e
		}
	}()
	if err := r.samePolicy(msg, id); err != nil {
		return deviceFailure(image, err)
	}
	out, err := ownerfiles.Provision(ctx, b.mem, b.keys, msg, ownerfiles.Rehearse(ownerfiles.VaultOf(r.pol), r.development))
	if err != nil {
		return deviceFailure(image, err)
	}
	line.Policy, line.Version, line.State, line.Before = out.Policy, out.Version, out.State.String(), out.Before
	return r.leave(image, id, b)
}

func (r *provisioning) sign(id order.DeviceID) ([]byte, error) {
	o, err := ownerfiles.FirstOrder(r.pol, id)
	if err != nil {
		return nil, err
	}
	return order.Sign(o, r.signers...)
}

// samePolicy refuses an order of another policy than --policy: the memory was
// opened by what that one says.
func (r *provisioning) samePolicy(msg []byte, id order.DeviceID) error {
	_, p, _, err := order.OpenPolicy(msg, id)
	if err != nil {
		return err
	}
	got, err := ownerfiles.PolicyDigest(p)
	if err != nil {
		return err
	}
	if want, err := ownerfiles.PolicyDigest(r.pol); err != nil || got != want {
		return fmt.Errorf("%w: the order is of policy %q, version %d, with digest %x, not of --policy", device.ErrPolicy, p.Name, p.Version, got)
	}
	return nil
}

// leave puts the public files beside the image.
func (r *provisioning) leave(image string, id order.DeviceID, b *bench) error {
	if err := writeFile(image+ownerfiles.UnitSuffix, ownerfiles.UnitOf(id, r.geo, r.pol).Encode()); err != nil {
		return err
	}
	key, err := order.IdentityKey(b.keys.Identity())
	if err != nil {
		return deviceFailure(image, err)
	}
	text, err := (&keyfile.Public{Name: "device " + id.String()[:16], Key: key}).Encode()
	if err != nil {
		return deviceFailure(image, err)
	}
	return writeFile(image+ownerfiles.PublicSuffix, text)
}
