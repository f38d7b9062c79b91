// Package keystoretest checks implementations of [keystore.Keystore].
//
// Whoever writes a keystore calls [Test] from a test of their own; it goes through
// the contract of package keystore sentence by sentence, and names the sentence in
// every failure. Signatures and encapsulations are checked by other code than made
// them: crypto/ed25519, crypto/ecdsa, circl and crypto/hpke.
//
// The package belongs in tests: it imports testing.
package keystoretest

import (
	"errors"
	"fmt"
	"runtime/debug"
	"testing"

	"github.com/nanolock/nanolock/keystore"
)

// Config tells [Test] how to get at keystores. Only New is required.
type Config struct {
	// New makes a new device whose latch was never set and opens its keystore, and closes
	// it in tb.Cleanup. Each call is another device.
	New func(tb testing.TB) keystore.Keystore

	// Reopen takes the power from ks, a keystore that New or Reopen returned, and
	// opens the same device again. nil: what survives is not checked.
	Reopen func(tb testing.TB, ks keystore.Keystore) keystore.Keystore

	// ReopenDestroyed takes the power from ks, which was destroyed, tries to open the
	// same device again as Reopen does, and returns the error. nil: what Destroy
	// leaves behind is not checked.
	ReopenDestroyed func(tb testing.TB, ks keystore.Keystore) error

	// Latch and Anchor: the keystore must have one. Without them, what there is
	// is checked.
	Latch, Anchor bool

	// Secrets returns bytes that must never show in a text: the device secret
	// and keys made from it. nil: derived keys alone are looked for.
	Secrets func(tb testing.TB, ks keystore.Keystore) [][]byte
}

// A check is one row of the suite. run returns the first breach it sees.
type check struct {
	name string
	run  func(*env) error
}

// checks is the suite, cheap and telling rows first.
var checks = []check{
	{"identity", checkIdentity},
	{"sign", checkSign},
	{"sign/bad", checkSignBad},
	{"decapsulate", checkDecapsulate},
	{"decapsulate/bad", checkDecapsulateBad},
	{"derive", checkDerive},
	{"derive/bad", checkDeriveBad},
	{"latch", checkLatch},
	{"latch/back", checkLatchBack},
	{"anchor", checkAnchor},
	{"anchor/bad", checkAnchorBad},
	{"context", checkContext},
	{"retain", checkRetain},
	{"concurrent", checkConcurrent},
	{"secrets", checkSecrets},
	{"other", checkOther},
	{"reopen", checkReopen},
	{"destroy", checkDestroy},
	{"close", checkClose},
}

// Test runs the suite: one subtest for each part of the contract. Rows that do
// not apply, such as an anchor where there is none, pass without doing anything.
func Test(t *testing.T, c Config) {
	t.Helper()
	for _, ck := range checks {
		t.Run(ck.name, func(t *testing.T) {
			if err := ck.do(t, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// do runs one check on a device of its own. A panic is a breach as well, and an
// Identity that changed meanwhile is looked for after every check.
func (ck check) do(tb testing.TB, c Config) (err error) {
	tb.Helper()
	e, err := newEnv(tb, c)
	if err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: the keystore panicked: %v\n%s", ck.name, r, debug.Stack())
		}
	}()
	if err := ck.run(e); err != nil {
		return err
	}
	if !e.ks.Identity().Equal(e.id) {
		return broke(sFixed, "Identity() is another after check %q", ck.name)
	}
	return nil
}

// An env is one keystore under check.
type env struct {
	tb  testing.TB
	cfg Config
	ks  keystore.Keystore
	id  keystore.Identity // as it was when opened
}

func newEnv(tb testing.TB, c Config) (*env, error) {
	tb.Helper()
	if c.New == nil {
		return nil, errors.New("keystoretest: Config.New is nil")
	}
	ks := c.New(tb)
	if ks == nil {
		return nil, errors.New("keystoretest: Config.New returned nil")
	}
	if c.Latch && ks.Latch() == nil {
		return nil, errors.New("keystoretest: there is no latch")
	}
	if c.Anchor && ks.Anchor() == nil {
		return nil, errors.New("keystoretest: there is no anchor")
	}
	return &env{tb, c, ks, ks.Identity().Clone()}, nil
}

// want tells whether err is of the kind that the sentence asks for, and does not
// say ErrUncertain besides.
func want(err, kind error, sentence, what string, a ...any) error {
	what = fmt.Sprintf(what, a...)
	switch {
	case !errors.Is(err, kind):
		return broke(sentence, "%s: got error %v, want %v", what, err, kind)
	case errors.Is(err, keystore.ErrUncertain) && kind != keystore.ErrUncertain:
		return broke(sFailed, "%s changed nothing, but says %v", what, err)
	}
	return nil
}
