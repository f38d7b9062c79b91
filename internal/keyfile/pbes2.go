package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// Work of PBKDF2. A file with less than minIterations would not resist guessing, and is
// refused. OWASP's Password Storage Cheat
// Sheet (2023) gives 600 000 for HMAC-SHA-256. More than maxIterations, about two
// seconds, nobody may ask for.
const (
	minIterations = 600_000
	maxIterations = 5_000_000

	saltLen = 16 // RFC 8018 §4.1 wants 8 at least
	keyLen  = 32
)

// iterations is what is written, and the least that is taken. Only tests change it.
var iterations = minIterations

// Object identifiers of RFC 8018 appendix C and NIST's AES.
var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// encryptedPrivateKeyInfo is RFC 5958 §3.
type encryptedPrivateKeyInfo struct {
	Algorithm pbes2
	Data      []byte
}

// pbes2 is an AlgorithmIdentifier with PBES2-params, RFC 8018 appendix A.4.
type pbes2 struct {
	OID    asn1.ObjectIdentifier
	Params struct {
		KDF    kdf
		Cipher aesCBC
	}
}

type kdf struct {
	OID    asn1.ObjectIdentifier
	Params pbkdf2Params
}

// pbkdf2Params is RFC 8018 appendix A.2. The salt may be another choice there, which
// nobody has ever used.
type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"` // HMAC-SHA-1 if missing
}

type aesCBC struct {
	OID asn1.ObjectIdentifier
	IV  []byte
}

// seal encrypts a PKCS#8 key.
func seal(der, passphrase []byte) ([]byte, error) {
	var e encryptedPrivateKeyInfo
	k, c := &e.Algorithm.Params.KDF, &e.Algorithm.Params.Cipher
	e.Algorithm.OID, k.OID, c.OID = oidPBES2, oidPBKDF2, oidAES256CBC
	k.Params = pbkdf2Params{Salt: make([]byte, saltLen), Iterations: iterations,
		PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue}}
	c.IV = make([]byte, aes.BlockSize)
	rand.Read(k.Params.Salt)
	rand.Read(c.IV)
	block, err := k.Params.cipher(passphrase)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(der)%aes.BlockSize // RFC 8018 §6.1.1
	e.Data = make([]byte, len(der)+pad)
	copy(e.Data, der)
	for i := len(der); i < len(e.Data); i++ {
		e.Data[i] = byte(pad)
	}
	cipher.NewCBCEncrypter(block, c.IV).CryptBlocks(e.Data, e.Data)
	return asn1.Marshal(e)
}

// parseSealed looks at the file's wishes before any work is done for it.
func parseSealed(der []byte) (*encryptedPrivateKeyInfo, error) {
	var e encryptedPrivateKeyInfo
	if rest, err := asn1.Unmarshal(der, &e); err != nil || len(rest) != 0 {
		return nil, refuse(ErrMalformed, "not a key encrypted by PBES2 with PBKDF2 and AES-CBC")
	}
	k, c := &e.Algorithm.Params.KDF, &e.Algorithm.Params.Cipher
	p := &k.Params
	switch {
	case !e.Algorithm.OID.Equal(oidPBES2), !k.OID.Equal(oidPBKDF2), !p.PRF.Algorithm.Equal(oidHMACSHA256),
		!c.OID.Equal(oidAES256CBC), p.KeyLength != 0 && p.KeyLength != keyLen:
		return nil, refuse(ErrMalformed, "encrypted otherwise than by PBES2 with PBKDF2, HMAC-SHA-256 and AES-256-CBC")
	case p.Iterations < iterations:
		return nil, refuse(ErrMalformed, "%d iterations are less than %d", p.Iterations, iterations)
	case p.Iterations > maxIterations:
		return nil, refuse(ErrMalformed, "%d iterations are more than %d", p.Iterations, maxIterations)
	case len(p.Salt) < 8 || len(p.Salt) > 64 || len(c.IV) != aes.BlockSize || len(e.Data) == 0 || len(e.Data)%aes.BlockSize != 0:
		return nil, refuse(ErrMalformed, "salt, IV or ciphertext of a wrong length")
	}
	return &e, nil
}

// unseal decrypts what seal wrote; the caller clears the result.
func unseal(der, passphrase []byte) ([]byte, error) {
	e, err := parseSealed(der)
	if err != nil {
		return nil, err
	}
	block, err := e.Algorithm.Params.KDF.Params.cipher(passphrase)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(e.Data))
	cipher.NewCBCDecrypter(block, e.Algorithm.Params.Cipher.IV).CryptBlocks(plain, e.Data)
	pad := int(plain[len(plain)-1])
	ok := pad >= 1 && pad <= aes.BlockSize
	for i := len(plain) - pad; ok && i < len(plain); i++ {
		ok = int(plain[i]) == pad
	}
	if !ok {
		clear(plain)
		return nil, ErrPassphrase
	}
	return plain[:len(plain)-pad], nil
}

func (p *pbkdf2Params) cipher(passphrase []byte) (cipher.Block, error) {
	key, err := pbkdf2.Key(sha256.New, string(passphrase), p.Salt, p.Iterations, keyLen)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return aes.NewCipher(key)
}
