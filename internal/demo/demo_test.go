package demo

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/nanolock/nanolock/policy"
)

func TestRouterIsClean(t *testing.T) {
	p := Router()
	for _, f := range p.Lint(p.Geometry()) {
		t.Errorf("lint: %v", f)
	}
	for _, st := range policy.States() {
		if _, err := p.Compile(p.Geometry(), st); err != nil {
			t.Errorf("%v: %v", st, err)
		}
	}
}

// The keys are examples and must be seen to be: their private halves follow from
// their names.
func TestKeysAreExamples(t *testing.T) {
	p := Router()
	for i, label := range []string{"owner-1", "owner-2", "vendor-1"} {
		seed := sha256.Sum256([]byte("nanolock demo key " + label))
		want := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
		got := p.Authorities[i/2].Keys[i%2].Public
		if !bytes.Equal(got, want) {
			t.Errorf("%s: router.yaml has %x, want %x", label, got, want)
		}
	}
}

func TestRouterImage(t *testing.T) {
	img, p := RouterImage(1), Router()
	if int64(len(img)) != p.Memory.Size {
		t.Fatalf("image has %d bytes, want %d", len(img), p.Memory.Size)
	}
	if sum := sha256.Sum256(img); hex.EncodeToString(sum[:8]) != imageDigest {
		t.Errorf("the image of seed 1 changed: %x", sum[:8])
	}
	if bytes.Equal(img, RouterImage(2)) {
		t.Error("seeds 1 and 2 give the same image")
	}
	for _, tc := range []struct{ region, magic string }{
		{"firmware", "\x27\x05\x19\x56"}, {"firmware-b", "\x27\x05\x19\x56"}, {"rootfs_data", "\x85\x19"},
		{"vault", "\xff\xff\xff\xff"}, {"audit", "\xff\xff\xff\xff"},
	} {
		if at := span(p, tc.region).Off; !bytes.HasPrefix(img[at:], []byte(tc.magic)) {
			t.Errorf("%s begins with % x, want % x", tc.region, img[at:at+4], tc.magic)
		}
	}
}

const imageDigest = "963a4913770dcf88"
