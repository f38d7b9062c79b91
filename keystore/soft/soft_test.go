package soft_test

import (
	"bytes"
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/keystoretest"
	"github.com/nanolock/nanolock/keystore/soft"
)

var ctx = context.Background()

// paths remembers where each keystore of a test lives.
var paths sync.Map

func secretOf(tb testing.TB, path string) [][]byte {
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return [][]byte{b[8:40]}
}

func TestFile(t *testing.T) {
	keystoretest.Test(t, keystoretest.Config{
		Latch: true,
		New: func(tb testing.TB) keystore.Keystore {
			path := filepath.Join(tb.TempDir(), "secret")
			k, err := soft.Create(path, &soft.Config{Evidence: []byte("voucher")})
			if err != nil {
				tb.Fatal(err)
			}
			tb.Cleanup(func() { k.Close() })
			paths.Store(k, path)
			return k
		},
		Reopen: func(tb testing.TB, ks keystore.Keystore) keystore.Keystore {
			path, _ := paths.Load(ks)
			k, err := soft.Open(path.(string), &soft.Config{Evidence: []byte("voucher")})
			if err != nil {
				tb.Fatal(err)
			}
			tb.Cleanup(func() { k.Close() })
			paths.Store(k, path)
			return k
		},
		ReopenDestroyed: func(tb testing.TB, ks keystore.Keystore) error {
			path, _ := paths.Load(ks)
			_, err := soft.Open(path.(string), nil)
			return err
		},
		Secrets: func(tb testing.TB, ks keystore.Keystore) [][]byte {
			path, _ := paths.Load(ks)
			return secretOf(tb, path.(string))
		},
	})
}

// counter is an anchor that an integrator might have.
type counter struct {
	mu sync.Mutex
	n  uint64
}

func (c *counter) Read(context.Context) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, nil
}

func (c *counter) Advance(_ context.Context, to uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := keystore.Steps(c.n, to)
	c.n += uint64(n)
	return err
}

func (c *counter) Budget() keystore.Budget { return keystore.Budget{Writes: 5} }

func TestSupplied(t *testing.T) {
	var n byte
	type unit struct {
		secret []byte
		c      soft.Config
	}
	var units sync.Map
	open := func(tb testing.TB, u unit) keystore.Keystore {
		k, err := soft.Supply(u.secret, &u.c)
		if err != nil {
			tb.Fatal(err)
		}
		u.c.NewLatch = false
		units.Store(keystore.Keystore(k), u)
		return k
	}
	keystoretest.Test(t, keystoretest.Config{
		Latch: true, Anchor: true,
		New: func(tb testing.TB) keystore.Keystore {
			n++
			return open(tb, unit{bytes.Repeat([]byte{n, 0xfe}, 20), soft.Config{
				LatchFile: filepath.Join(tb.TempDir(), "latch"), NewLatch: true, Anchor: &counter{n: 9}}})
		},
		Reopen: func(tb testing.TB, ks keystore.Keystore) keystore.Keystore {
			u, _ := units.Load(ks)
			return open(tb, u.(unit))
		},
		Secrets: func(tb testing.TB, ks keystore.Keystore) [][]byte {
			u, _ := units.Load(ks)
			return [][]byte{u.(unit).secret}
		},
	})
}

// The keys of a secret are written down: a device in the field must not become a
// stranger by an update of this package.
func TestGolden(t *testing.T) {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	k, err := soft.Supply(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := k.Identity()
	derived, err := k.Derive(ctx, "vault-mac")
	if err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:8]) }
	got := fmt.Sprintf("%v %d %s %s %#x %s %x", id.Class, id.Suite, hex.EncodeToString(id.Public[:8]),
		sum(id.Public[32:]), int(id.KEM), sum(id.Encap), derived[:8])
	const want = "supplied 4 7df9a315a2bec779 15d5fb2fed83b77b 0x647a a18dac7676bb1b86 4f44fb12b11a7d31"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if k.Latch() != nil || k.Anchor() != nil {
		t.Error("a latch or an anchor out of nothing")
	}
}

// The X-Wing key is the one that crypto/hpke makes of the same seed: another
// implementation finds the same device behind a secret.
func TestXWingSeed(t *testing.T) {
	secret := bytes.Repeat([]byte("0123456789abcdef"), 2)
	k, err := soft.Supply(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	priv, err := hpke.MLKEM768X25519().NewPrivateKey(soft.XWingSeed(secret))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(priv.PublicKey().Bytes(), k.Identity().Encap) {
		t.Error("another public key")
	}
}

func TestSupplyRefuses(t *testing.T) {
	for _, tc := range []struct {
		secret []byte
		kind   error
	}{
		{nil, keystore.ErrMalformed},
		{make([]byte, 31), keystore.ErrMalformed},
		{make([]byte, 32), keystore.ErrAbsent},
		{bytes.Repeat([]byte{0xff}, 64), keystore.ErrAbsent},
	} {
		if k, err := soft.Supply(tc.secret, nil); k != nil || !errors.Is(err, tc.kind) {
			t.Errorf("%d bytes: %v", len(tc.secret), err)
		}
	}
	secret := bytes.Repeat([]byte("ab"), 16)
	missing := filepath.Join(t.TempDir(), "latch")
	if k, err := soft.Supply(secret, &soft.Config{LatchFile: missing}); k != nil || !errors.Is(err, keystore.ErrAbsent) {
		t.Errorf("a missing latch: %v", err)
	}
	c := &soft.Config{LatchFile: missing, NewLatch: true}
	k, err := soft.Supply(secret, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Latch().Set(ctx, keystore.Record{Root: [32]byte{1}, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	if k, err := soft.Supply(secret, c); k != nil || !errors.Is(err, keystore.ErrExists) {
		t.Errorf("a latch of an owner was made anew: %v", err)
	}
	if string(secret) != strings.Repeat("ab", 16) {
		t.Error("the caller's secret changed")
	}
}

func TestZero(t *testing.T) {
	var k soft.Keystore
	if k.Identity().Valid() || k.Latch() != nil || k.Anchor() != nil || k.Close() != nil {
		t.Error("a zero keystore is worth something")
	}
	_, err1 := k.Sign(ctx, 0, nil)
	_, err2 := k.Decapsulate(ctx, nil)
	_, err3 := k.Derive(ctx, "a")
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, keystore.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	k, err := soft.Create(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	before := secretOf(t, path)
	if _, err := soft.Create(path, nil); !errors.Is(err, keystore.ErrExists) {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(secretOf(t, path)[0], before[0]) {
		t.Error("a secret was overwritten")
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(names) != 2 {
		t.Errorf("left behind: %v", names)
	}
	for _, n := range names {
		if info, _ := os.Stat(n); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", n, info.Mode())
		}
	}
	if _, err := soft.Create(filepath.Join(dir, "none", "secret"), nil); !errors.Is(err, keystore.ErrAbsent) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := soft.Create(filepath.Join(dir, "x"), &soft.Config{Rand: strings.NewReader("short")}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("no entropy: %v", err)
	}
}

// A secret that is gone while its latch has an owner is a lost device: Create does not make a
// new one of it.
func TestLostSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	k, err := soft.Create(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Latch().Set(ctx, keystore.Record{Root: [32]byte{1}, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := soft.Open(path, nil); !errors.Is(err, keystore.ErrAbsent) {
		t.Errorf("open: %v", err)
	}
	if _, err := soft.Create(path, nil); !errors.Is(err, keystore.ErrExists) {
		t.Errorf("create: %v", err)
	}
}

func TestOwnLatch(t *testing.T) {
	dir := t.TempDir()
	other, err := soft.Create(filepath.Join(dir, "other"), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "secret")
	k, err := soft.Create(path, &soft.Config{Latch: other.Latch()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".latch"); err == nil {
		t.Error("a latch file beside the integrator's latch")
	}
	if err := k.Latch().Set(ctx, keystore.Record{Root: [32]byte{7}, Epoch: 3}); err != nil {
		t.Error(err)
	}
	if r, err := other.Latch().Read(ctx); err != nil || r.Epoch != 3 {
		t.Errorf("%v, %v", r.Epoch, err)
	}
	k2, err := soft.Open(path, &soft.Config{Latch: other.Latch()})
	if err != nil || !k2.Identity().Equal(k.Identity()) {
		t.Errorf("open: %v", err)
	}
}

func Example() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)

	// Once, in the factory.
	if _, err := soft.Create(filepath.Join(dir, "device.secret"), nil); err != nil {
		fmt.Println(err)
	}
	// At every boot.
	ks, err := soft.Open(filepath.Join(dir, "device.secret"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ks.Close()
	sig, _ := keystore.SignAll(context.Background(), ks, []byte("report"))
	fmt.Println(ks.Identity().Class, len(sig), ks.Anchor() == nil)
	// Output: file 3373 true
}
