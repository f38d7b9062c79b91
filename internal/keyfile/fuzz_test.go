package keyfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"testing"

	"github.com/nanolock/nanolock/cose"
)

// FuzzParse: any text is refused or is a key that writes itself and comes back.
func FuzzParse(f *testing.F) {
	for _, s := range suites {
		b, err := fixed(f, s).Encode(nil)
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := Parse(text, nil) // an encrypted one is refused before any work
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrPassphrase) {
				t.Errorf("untyped: %v", err)
			}
			return
		}
		again, err := k.Encode(nil)
		must(t, err)
		if b, err := Parse(again, nil); err != nil || !b.Public().Equal(k.Public()) {
			t.Errorf("another key: %v", err)
		}
	})
}

// FuzzSealed: whatever passes is within the bounds.
func FuzzSealed(f *testing.F) {
	fullCost(f)
	sealed, err := seal([]byte("key"), []byte("p"))
	must(f, err)
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, der []byte) {
		e, err := parseSealed(der)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("untyped: %v", err)
			}
			return
		}
		p := e.Algorithm.Params.KDF.Params
		if p.Iterations < iterations || p.Iterations > maxIterations || len(p.Salt) < 8 || len(e.Data)%16 != 0 || len(e.Data) == 0 {
			t.Errorf("let pass: %d iterations, %d bytes of salt, %d of data", p.Iterations, len(p.Salt), len(e.Data))
		}
	})
}

// FuzzPublic: one key has one encoding.
func FuzzPublic(f *testing.F) {
	for _, s := range []cose.Suite{cose.Ed25519, cose.ESP256} {
		f.Add((&Public{Name: "a", Development: s == 1, Key: fixed(f, s).Public()}).appendCBOR(nil))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := ParsePublic(pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: body}))
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("untyped: %v", err)
			}
			return
		}
		if again := p.appendCBOR(nil); !bytes.Equal(again, body) || CheckName(p.Name) != nil {
			t.Errorf("%x is read as %x", body, again)
		}
	})
}
