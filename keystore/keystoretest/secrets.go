package keystoretest

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nanolock/nanolock/keystore"
)

// encapsulate makes an enc for id by crypto/hpke. HPKE does not tell the KEM's
// secret, so the returned function takes a secret through the key schedule of RFC 9180
// §5.1 and compares what both ends export.
func encapsulate(id keystore.Identity) (enc []byte, same func(secret [32]byte) error, err error) {
	kem, err := hpke.NewKEM(uint16(id.KEM))
	if err != nil {
		return nil, nil, err
	}
	pub, err := kem.NewPublicKey(id.Encap)
	if err != nil {
		return nil, nil, broke(sDecap, "Identity().Encap: %v", err)
	}
	enc, sender, err := hpke.NewSender(pub, hpke.HKDFSHA256(), hpke.ExportOnly(), nil)
	if err != nil {
		return nil, nil, err
	}
	theirs, err := sender.Export("keystoretest", 32)
	if err != nil {
		return nil, nil, err
	}
	return enc, func(secret [32]byte) error {
		ours, err := export(id.KEM, secret, "keystoretest")
		if err == nil && !bytes.Equal(ours, theirs) {
			err = broke(sDecap, "Decapsulate returned another secret than HPKE has")
		}
		return err
	}, nil
}

// export is RFC 9180 in base mode with HKDF-SHA256 and no AEAD, from the KEM's secret to
// the exported one.
func export(kem keystore.KEM, secret [32]byte, context string) ([]byte, error) {
	suite := binary.BigEndian.AppendUint16([]byte("HPKE"), uint16(kem))
	suite = append(suite, 0x00, 0x01, 0xff, 0xff) // HKDF-SHA256, export only
	var fault error
	extract := func(salt []byte, label string, ikm []byte) []byte {
		out, err := hkdf.Extract(sha256.New, []byte("HPKE-v1"+string(suite)+label+string(ikm)), salt)
		fault = errors.Join(fault, err)
		return out
	}
	expand := func(prk []byte, label, info string) []byte {
		out, err := hkdf.Expand(sha256.New, prk, "\x00\x20HPKE-v1"+string(suite)+label+info, 32)
		fault = errors.Join(fault, err)
		return out
	}
	schedule := "\x00" + string(extract(nil, "psk_id_hash", nil)) + string(extract(nil, "info_hash", nil))
	exporter := expand(extract(secret[:], "secret", nil), "exp", schedule)
	return expand(exporter, "sec", context), fault
}

func checkDecapsulate(e *env) error {
	for range 3 {
		enc, same, err := encapsulate(e.id)
		if err != nil {
			return err
		}
		if len(enc) != e.id.KEM.EncLen() {
			return broke(sEnc, "HPKE's enc has %d bytes, EncLen is %d", len(enc), e.id.KEM.EncLen())
		}
		for range 2 {
			secret, err := e.ks.Decapsulate(context.Background(), enc)
			if err != nil {
				return broke(sDecap, "Decapsulate: %v", err)
			}
			if err := same(secret); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkDecapsulateBad(e *env) error {
	ctx := context.Background()
	enc, same, err := encapsulate(e.id)
	if err != nil {
		return err
	}
	off := bytes.Clone(enc)
	for i := range off[1088:] {
		off[1088+i] = 0 // no P-256 point, and one of low order on Curve25519
	}
	for _, bad := range [][]byte{nil, {1}, enc[1:], append(bytes.Clone(enc), 0), off} {
		secret, err := e.ks.Decapsulate(ctx, bad)
		if err := want(err, keystore.ErrMalformed, sEnc, "Decapsulate(%d bytes)", len(bad)); err != nil {
			return err
		}
		if secret != [32]byte{} {
			return broke(sEnc, "a failed Decapsulate returned a secret")
		}
	}
	forged := bytes.Clone(enc)
	forged[10] ^= 1
	secret, err := e.ks.Decapsulate(ctx, forged)
	if err != nil || same(secret) == nil || secret == [32]byte{} {
		return broke(sForged, "a forged ML-KEM half: error %v", err)
	}
	return nil
}

func checkDerive(e *env) error {
	seen := map[[32]byte]string{{}: "zeros"}
	for _, label := range []string{"vault-mac", "vault-mac ", "audit-mac", "region/1", "region/11", "a", strings.Repeat("z", keystore.MaxLabel)} {
		label = strings.TrimSpace(label)
		key, err := e.ks.Derive(context.Background(), label)
		if err != nil {
			return broke(sLabel, "Derive(%q): %v", label, err)
		}
		if other, ok := seen[key]; ok && other != label {
			return broke(sDerive, "Derive(%q) is that of %q", label, other)
		}
		seen[key] = label
	}
	if len(seen) != 7 {
		return broke(sDerive, "a label gave two keys")
	}
	return nil
}

func checkDeriveBad(e *env) error {
	for _, label := range []string{"", " ", "a b", "tab\t", "\x7f", "\x00", "é", strings.Repeat("z", keystore.MaxLabel+1)} {
		key, err := e.ks.Derive(context.Background(), label)
		if err := want(err, keystore.ErrMalformed, sLabel, "Derive(%q)", label); err != nil {
			return err
		}
		if key != [32]byte{} {
			return broke(sLabel, "Derive(%q) failed and returned a key", label)
		}
	}
	return nil
}

// checkSecrets prints what there is to print and looks for keys in it.
func checkSecrets(e *env) error {
	ctx := context.Background()
	var secrets [][]byte
	if e.cfg.Secrets != nil {
		secrets = e.cfg.Secrets(e.tb, e.ks)
	}
	key, err := e.ks.Derive(ctx, "vault-mac")
	if err != nil {
		return broke(sLabel, "Derive: %v", err)
	}
	secrets = append(secrets, key[:])

	values := []any{e.ks, e.ks.Identity(), e.ks.Latch(), e.ks.Anchor()}
	for _, half := range []int{-1, 99} {
		_, err := e.ks.Sign(ctx, half, nil)
		values = append(values, err)
	}
	_, err = e.ks.Decapsulate(ctx, nil)
	values = append(values, err)
	_, err = e.ks.Derive(ctx, "")
	values = append(values, err)
	if l := e.ks.Latch(); l != nil {
		values = append(values, l.Set(ctx, keystore.Record{}))
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if s := Shown(fmt.Sprintf(verb, v), secrets...); s {
				return broke(sNoKey, "%s of %T shows a key", verb, v)
			}
		}
	}
	return nil
}

// Shown tells whether text contains one of the secrets, or eight bytes in a row of one,
// raw, quoted, in hex, in base64 or as fmt prints a slice of bytes.
func Shown(text string, secrets ...[]byte) bool {
	flat := strings.ToLower(strings.NewReplacer("0x", "", ", ", " ").Replace(text))
	for _, s := range secrets {
		for i := 0; i+8 <= len(s); i++ {
			b := s[i : i+8]
			dec := strings.Trim(fmt.Sprint(b), "[]")
			hexed := strings.Trim(fmt.Sprintf("% x", b), "[]")
			quoted := strings.Trim(strconv.Quote(string(b)), `"`)
			if strings.Contains(text, string(b)) || strings.Contains(text, quoted) || strings.Contains(flat, hex.EncodeToString(b)) ||
				strings.Contains(flat, hexed) || strings.Contains(flat, dec) {
				return true
			}
		}
		if len(s) >= 8 && strings.Contains(text, base64.RawStdEncoding.EncodeToString(s)) {
			return true
		}
	}
	return false
}
