package keystoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
)

// memory is a latch and an anchor that live as long as the process.
type memory struct {
	mu    sync.Mutex
	rec   keystore.Record
	count uint64
	gone  bool
	again error // what opening a destroyed device returns; nil is ErrAbsent
}

type memLatch struct{ *memory }

func (m memLatch) Read(context.Context) (keystore.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rec, nil
}

func (m memLatch) Set(_ context.Context, r keystore.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	write, err := m.rec.Forward(r)
	if write {
		m.rec = r
	}
	return err
}

type memAnchor struct{ *memory }

func (m memAnchor) Read(context.Context) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count, nil
}

func (m memAnchor) Advance(_ context.Context, to uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := keystore.Steps(m.count, to)
	m.count += uint64(n)
	return err
}

func (m memAnchor) Budget() keystore.Budget { return keystore.Budget{} }

// A mutant is a good keystore with a method or two replaced by a wrong one.
type mutant struct {
	*soft.Keystore
	secret []byte
	mem    *memory

	identity func() keystore.Identity
	sign     func(ctx context.Context, half int, msg []byte) ([]byte, error)
	decap    func(ctx context.Context, enc []byte) ([32]byte, error)
	derive   func(ctx context.Context, label string) ([32]byte, error)
	close    func() error
	read     func(ctx context.Context) (keystore.Record, error)
	set      func(ctx context.Context, r keystore.Record) error
	count    func(ctx context.Context) (uint64, error)
	advance  func(ctx context.Context, to uint64) error
	budget   func() keystore.Budget
	destroy  func(ctx context.Context) error
	show     string
}

func (m *mutant) Identity() keystore.Identity {
	if m.identity != nil {
		return m.identity()
	}
	return m.Keystore.Identity()
}

func (m *mutant) Sign(ctx context.Context, half int, msg []byte) ([]byte, error) {
	if m.sign != nil {
		return m.sign(ctx, half, msg)
	}
	return m.Keystore.Sign(ctx, half, msg)
}

func (m *mutant) Decapsulate(ctx context.Context, enc []byte) ([32]byte, error) {
	if m.decap != nil {
		return m.decap(ctx, enc)
	}
	return m.Keystore.Decapsulate(ctx, enc)
}

func (m *mutant) Derive(ctx context.Context, label string) ([32]byte, error) {
	if m.derive != nil {
		return m.derive(ctx, label)
	}
	return m.Keystore.Derive(ctx, label)
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Keystore.Close()
}

func (m *mutant) Destroy(ctx context.Context) error {
	if m.destroy != nil {
		return m.destroy(ctx)
	}
	return m.Keystore.Destroy(ctx)
}

// mortal gives m what a keystore that can be destroyed does.
func mortal(m *mutant) {
	m.destroy = func(ctx context.Context) error {
		if m.mem.gone {
			return nil
		}
		if _, err := m.Keystore.Derive(ctx, "alive"); err != nil {
			return err // closed, or a context that is done
		}
		m.mem.gone = true
		return m.Keystore.Close()
	}
}

func (m *mutant) Format(s fmt.State, _ rune) { fmt.Fprint(s, "mutant ", m.show) }
func (m *mutant) Latch() keystore.Latch      { return latchOf{m, m.Keystore.Latch()} }
func (m *mutant) Anchor() keystore.Anchor    { return anchorOf{m, m.Keystore.Anchor()} }
func (latchOf) Format(s fmt.State, _ rune)   { fmt.Fprint(s, "latch") }
func (anchorOf) Format(s fmt.State, _ rune)  { fmt.Fprint(s, "anchor") }

type latchOf struct {
	m *mutant
	keystore.Latch
}

func (l latchOf) Read(ctx context.Context) (keystore.Record, error) {
	if l.m.read != nil {
		return l.m.read(ctx)
	}
	return l.Latch.Read(ctx)
}

func (l latchOf) Set(ctx context.Context, r keystore.Record) error {
	if l.m.set != nil {
		return l.m.set(ctx, r)
	}
	return l.Latch.Set(ctx, r)
}

type anchorOf struct {
	m *mutant
	keystore.Anchor
}

func (a anchorOf) Read(ctx context.Context) (uint64, error) {
	if a.m.count != nil {
		return a.m.count(ctx)
	}
	return a.Anchor.Read(ctx)
}

func (a anchorOf) Advance(ctx context.Context, to uint64) error {
	if a.m.advance != nil {
		return a.m.advance(ctx, to)
	}
	return a.Anchor.Advance(ctx, to)
}

func (a anchorOf) Budget() keystore.Budget {
	if a.m.budget != nil {
		return a.m.budget()
	}
	return a.Anchor.Budget()
}

func open(secret []byte, mem *memory) *soft.Keystore {
	k, err := soft.Supply(secret, &soft.Config{Latch: memLatch{mem}, Anchor: memAnchor{mem}, Evidence: []byte("voucher")})
	if err != nil {
		panic(err)
	}
	return k
}

var serial byte

// strict is a Config of good keystores that spoil makes bad.
func strict(spoil func(*mutant)) Config {
	return Config{
		Latch: true, Anchor: true,
		New: func(tb testing.TB) keystore.Keystore {
			serial++
			m := &mutant{secret: bytes.Repeat([]byte{serial, 0x5a, 0xc3, 0x19}, 8), mem: &memory{}}
			m.Keystore = open(m.secret, m.mem)
			spoil(m)
			tb.Cleanup(func() { m.Keystore.Close() })
			return m
		},
		Reopen: func(tb testing.TB, ks keystore.Keystore) keystore.Keystore {
			old := ks.(*mutant)
			m := &mutant{secret: old.secret, mem: old.mem}
			m.Keystore = open(m.secret, m.mem)
			spoil(m)
			return m
		},
		ReopenDestroyed: func(_ testing.TB, ks keystore.Keystore) error {
			switch mem := ks.(*mutant).mem; {
			case !mem.gone:
				return nil
			case mem.again != nil:
				return mem.again
			}
			return &keystore.Error{Op: "open", Kind: keystore.ErrAbsent}
		},
		Secrets: func(_ testing.TB, ks keystore.Keystore) [][]byte { return [][]byte{ks.(*mutant).secret} },
	}
}

// The suite passes what is right.
func TestGood(t *testing.T) {
	Test(t, strict(func(*mutant) {}))
	t.Run("mortal", func(t *testing.T) { Test(t, strict(mortal)) })
}

// A keystore without latch and anchor, and a Config with New alone, is fine too.
func TestBare(t *testing.T) {
	Test(t, Config{New: func(tb testing.TB) keystore.Keystore {
		serial++
		k, err := soft.Supply(bytes.Repeat([]byte{serial, 1}, 16), nil)
		if err != nil {
			tb.Fatal(err)
		}
		return k
	}})
}

func TestConfig(t *testing.T) {
	bare := strict(func(m *mutant) {})
	var none keystore.Keystore
	bad := []Config{
		{},
		{New: func(testing.TB) keystore.Keystore { return none }},
		{Latch: true, New: func(tb testing.TB) keystore.Keystore {
			k, _ := soft.Supply([]byte(strings.Repeat("ab", 16)), nil)
			return k
		}},
		{Anchor: true, New: func(tb testing.TB) keystore.Keystore {
			k, _ := soft.Supply([]byte(strings.Repeat("ab", 16)), nil)
			return k
		}},
	}
	for i, c := range bad {
		if err := checks[0].do(t, c); err == nil {
			t.Errorf("config %d passed", i)
		}
	}
	bare.Reopen = func(testing.TB, keystore.Keystore) keystore.Keystore { return none }
	mustFail(t, bare, "reopen", false)
	mustFail(t, bare, "destroy", false)
}

// mustFail runs the named check and wants a failure that quotes the contract.
func mustFail(t *testing.T, c Config, name string, quotes bool) {
	t.Helper()
	i := slices.IndexFunc(checks, func(ck check) bool { return ck.name == name })
	if i < 0 {
		t.Fatalf("there is no check %q", name)
	}
	err := checks[i].do(t, c)
	if err == nil {
		t.Fatalf("check %q passed", name)
	}
	if quotes && !strings.Contains(err.Error(), "breaks the contract") {
		t.Errorf("check %q does not say which sentence: %v", name, err)
	}
}

// The sentences are those of package keystore.
func TestSentences(t *testing.T) {
	var text strings.Builder
	files, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".go") && !strings.HasSuffix(f.Name(), "_test.go") {
			b, err := os.ReadFile("../" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			text.Write(b)
		}
	}
	flat := func(s string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(s, "//", " ")), " ")
	}
	have := flat(text.String())
	src, err := os.ReadFile("sentences.go")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile(`(?m)^\ts\w+ +?= "(.*)"$`).FindAllSubmatch(src, -1)
	if len(quoted) < 20 {
		t.Fatalf("found %d sentences", len(quoted))
	}
	for _, q := range quoted {
		if !strings.Contains(have, flat(string(q[1]))) {
			t.Errorf("not in package keystore: %s", q[1])
		}
	}
}

func TestShown(t *testing.T) {
	secret := []byte("\x00\xffabcdefgh0123")
	for _, text := range []string{
		fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprintf("%v", secret), fmt.Sprintf("%#v", secret),
		string(secret), fmt.Sprintf("% x", secret), fmt.Sprintf("%x", secret[3:12]),
	} {
		if !Shown("text "+text+" text", secret) {
			t.Errorf("not seen in %q", text)
		}
	}
	if Shown("nothing to see", secret) || Shown("abc", []byte("abc")) {
		t.Error("seen where it is not")
	}
}

var errOther = errors.New("some other error")
