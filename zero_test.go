package nanolock_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Nothing that was never set up allows anything, and none of it panics.
func TestZeroDenies(t *testing.T) {
	closed := newLock(t, newRAM(nor), toy(), nil)
	host := closed.Host()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	for name, h := range map[string]*nanolock.Handle{
		"zero Handle": {}, "host of the zero Lock": new(nanolock.Lock).Host(), "ended by Close": host, "host after Close": closed.Host(),
	} {
		for method, call := range map[string]func() (int, error){
			"ReadAt":       func() (int, error) { return h.ReadAt(buf, 0) },
			"ReadAt none":  func() (int, error) { return h.ReadAt(nil, 0) },
			"ReadAt off":   func() (int, error) { return h.ReadAt(buf, math.MinInt64) },
			"WriteAt":      func() (int, error) { return h.WriteAt(buf, 0) },
			"WriteAt none": func() (int, error) { return h.WriteAt(nil, 0) },
			"WriteAt off":  func() (int, error) { return h.WriteAt(buf, math.MaxInt64) },
			"Erase":        func() (int, error) { return 0, h.Erase(0, 16) },
			"Erase none":   func() (int, error) { return 0, h.Erase(0, 0) },
			"Erase off":    func() (int, error) { return 0, h.Erase(-1, math.MaxInt64) },
			"Sync":         func() (int, error) { return 0, h.Sync() },
			"View":         func() (int, error) { v, err := h.View(0, 4); return len(v), err },
			"IsBad":        func() (int, error) { _, err := h.IsBad(0); return 0, err },
			"MarkBad":      func() (int, error) { return 0, h.MarkBad(0) },
		} {
			n, err := call()
			var deny *nanolock.DenyError
			if n != 0 || !errors.Is(err, nanolock.ErrEnded) || !errors.Is(err, nanolock.ErrDenied) || !errors.Is(err, fs.ErrPermission) || !errors.As(err, &deny) {
				t.Errorf("%s: %s: %d, %v", name, method, n, err)
			}
		}
		if err := h.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
	if g := new(nanolock.Handle).Geometry(); g.Size != 0 || new(nanolock.Handle).ID() != 0 {
		t.Errorf("zero Handle: geometry %+v", g)
	}

	for name, l := range map[string]*nanolock.Lock{"zero Lock": {}, "closed Lock": closed} {
		for method, call := range map[string]func() error{
			"Session":   func() error { h, err := l.Session(everything()); return nilOr(h, err) },
			"SetPolicy": func() error { return l.SetPolicy(toy(), 0) },
			"Activate":  func() error { return l.Activate("boot", 1) },
		} {
			if err := call(); !errors.Is(err, nanolock.ErrEnded) {
				t.Errorf("%s: %s: %v", name, method, err)
			}
		}
		if d := l.Explain(nvm.Read, 0, 1); d.Allow {
			t.Errorf("%s: Explain: %+v", name, d)
		}
		l.Freeze()
		l.End(nil)
		l.End(&nanolock.Handle{})
		if err := l.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
	var zero nanolock.Lock
	_, err := zero.Area("vault", 0)
	for method, err := range map[string]error{"Area": err, "Seal": zero.Seal("cal"), "SetUsage": zero.SetUsage("cal", policy.Usage{})} {
		if !errors.Is(err, nanolock.ErrEnded) {
			t.Errorf("zero Lock: %s: %v", method, err)
		}
	}
	if zero.Denials() != 0 || zero.Usage("cal") != (policy.Usage{}) {
		t.Error("the zero Lock counts")
	}

	for name, err := range map[string]error{
		"no memory": second(nanolock.New(nil, toy(), nil)), "no policy": second(nanolock.New(newRAM(nor), nil, nil)),
		"SetPolicy(nil)": newLock(t, newRAM(nor), toy(), nil).SetPolicy(nil, 0),
	} {
		if !errors.Is(err, nanolock.ErrMemory) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l := newLock(t, newRAM(nor), toy(), &nanolock.Config{}); l.Explain(nvm.Write, 0, 1).Allow || !l.Usage("cal").Sealed {
		t.Error("the zero Config is not Deployed")
	}
}

func nilOr(h *nanolock.Handle, err error) error {
	if h != nil {
		return fmt.Errorf("got a handle")
	}
	return err
}

func second(_ *nanolock.Lock, err error) error { return err }

func TestNewRefuses(t *testing.T) {
	big := nor
	big.Size = 512
	coarse := nor
	coarse.EraseSize = 64
	bad := nor
	bad.BadBlocks = true
	wrong := toy()
	wrong.Version = 0
	secret := toy()
	secret.Map[4].Confidential = true
	for _, tc := range []struct {
		name string
		mem  nvm.NVM
		p    *policy.Policy
		want error
		text string
	}{
		{"impossible geometry", &ram{}, toy(), nanolock.ErrMemory, "size 0"},
		{"other size", newRAM(big), toy(), nanolock.ErrMemory, "policy is for 256 bytes, the memory has 512"},
		{"coarse blocks", newRAM(coarse), toy(), nanolock.ErrMemory, "blocks of 16 bytes, the memory erases 64"},
		{"bad blocks unknown", newRAM(bad), toy(), nanolock.ErrMemory, "cannot tell which"},
		{"invalid", newRAM(nor), wrong, policy.ErrInvalid, "version is 0"},
		{"confidential", newRAM(nor), secret, policy.ErrInvalid, `region "key"`},
	} {
		if l, err := nanolock.New(tc.mem, tc.p, nil); l != nil || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v, want %v with %q", tc.name, err, tc.want, tc.text)
		}
	}
	fail := errors.New("no room")
	_, err := nanolock.New(newRAM(nor), toy(), &nanolock.Config{Persist: func(uint32, policy.Usage) (policy.Usage, error) { return policy.Usage{}, fail }})
	if !errors.Is(err, nanolock.ErrPersist) || !errors.Is(err, fail) {
		t.Errorf("seal not durable: %v", err)
	}
	if _, err := nanolock.New(&flawed{newRAM(bad), map[int64]bool{}}, toy(), nil); err != nil {
		t.Errorf("bad blocks known: %v", err)
	}
}
