package nanolock_test

import (
	"bytes"
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// A session outlives a change of policy only if nothing changed about who may
// open it, where, and in which state.
func TestSessionOutlives(t *testing.T) {
	keyed := func(k byte) *policy.Policy {
		p := toy()
		p.Authorities[0].Threshold = 1
		p.Authorities[0].Keys = []policy.Key{{Name: "k", Public: append(make([]byte, 31), k)}}
		return p
	}
	for _, c := range []struct {
		name   string
		before policy.State
		after  func() (*policy.Policy, policy.State)
		lives  bool
	}{
		{"the same again", policy.Deployed, func() (*policy.Policy, policy.State) { return keyed(1), policy.Deployed }, true},
		{"other rules", policy.Deployed, func() (*policy.Policy, policy.State) {
			p := keyed(1)
			p.Map[1].Access = policy.Access{}
			return p, policy.Deployed
		}, true},
		{"another key", policy.Deployed, func() (*policy.Policy, policy.State) { return keyed(2), policy.Deployed }, false},
		{"no key", policy.Deployed, func() (*policy.Policy, policy.State) { return toy(), policy.Deployed }, false},
		{"another state", policy.Deployed, func() (*policy.Policy, policy.State) { return keyed(1), policy.RMA }, false},
		{"other extents", policy.Manufacturing, func() (*policy.Policy, policy.State) {
			p := keyed(1)
			p.Map[1].Span.Len -= 16
			return p, policy.Manufacturing
		}, false},
		{"authority gone", policy.Manufacturing, func() (*policy.Policy, policy.State) {
			p := keyed(1)
			p.Authorities[0].Name = "maker"
			for i := range p.Map {
				for _, r := range []*policy.Rule{&p.Map[i].Read, &p.Map[i].Write, &p.Map[i].Erase} {
					if r.Authority == "vendor" {
						r.Authority = "maker"
					}
				}
			}
			return p, policy.Manufacturing
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLock(t, newRAM(nor), keyed(1), &nanolock.Config{State: c.before})
			s, host := session(t, l, everything()), l.Host()
			p, st := c.after()
			if err := l.SetPolicy(p, st); err != nil {
				t.Fatal(err)
			}
			if err := s.Sync(); (err == nil) != c.lives || err != nil && !errors.Is(err, nanolock.ErrEnded) {
				t.Errorf("session: %v", err)
			}
			if err := host.Sync(); err != nil {
				t.Errorf("host: %v", err)
			}
		})
	}
}

func TestSealRefuses(t *testing.T) {
	full := errors.New("journal full")
	fail := func(uint32, policy.Usage) (policy.Usage, error) { return policy.Usage{}, full }
	l := newLock(t, newRAM(nor), toy(), &nanolock.Config{State: policy.Manufacturing, Persist: fail})
	if err := l.Seal("cal"); !errors.Is(err, nanolock.ErrPersist) || !errors.Is(err, full) || l.Usage("cal").Sealed {
		t.Errorf("seal that is not durable: %v, %+v", err, l.Usage("cal"))
	}
	if err := l.Seal("data"); !errors.Is(err, nanolock.ErrRegion) {
		t.Errorf("seal of what is never written once: %v", err)
	}
}

// A Persist that answers with a round nobody asked for, or a usage from outside
// that is impossible, would open a region at the next start.
func TestForeignUsage(t *testing.T) {
	more := func(_ uint32, want policy.Usage) (policy.Usage, error) {
		want.Rounds++
		return want, nil
	}
	l := newLock(t, newRAM(nor), toy(), &nanolock.Config{State: policy.Manufacturing, Persist: more})
	if err := write(l.Host(), 96, "a"); !errors.Is(err, nanolock.ErrPersist) {
		t.Errorf("append: %v", err)
	}
	c := &nanolock.Config{Usage: map[uint32]policy.Usage{3: {Mark: -1}}}
	if _, err := nanolock.New(newRAM(nor), toy(), c); !errors.Is(err, nvm.ErrRange) {
		t.Errorf("negative mark: %v", err)
	}
}

// While a change of rights waits, a long erase does one more block at the most,
// a handle's or an area's.
func TestOneMoreBlock(t *testing.T) {
	for _, kind := range []string{"handle", "area"} {
		t.Run(kind, func(t *testing.T) {
			mem := newRAM(nor)
			l := newLock(t, mem, toy(), nil)
			var eraser nvm.NVM = session(t, l, everything())
			off := int64(0)
			if kind == "area" {
				a, err := l.Area("boot", 1)
				if err != nil {
					t.Fatal(err)
				}
				eraser = a
			}
			var wg sync.WaitGroup
			blocks, frozen := 0, false
			started := make(chan struct{})
			mem.set(func(r *ram) {
				r.inside = func(op nvm.Op, _ int64) {
					if op != nvm.Erase {
						return
					}
					if blocks++; blocks > 1 {
						if kind == "handle" && !frozen {
							t.Error("a second block before the freeze that waited")
						}
						return
					}
					wg.Go(func() { close(started); l.Freeze(); frozen = true })
					<-started
					for !l.Waiting() {
					}
				}
			})
			err := eraser.Erase(off, 64)
			wg.Wait()
			if kind == "handle" && (!errors.Is(err, nanolock.ErrDenied) || blocks != 1) {
				t.Errorf("%v after %d blocks", err, blocks)
			}
			if kind == "area" && (err != nil || blocks != 4) {
				t.Errorf("a freeze stops no area: %v after %d blocks", err, blocks)
			}
		})
	}
}

// A Handle that was copied by value is not known to the Lock: it denies, before
// and after the end of the one that it was copied from.
func TestCopiedHandleDenies(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), nil)
	s := session(t, l, everything())
	c := reflect.New(reflect.TypeFor[nanolock.Handle]())
	c.Elem().Set(reflect.ValueOf(s).Elem())
	copied := c.Interface().(*nanolock.Handle)
	before := mem.content()
	for i := range 2 {
		_, read := copied.ReadAt(make([]byte, 8), 0)
		_, view := copied.View(0, 8)
		_, bad := copied.IsBad(0)
		for name, err := range map[string]error{
			"ReadAt": read, "View": view, "IsBad": bad, "WriteAt": write(copied, 64, "a"), "Erase": copied.Erase(64, 16),
			"Sync": copied.Sync(), "MarkBad": copied.MarkBad(0),
		} {
			if !errors.Is(err, nanolock.ErrEnded) {
				t.Errorf("round %d: %s of a copy: %v", i, name, err)
			}
		}
		if err := copied.Close(); err != nil {
			t.Error(err)
		}
		if i == 0 {
			if err := s.Sync(); err != nil {
				t.Errorf("closing a copy ends the original: %v", err)
			}
			l.End(s)
		}
	}
	if !bytes.Equal(before, mem.content()) {
		t.Error("a copy changed the memory")
	}
}

// Usage is kept in the vault, which is an Area: writing it from inside Persist
// must not wait for the access that waits for Persist.
func TestPersistIntoTheVault(t *testing.T) {
	mem := newRAM(nor)
	var vault nvm.NVM
	next := int64(0)
	persist := func(_ uint32, want policy.Usage) (policy.Usage, error) {
		if vault == nil {
			return want, nil // the seals of the first start in deployed
		}
		_, err := vault.WriteAt([]byte{byte(want.Mark)}, next)
		next++
		return want, errors.Join(err, vault.Sync())
	}
	p := toy()
	l := newLock(t, mem, p, &nanolock.Config{Persist: persist})
	var err error
	if vault, err = l.Area("vault", 0); err != nil {
		t.Fatal(err)
	}
	ok(t, vault.Erase(0, 32))
	ok(t, write(l.Host(), 96, "ab"))
	ok(t, write(l.Host(), 98, "c"))
	got := make([]byte, 2)
	if _, err := vault.ReadAt(got, 0); err != nil || got[0] != 2 || got[1] != 3 {
		t.Errorf("vault holds %v, %v", got, err)
	}
	l.Close()
	if _, err := vault.WriteAt([]byte{0}, next); !errors.Is(err, nanolock.ErrEnded) {
		t.Errorf("an area outlives the lock: %v", err)
	}
}

func TestSetUsageBeginsNoRound(t *testing.T) {
	l := newLock(t, newRAM(nor), toy(), nil)
	ok(t, write(l.Host(), 96, "a"))
	if err := l.SetUsage("log", policy.Usage{Rounds: 1}); !errors.Is(err, nvm.ErrRange) {
		t.Errorf("a round from nowhere: %v", err)
	}
	if err := write(l.Host(), 96, "b"); !errors.Is(err, nanolock.ErrDenied) {
		t.Errorf("below the mark: %v", err)
	}
}
