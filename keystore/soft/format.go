package soft

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/nanolock/nanolock/keystore"
)

// The secret's file, 72 bytes: magic 8 ‖ secret 32 ‖ SHA-256 of both 32.
//
// The latch's file, 112 bytes: magic 8 ‖ SHA-256 of the identity's public key 32 ‖
// root 32 ‖ epoch u64 little-endian 8 ‖ HMAC-SHA-256 of all that 32. The HMAC is under
// a key from the secret: who cannot read the secret cannot write a latch.
const (
	secretMagic   = "NLSECRT1"
	latchMagic    = "NLLATCH1"
	latchSuffix   = ".latch"
	secretLen     = 32
	secretFileLen = 8 + secretLen + 32
	latchFileLen  = 8 + 32 + 32 + 8 + 32
)

func encodeSecret(secret []byte) []byte {
	b := append([]byte(secretMagic), secret...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeSecret returns a copy of the secret, ErrCorrupt if anything is not as
// encodeSecret writes it, ErrAbsent for a blank one.
func decodeSecret(b []byte) ([]byte, error) {
	const op = "open"
	if len(b) != secretFileLen || string(b[:8]) != secretMagic {
		return nil, fault(op, keystore.ErrCorrupt, nil)
	}
	sum := sha256.Sum256(b[:8+secretLen])
	if !bytes.Equal(sum[:], b[8+secretLen:]) {
		return nil, fault(op, keystore.ErrCorrupt, nil)
	}
	secret := bytes.Clone(b[8 : 8+secretLen])
	if blank(secret) {
		return nil, fault(op, keystore.ErrAbsent, nil)
	}
	return secret, nil
}

// latchKey is what the latch file of one device is written under.
type latchKey struct {
	mac [32]byte
	tag [32]byte // whose file it is
}

func (k *keys) latchKey() latchKey {
	id := k.identity(keystore.File, nil)
	return latchKey{k.latch, sha256.Sum256(id.Public)}
}

func (lk latchKey) seal(b []byte) []byte {
	h := hmac.New(sha256.New, lk.mac[:])
	h.Write(b)
	return h.Sum(nil)
}

func (lk latchKey) encode(r keystore.Record) []byte {
	b := append([]byte(latchMagic), lk.tag[:]...)
	b = append(b, r.Root[:]...)
	b = binary.LittleEndian.AppendUint64(b, r.Epoch)
	return append(b, lk.seal(b)...)
}

// latchRecord reads the record of a latch file without checking whose it is.
func latchRecord(b []byte) (tag [32]byte, r keystore.Record, err error) {
	if len(b) != latchFileLen || string(b[:8]) != latchMagic {
		return tag, r, fault("latch", keystore.ErrCorrupt, nil)
	}
	copy(tag[:], b[8:40])
	copy(r.Root[:], b[40:72])
	r.Epoch = binary.LittleEndian.Uint64(b[72:80])
	return tag, r, nil
}

// decode is ErrForeign for another device's file and ErrCorrupt for one that was
// not written under lk.
func (lk latchKey) decode(b []byte) (keystore.Record, error) {
	tag, r, err := latchRecord(b)
	switch {
	case err != nil:
	case tag != lk.tag:
		err = fault("latch", keystore.ErrForeign, nil)
	case !hmac.Equal(b[80:], lk.seal(b[:80])):
		err = fault("latch", keystore.ErrCorrupt, nil)
	case r.Set() && (r.Epoch == 0 || r.Root == [32]byte{}):
		err = fault("latch", keystore.ErrCorrupt, nil)
	}
	if err != nil {
		return keystore.Record{}, err
	}
	return r, nil
}
