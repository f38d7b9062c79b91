package ownerfiles

import (
	"context"
	"errors"

	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/vault"
)

// Journal is what lies in the journal of a vault.
type Journal struct {
	Span      Extent `json:"span"`
	Blocks    int    `json:"blocks"`
	Bad       int    `json:"bad"`
	Blank     int    `json:"blank"`   // blocks that read erased
	Records   int    `json:"records"` // what looks like one
	Keys      bool   `json:"keys"`    // the device's key has told which are authentic
	Authentic int    `json:"authentic"`
	Newest    uint64 `json:"newest"` // sequence of the newest; without keys what is claimed
	Verdict   string `json:"verdict"`
}

// InspectJournal looks at the journal and writes nothing. Without ks, nil, it sees
// the structure, which anybody can forge.
func InspectJournal(ctx context.Context, mem nvm.NVM, at nvm.Span, ks keystore.Keystore) (*Journal, error) {
	span, _, err := device.Layout(mem, at)
	if err != nil {
		return nil, err
	}
	w, err := nvm.NewWindow(mem, span)
	if err != nil {
		return nil, err
	}
	var key *[32]byte
	var epoch uint32
	if ks != nil {
		if key, epoch, err = vaultKey(ctx, ks); err != nil {
			return nil, err
		}
	}
	in, err := vault.Inspect(w, key, epoch)
	if err != nil {
		return nil, err
	}
	j := &Journal{Span: Extent(span), Blocks: len(in.Blocks), Keys: key != nil, Verdict: verdictOf(in.Verdict, key != nil)}
	for _, b := range in.Blocks {
		if b.Bad {
			j.Bad++
		}
		if b.Blank {
			j.Blank++
		}
		for _, r := range b.Records {
			j.Records++
			if r.Authentic {
				j.Authentic++
			}
			if r.Authentic || key == nil {
				j.Newest = max(j.Newest, r.Seq)
			}
		}
	}
	return j, nil
}

// vaultKey is the key of the records, and the epoch that the latch holds.
func vaultKey(ctx context.Context, ks keystore.Keystore) (*[32]byte, uint32, error) {
	key, err := ks.Derive(ctx, "vault-mac")
	if err != nil {
		return nil, 0, err
	}
	if ks.Latch() == nil {
		return &key, 0, nil
	}
	r, err := ks.Latch().Read(ctx)
	return &key, uint32(r.Epoch), err
}

// verdictOf puts into words what opening the vault would say.
func verdictOf(err error, keyed bool) string {
	switch {
	case err == nil:
		return "whole"
	case errors.Is(err, vault.ErrBlank):
		return "blank"
	case !keyed && errors.Is(err, vault.ErrForeign):
		return "records that only the device's key can judge"
	}
	return err.Error()
}
