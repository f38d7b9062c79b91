package keyfile

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nanolock/nanolock/cose"
)

// Types of PEM block (RFC 7468 §10 and §11).
const (
	encryptedBlock = "ENCRYPTED PRIVATE KEY"
	plainBlock     = "PRIVATE KEY"
)

// Key is the private key of a person, in memory. The zero Key is none.
type Key struct {
	halves []half
	signer *cose.Signer
}

// Generate makes a key of a suite. random is where its bytes come from, nil is crypto/rand.
func Generate(suite cose.Suite, random io.Reader) (*Key, error) {
	if random == nil {
		random = rand.Reader
	}
	algs := suite.Algs()
	if len(algs) == 0 {
		return nil, refuse(ErrMalformed, "%v is unknown", suite)
	}
	k := &Key{halves: make([]half, len(algs))}
	for i, alg := range algs {
		h := &k.halves[i]
		h.alg = alg
		// Of P-256, one in 2³² draws is no scalar: draw again, for to reduce it would
		// favour some. A source that gives none in a few draws is broken.
		for try := 0; ; try++ {
			if _, err := io.ReadFull(random, h.secret[:]); err != nil {
				k.Wipe()
				return nil, err
			}
			_, err := h.signer()
			if err == nil {
				break
			}
			if try == 8 {
				k.Wipe()
				return nil, err
			}
		}
	}
	return k, k.open(suite)
}

// open makes the signer.
func (k *Key) open(suite cose.Suite) error {
	var signers []crypto.Signer
	for i := range k.halves {
		s, err := k.halves[i].signer()
		if err != nil {
			return err
		}
		signers = append(signers, s)
	}
	var err error
	k.signer, err = cose.NewSigner(suite, signers...)
	return err
}

// Signer signs with the key; it goes on to do so after Wipe. nil for the zero Key.
func (k *Key) Signer() *cose.Signer { return k.signer }

// Public is the public key; nil for the zero Key.
func (k *Key) Public() *cose.PublicKey {
	if k.signer == nil {
		return nil
	}
	return k.signer.Public()
}

// Wipe overwrites the seeds. Encode and Save have nothing to write from then on.
func (k *Key) Wipe() {
	clear(k.halves)
	k.halves = nil
}

// Format prints the public side and nothing else, whatever the verb.
func (k *Key) Format(s fmt.State, _ rune) {
	if p := k.Public(); p != nil {
		fmt.Fprintf(s, "keyfile.Key(%v %x)", p.Suite(), p.ID())
		return
	}
	fmt.Fprint(s, "keyfile.Key()")
}

// Encode writes the file of a key. An empty passphrase leaves it unprotected.
func (k *Key) Encode(passphrase []byte) ([]byte, error) {
	if len(k.halves) == 0 {
		return nil, refuse(ErrMalformed, "no key")
	}
	var out bytes.Buffer
	for i := range k.halves {
		block, err := k.halves[i].block(passphrase)
		if err == nil {
			err = pem.Encode(&out, block)
			clear(block.Bytes)
		}
		if err != nil {
			clear(out.Bytes())
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func (h *half) block(passphrase []byte) (*pem.Block, error) {
	der, err := h.encode()
	if err != nil || len(passphrase) == 0 {
		return &pem.Block{Type: plainBlock, Bytes: der}, err
	}
	defer clear(der)
	sealed, err := seal(der, passphrase)
	return &pem.Block{Type: encryptedBlock, Bytes: sealed}, err
}

// Parse reads what Encode writes, and what other programs write in the same format, such as
// openssl pkcs8 -topk8. Blocks stand in the order of the suite that they make up; all are
// encrypted or none. ErrMalformed or ErrPassphrase.
func Parse(text, passphrase []byte) (*Key, error) {
	blocks, err := split(text)
	if err != nil {
		return nil, err
	}
	k := &Key{}
	var algs []cose.Alg
	for _, b := range blocks {
		h, err := parseBlock(b, passphrase)
		if err != nil {
			k.Wipe()
			return nil, err
		}
		k.halves = append(k.halves, h)
		algs = append(algs, h.alg)
	}
	for suite := cose.Ed25519; len(suite.Algs()) > 0; suite++ {
		if slices.Equal(suite.Algs(), algs) {
			if err := k.open(suite); err != nil {
				k.Wipe()
				return nil, refuse(ErrMalformed, "%w", err)
			}
			return k, nil
		}
	}
	k.Wipe()
	return nil, refuse(ErrMalformed, "%v together are no suite", algs)
}

// split cuts a file into its blocks; text before and between them is ignored, as RFC
// 7468 §2 wants.
func split(text []byte) (blocks []*pem.Block, err error) {
	if len(text) > maxFile {
		return nil, refuse(ErrMalformed, "more than %d bytes", maxFile)
	}
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		switch {
		case b.Type != encryptedBlock && b.Type != plainBlock:
			return nil, refuse(ErrMalformed, "a block %.40q", b.Type)
		case len(b.Headers) > 0:
			return nil, refuse(ErrMalformed, "a block with headers, as of OpenSSL's old format")
		case len(b.Bytes) > maxDER:
			return nil, refuse(ErrMalformed, "a block of more than %d bytes", maxDER)
		case len(blocks) == 2:
			return nil, refuse(ErrMalformed, "more than two keys")
		case len(blocks) == 1 && b.Type != blocks[0].Type:
			return nil, refuse(ErrMalformed, "one half is encrypted and one is not")
		}
		blocks = append(blocks, b)
	}
	if len(blocks) == 0 {
		return nil, refuse(ErrMalformed, "no private key in PEM")
	}
	return blocks, nil
}

func parseBlock(b *pem.Block, passphrase []byte) (half, error) {
	defer clear(b.Bytes)
	switch {
	case b.Type == encryptedBlock && len(passphrase) == 0:
		return half{}, refuse(ErrPassphrase, "the key has one, and none was given")
	case b.Type == plainBlock && len(passphrase) > 0:
		return half{}, refuse(ErrPassphrase, "the key has none, and one was given")
	case b.Type == plainBlock:
		return decode(b.Bytes)
	}
	der, err := unseal(b.Bytes, passphrase)
	if err != nil {
		return half{}, err
	}
	defer clear(der)
	h, err := decode(der)
	if errors.Is(err, errNotPKCS8) {
		return half{}, ErrPassphrase
	}
	return h, err
}
