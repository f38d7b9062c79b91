package interop

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	peer "github.com/fxamacker/cbor/v2"

	"github.com/nanolock/nanolock/internal/cbor"
)

// The peer at its strictest. It checks neither the order of keys nor that heads
// are short when it decodes; encoding again shows both.
var (
	strict = func() peer.DecMode {
		m, err := peer.DecOptions{
			DupMapKey:            peer.DupMapKeyEnforcedAPF,
			IndefLength:          peer.IndefLengthForbidden,
			UTF8:                 peer.UTF8RejectInvalid,
			MapKeyByteString:     peer.MapKeyByteStringAllowed,
			UnrecognizedTagToAny: peer.UnrecognizedTagNumAndContentToAny,
			MaxNestedLevels:      64,
		}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
	core = func() peer.EncMode {
		m, err := peer.CoreDetEncOptions().EncMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

// plain tells whether the next item is one that the peer can hold in a Go value
// and give back: no tag that it interprets, no key that Go cannot hash.
func plain(d *cbor.Decoder, isKey bool) bool {
	ok := true
	switch d.Peek() {
	case cbor.Array:
		ok = !isKey
		for range d.Array(1 << 20) {
			ok = plain(d, false) && ok
		}
	case cbor.Map:
		ok = !isKey
		for range d.Map(1 << 20) {
			ok = plain(d, true) && ok
			ok = plain(d, false) && ok
		}
	case cbor.Tag:
		tag := d.Tag()
		ok = tag > 3 && tag != 55799 && !isKey // times, bignums, self-described
		ok = plain(d, false) && ok
	default:
		d.Raw()
	}
	return ok
}

// FuzzCBOR: on what both can hold, Valid accepts exactly what the peer decodes
// and encodes to the same bytes; beyond that it accepts nothing ill-formed.
func FuzzCBOR(f *testing.F) {
	for _, s := range []string{
		"00", "1817", "1818", "3903e7", "3bffffffffffffffff", "1bffffffffffffffff", "f4", "f6", "f7", "f90000", "f8ff",
		"4401020304", "6161", "61ff", "83010203", "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
		"a201020304", "a203040102", "a201020102", "a26161016162820203", "a1810102", "a14101f5", "a1f5f6",
		"d81841a0", "c11a514b67b0", "c249010000000000000000", "d9d9f700", "d8628440a0404080",
		"8181818181818180", "818181818181818180", "5f4101ff", "9fff", "bf616101ff", "5bffffffffffffffff",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ours := cbor.Valid(b)
		if ours == nil {
			if err := strict.Wellformed(b); err != nil {
				t.Fatalf("%x: valid here, there %v", b, err)
			}
			if !plain(cbor.NewDecoder(b), false) {
				return
			}
		}
		var v any
		again, theirs := []byte(nil), strict.Unmarshal(b, &v)
		if theirs == nil {
			again, theirs = core.Marshal(v)
		}
		switch same := theirs == nil && bytes.Equal(again, b); {
		case ours == nil && !same:
			t.Errorf("%x: valid here, there %x (%v)", b, again, theirs)
		case ours != nil && same && !errors.Is(ours, cbor.ErrForbidden) && !errors.Is(ours, cbor.ErrDepth):
			t.Errorf("%x: deterministic there, here %v", b, ours)
		}
	})
}
