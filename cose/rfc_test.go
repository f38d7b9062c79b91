package cose_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nanolock/nanolock/cose"
	"github.com/nanolock/nanolock/internal/cbor"
)

// RFC 8032 §7.1, tests 1 to 3.
func TestRFC8032(t *testing.T) {
	for _, v := range []struct{ seed, public, message, signature string }{
		{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
			"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
		{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
			"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	} {
		x, err := cose.NewSigner(cose.Ed25519, ed25519.NewKeyFromSeed(unhex(t, v.seed)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x.Public().Bytes(), unhex(t, v.public)) {
			t.Errorf("public key %x", x.Public().Bytes())
		}
		got, err := x.SignHalf(cose.AlgEd25519, unhex(t, v.message))
		if err != nil || !bytes.Equal(got, unhex(t, v.signature)) {
			t.Errorf("%x %v", got, err)
		}
	}
}

// The COSE_Sign of RFC 9052 C.1.1, by the key "11" of C.7.1. Its kid is not
// protected and its algorithm has the legacy number, so Verify refuses it, but
// what it signs is what SigStructure builds.
func TestRFC9052(t *testing.T) {
	x := append([]byte{4}, unhex(t, `bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff
		20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e`)...)
	k, err := cose.ParsePublicKey(cose.ESP256, x)
	if err != nil {
		t.Fatal(err)
	}
	content, header := []byte("This is the content."), unhex(t, "a10126")
	signature := unhex(t, `e2aeafd40d69d19dfe6e52077c5d7ff4e408282cbefb5d06cbf414af2e19d982
		ac45ac98b8544c908b4507de1e90b717c3d34816fe926a2b98f53afd2fa0f30a`)
	tbs := cose.SigStructure{Context: cose.InSign, Sign: header, Payload: content}
	if err := k.VerifyHalf(cose.LegacyES256.Current(), tbs.Append(nil), signature); err != nil {
		t.Error(err)
	}
	b := build(content, sig{header, []byte{0xa1, 4, 0x42, '1', '1'}, signature})
	tr := &cose.Trust{Suite: cose.ESP256, Keys: []*cose.PublicKey{k}, Threshold: 1, Legacy: true}
	refused(t, "RFC 9052 C.1.1", b, domain, tr, cose.ErrMalformed)

	// C.2.1, the COSE_Sign1 by the same key.
	signature = unhex(t, `8eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e
		2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36`)
	one := cose.SigStructure{Context: cose.InSign1, Body: header, Payload: content}
	if err := k.VerifyHalf(cose.AlgESP256, one.Append(nil), signature); err != nil {
		t.Error(err)
	}
	one.AAD = []byte{0}
	if err := k.VerifyHalf(cose.AlgESP256, one.Append(nil), signature); !errors.Is(err, cose.ErrSignature) {
		t.Error(err)
	}
}

// rfc9964 makes the ML-DSA-65 examples of RFC 9964 again, from what they are
// made of: a seed of zeros, the thumbprint as kid, deterministic signing.
func rfc9964(t *testing.T) (public, tbs, signature, sign1 []byte) {
	x, err := cose.NewSigner(cose.MLDSA65, fixed{cose.NewMLDSA65(new([32]byte))})
	if err != nil {
		t.Fatal(err)
	}
	kid := x.Public().Thumbprints()[0]
	content := []byte("hello post quantum signatures")
	s := cose.SigStructure{Context: cose.InSign1, Body: header(cose.AlgMLDSA65, kid[:]), Payload: content}
	tbs = s.Append(nil)
	if signature, err = x.SignHalf(cose.AlgMLDSA65, tbs); err != nil {
		t.Fatal(err)
	}
	b := cbor.AppendBytes(cbor.AppendArray(cbor.AppendTag(nil, 18), 4), s.Body)
	b = cbor.AppendBytes(cbor.AppendBytes(cbor.AppendMap(b, 0), content), signature)
	return x.Public().Bytes(), tbs, signature, b
}

// The examples are too long to stand here; their digests are not.
func TestRFC9964Digests(t *testing.T) {
	public, tbs, signature, sign1 := rfc9964(t)
	for _, v := range []struct {
		what string
		b    []byte
		want string
	}{
		{"public key", public, digestPublic},
		{"to be signed", tbs, digestTBS},
		{"signature", signature, digestSignature},
		{"COSE_Sign1", sign1, digestSign1},
	} {
		if got := sha256.Sum256(v.b); hex.EncodeToString(got[:]) != v.want {
			t.Errorf("%s: SHA-256 %x", v.what, got)
		}
	}
}

// The published files themselves, where somebody has put them: a folder
// cose-mldsa below NANOLOCK_VECTORS. Not to have them is no gap, so it is no
// skip either: TestRFC9964Digests pins the same bytes.
func TestRFC9964Files(t *testing.T) {
	dir := os.Getenv("NANOLOCK_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "vectors")
	}
	b, err := os.ReadFile(filepath.Join(dir, "cose-mldsa", "ML_DSA_65.cose.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Log("no files; their digests are checked all the same")
		return
	}
	var v struct {
		Key       string `json:"key"`
		Sign1     string `json:"sign1"`
		TBS       string `json:"raw_to_be_signed"`
		Signature string `json:"raw_signature"`
		Public    string `json:"raw_public_key"`
	}
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	public, tbs, signature, sign1 := rfc9964(t)
	for what, x := range map[string][2][]byte{
		"public key": {public, unhex(t, v.Public)}, "to be signed": {tbs, unhex(t, v.TBS)},
		"signature": {signature, unhex(t, v.Signature)}, "COSE_Sign1": {sign1, unhex(t, v.Sign1)},
	} {
		if !bytes.Equal(x[0], x[1]) {
			t.Errorf("%s differs", what)
		}
	}
	// The COSE_Key there has a kid, and not in the order of deterministic CBOR.
	if _, err := cose.ParseCOSEKeys(cose.MLDSA65, unhex(t, v.Key)); !errors.Is(err, cose.ErrMalformed) {
		t.Errorf("COSE_Key out of order: %v", err)
	}
	for _, level := range []string{"44", "87"} {
		otherLevel(t, filepath.Join(dir, "cose-mldsa", "ML_DSA_"+level+".cose.json"))
	}
}

// otherLevel: ML-DSA-44 and -87 are nobody's suite.
func otherLevel(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	var v struct {
		Public string `json:"raw_public_key"`
	}
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cose.ParsePublicKey(cose.MLDSA65, unhex(t, v.Public)); !errors.Is(err, cose.ErrKey) {
		t.Errorf("%s: %v", file, err)
	}
}

// SHA-256 of the ML-DSA-65 examples as published.
const (
	digestPublic    = "085ba380ff386dd52e42349c6eb88489d6058ea541a4e3fb0dce9a3fd1f7a911"
	digestTBS       = "cfe851864379dd3a3ac7f5f4cbf86b815ddc375bf285918c2f34c4aa447c202d"
	digestSignature = "c2bc88f954417f756f94b9ae60d7de54b8700348c5b941488e191047bf32d25b"
	digestSign1     = "9668576da54152cc578b740106d17e4ada88fb3a28471fd3296c22e606c86812"
)
