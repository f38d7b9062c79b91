package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore/soft"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/order"
)

const flashSize = 64 << 10

// vaultSpan is where the lock keeps its state: the second half of the flash.
var vaultSpan = nvm.Span{Off: 32 << 10, Len: 32 << 10}

var geometry = nvm.Geometry{Size: flashSize, EraseSize: 4 << 10, ProgramSize: 1, PageSize: 256,
	Program: nvm.ClearBits, Erased: 0xFF, Endurance: 100_000}

// unit is one device: a flash, and a secret beside it.
type unit struct{ flash, secret string }

type factory struct {
	dir   string
	units []*unit
}

// build makes n devices with blank flash and a new secret each.
func build(dir string, n int) (*factory, error) {
	f := &factory{dir: filepath.Join(dir, "factory")}
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		return nil, err
	}
	for i := range n {
		u := &unit{filepath.Join(f.dir, fmt.Sprintf("%04d.flash", i)), filepath.Join(f.dir, fmt.Sprintf("%04d.secret", i))}
		if err := mmap.Create(u.flash, geometry); err != nil {
			return nil, err
		}
		ks, err := soft.Create(u.secret, nil)
		if err != nil {
			return nil, err
		}
		if err := ks.Close(); err != nil {
			return nil, err
		}
		f.units = append(f.units, u)
	}
	return f, nil
}

// identities writes the ids into a file, a line each, and reads it as the owners do.
func (f *factory) identities() (ids []order.DeviceID, err error) {
	var list strings.Builder
	for _, u := range f.units {
		ks, err := soft.Open(u.secret, nil)
		if err != nil {
			return nil, err
		}
		key, err := order.IdentityKey(ks.Identity())
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&list, "%x\n", key.ID())
		if err := ks.Close(); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(f.dir, "ids.txt")
	if err := os.WriteFile(file, []byte(list.String()), 0o644); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		id, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil || len(id) != len(order.DeviceID{}) {
			return nil, fmt.Errorf("ids.txt: %q is no id", line)
		}
		ids = append(ids, order.DeviceID(id))
	}
	return ids, nil
}

func (f *factory) each(do func(i int, u *unit) error) error {
	for i, u := range f.units {
		if err := do(i, u); err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
	}
	return nil
}

// deliver gives every device its leaf.
func (f *factory) deliver(ctx context.Context, signed []byte, batch *order.BatchOf) error {
	return f.each(func(i int, u *unit) error {
		leaf, err := batch.Leaf(signed, i)
		if err != nil {
			return err
		}
		return u.apply(ctx, leaf)
	})
}

// alone is what one owner can do without the others.
func (f *factory) alone(ctx context.Context, dir string, p *person, orders []*order.Order) (*order.BatchOf, error) {
	batch, err := order.NewBatch(orders)
	if err != nil {
		return nil, err
	}
	payload := filepath.Join(dir, "alone.payload")
	if err := os.WriteFile(payload, batch.Payload(), 0o644); err != nil {
		return nil, err
	}
	file, err := p.sign(payload)
	if err != nil {
		return nil, err
	}
	signed, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	leaf, err := batch.Leaf(signed, 0)
	if err != nil {
		return nil, err
	}
	return batch, f.units[0].apply(ctx, leaf)
}

// check starts every device once more and looks at what it says and does.
func (f *factory) check(ctx context.Context, version uint64, say func(string, ...any)) error {
	err := f.each(func(_ int, u *unit) error {
		return u.with(func(mem nvm.NVM, ks *soft.Keystore) error {
			d, err := device.Open(ctx, mem, ks, config())
			if err != nil {
				return err
			}
			defer d.Close()
			if s := d.Status(); s.Degraded || s.PolicyVersion != version {
				return fmt.Errorf("policy %d, %v", s.PolicyVersion, s.Why)
			}
			if _, err := d.Host().WriteAt([]byte{0}, 24<<10); !errors.Is(err, nanolock.ErrDenied) {
				return fmt.Errorf("the host may still write settings: %w", err)
			}
			return nil
		})
	})
	if err == nil {
		say("devices:   all %d started again, enforce policy %d and refuse their hosts' writes", len(f.units), version)
	}
	return err
}

func config() *device.Config { return &device.Config{Vault: vaultSpan} }

// with opens what the device is made of.
func (u *unit) with(do func(nvm.NVM, *soft.Keystore) error) error {
	mem, err := mmap.Open(u.flash, &mmap.Options{Geometry: geometry})
	if err != nil {
		return err
	}
	ks, err := soft.Open(u.secret, nil)
	if err != nil {
		return errors.Join(err, mem.Close())
	}
	return errors.Join(do(mem, ks), ks.Close(), mem.Close())
}

func (u *unit) provision(ctx context.Context, msg []byte) error {
	return u.with(func(mem nvm.NVM, ks *soft.Keystore) error {
		d, err := device.Provision(ctx, mem, ks, msg, config())
		if err != nil {
			return err
		}
		return d.Close()
	})
}

func (u *unit) apply(ctx context.Context, msg []byte) error {
	return u.with(func(mem nvm.NVM, ks *soft.Keystore) error {
		d, err := device.Open(ctx, mem, ks, config())
		if err != nil {
			return err
		}
		_, err = d.Apply(ctx, msg)
		return errors.Join(err, d.Close())
	})
}
