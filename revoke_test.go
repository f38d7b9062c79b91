package nanolock_test

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// stricter is toy in which nobody changes anything.
func stricter() *policy.Policy {
	p := toy()
	for i := range p.Map {
		p.Map[i].Write, p.Map[i].Erase = policy.Rule{}, policy.Rule{}
	}
	return p
}

// revocations are the ways to take the right to change away.
var revocations = map[string]func(*nanolock.Lock, *nanolock.Handle) error{
	"End":          func(l *nanolock.Lock, h *nanolock.Handle) error { l.End(h); return nil },
	"Handle.Close": func(_ *nanolock.Lock, h *nanolock.Handle) error { return h.Close() },
	"Freeze":       func(l *nanolock.Lock, _ *nanolock.Handle) error { l.Freeze(); return nil },
	"SetPolicy":    func(l *nanolock.Lock, _ *nanolock.Handle) error { return l.SetPolicy(stricter(), 0) },
	"Close":        func(l *nanolock.Lock, _ *nanolock.Handle) error { return l.Close() },
}

// A writer is held inside the memory. Taking its rights away does not return
// before it is out; after that, no bit changes.
func TestRevocationWaits(t *testing.T) {
	for name, revoke := range revocations {
		for op, do := range map[nvm.Op]func(*nanolock.Handle) error{
			nvm.Write: func(h *nanolock.Handle) error { return write(h, 64, "x") },
			nvm.Erase: func(h *nanolock.Handle) error { return h.Erase(64, 32) }, // two blocks
		} {
			t.Run(name+"/"+op.String(), func(t *testing.T) {
				mem := newRAM(nor)
				l := newLock(t, mem, toy(), nil)
				h := l.Host()
				entered, leave := make(chan struct{}), make(chan struct{})
				var left, returned atomic.Bool
				var once sync.Once
				mem.inside = func(nvm.Op, int64) {
					once.Do(func() { close(entered) }) // the second block may win the mutex before the revocation
					<-leave
					if returned.Load() {
						t.Error("revoked while an operation was under way")
					}
					left.Store(true)
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					err := do(h)
					if err != nil && (op == nvm.Write || !errors.Is(err, nanolock.ErrDenied)) {
						t.Errorf("the one under way: %v", err)
					}
				})
				<-entered
				wg.Go(func() {
					if err := revoke(l, h); err != nil {
						t.Error(err)
					}
					returned.Store(true)
					if !left.Load() {
						t.Error("returned before the operation did")
					}
					before := mem.content()
					if err := do(h); !errors.Is(err, nanolock.ErrDenied) {
						t.Errorf("after: %v", err)
					}
					if !bytes.Equal(before, mem.content()) {
						t.Error("a bit changed afterwards")
					}
				})
				close(leave)
				wg.Wait()
			})
		}
	}
}

// The same under load: after the return, the memory sees no change however many
// writers try, and their errors say why.
func TestRevocationHammer(t *testing.T) {
	rounds := 8
	if long {
		rounds = 500
	}
	for name, revoke := range revocations {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				mem := newRAM(nor)
				l := newLock(t, mem, toy(), nil)
				h := l.Host()
				var over atomic.Bool
				mem.inside = func(op nvm.Op, off int64) {
					if over.Load() {
						t.Errorf("%v at %d after the revocation", op, off)
					}
				}
				var wg sync.WaitGroup
				started := make(chan struct{}, 64)
				for i := range int64(4) {
					wg.Go(func() {
						p := []byte{1}
						for tries := 0; tries < 2000; tries++ {
							if tries == 3 {
								started <- struct{}{}
							}
							_, err := h.WriteAt(p, 64+i)
							if err == nil && i == 0 {
								err = h.Erase(80, 16)
							}
							if err != nil {
								if !errors.Is(err, nanolock.ErrDenied) {
									t.Error(err)
								}
								return
							}
						}
					})
				}
				<-started
				if err := revoke(l, h); err != nil {
					t.Fatal(err)
				}
				over.Store(true)
				wg.Wait()
			}
		})
	}
}

// Readers and writers while everything else happens: for the race detector, and
// for handles that obey at once.
func TestEverythingAtOnce(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), &nanolock.Config{OnDeny: func(nanolock.Denial) {}})
	closed := toy()
	closed.Map[1].Read = policy.Rule{}
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range 3 {
		wg.Go(func() {
			h, p := l.Host(), make([]byte, 40)
			for !stop.Load() {
				h.ReadAt(p, 60)
				h.WriteAt(p[:4], 64)
				h.Erase(80, 16)
				h.View(64, 4)
				h.IsBad(0)
				l.Explain(nvm.Write, 64, 1)
			}
			h.Close()
		})
	}
	p := make([]byte, 4)
	h := l.Host()
	for i := range 300 {
		s := session(t, l, everything())
		s.WriteAt(p, 0)
		if err := l.SetPolicy(closed, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := h.ReadAt(p, 64); !errors.Is(err, nanolock.ErrDenied) {
			t.Fatalf("read under the old policy: %v", err)
		}
		if err := l.SetPolicy(toy(), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := h.ReadAt(p, 64); err != nil {
			t.Fatal(err)
		}
		if err := l.Activate("boot", i%2); err != nil {
			t.Fatal(err)
		}
		l.End(s)
		l.Usage("log")
	}
	stop.Store(true)
	wg.Wait()
}

// A long program stops between chunks, an erase between blocks, and n says where.
func TestRevocationBetweenSteps(t *testing.T) {
	const chunk = 64 << 10
	g := nvm.Geometry{Size: 1 << 20, EraseSize: 4096, ProgramSize: 1, Erased: 0xFF}
	p := &policy.Policy{Version: 1, Memory: policy.Memory{Size: g.Size, Granule: 4096}, Map: []policy.Region{
		{ID: 1, Name: "all", Span: nvm.Span{Len: g.Size}, Access: policy.Access{Read: anyone, Write: anyone, Erase: anyone}}}}
	mem := newRAM(g)
	l := newLock(t, mem, p, nil)
	h, host := l.Host(), l.Host()
	var wg sync.WaitGroup
	freezeAt := func(op nvm.Op, at int64) {
		mem.set(func(r *ram) {
			r.inside = func(got nvm.Op, off int64) {
				if got == op && off == at {
					entered := make(chan struct{})
					wg.Go(func() { close(entered); l.Freeze() })
					<-entered
				}
			}
		})
	}
	buf := make([]byte, 3*chunk+100)
	if n, err := h.WriteAt(buf, 0); n != len(buf) || err != nil {
		t.Fatal(n, err)
	}
	if log := mem.taken(); len(log) != 4 || log[3] != (access{nvm.Write, 3 * chunk, 100}) {
		t.Errorf("chunks: %+v", log)
	}
	// The goroutine that freezes competes for the mutex with the next step, so
	// what is fixed is that the end is at a border, and that n is exact.
	freezeAt(nvm.Write, chunk)
	mem.set(func(r *ram) { r.data = bytes.Repeat([]byte{0xFF}, len(r.data)) })
	n, err := h.WriteAt(buf, 0)
	wg.Wait()
	done := int64(len(buf)) - int64(bytes.Count(mem.content()[:len(buf)], []byte{0xFF}))
	if int64(n) != done || n < 2*chunk || n != len(buf) && (n%chunk != 0 || !errors.Is(err, nanolock.ErrDenied)) {
		t.Errorf("n = %d, programmed %d, %v", n, done, err)
	}
	if err := write(host, 0, "x"); !errors.Is(err, nanolock.ErrDenied) {
		t.Errorf("frozen: %v", err)
	}
	if err := l.SetPolicy(p, 0); err != nil {
		t.Fatal(err)
	}
	freezeAt(nvm.Erase, 8192)
	mem.set(func(r *ram) { r.data = make([]byte, len(r.data)) })
	mem.taken()
	err = h.Erase(0, g.Size)
	wg.Wait()
	blocks := int64(len(mem.taken()))
	if erased := int64(bytes.Count(mem.content(), []byte{0xFF})); erased != blocks*4096 || blocks < 3 || (blocks < 256) != errors.Is(err, nanolock.ErrDenied) {
		t.Errorf("%d bytes in %d blocks, %v", erased, blocks, err)
	}
}

// A memory that panics does not take the Lock with it.
func TestPanickingMemory(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), nil)
	host, s := l.Host(), session(t, l, everything())
	area, err := l.Area("vault", 0)
	if err != nil {
		t.Fatal(err)
	}
	mem.inside = func(nvm.Op, int64) { panic("out of order") }
	for name, do := range map[string]func() error{
		"write": func() error { return write(host, 64, "x") }, "granted write": func() error { return write(s, 0, "x") },
		"erase": func() error { return host.Erase(64, 16) }, "area": func() error { return area.Erase(0, 16) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: the panic was swallowed", name)
				}
			}()
			_ = do()
		}()
		l.Freeze() // hangs if the mutex is held
		if err := l.SetPolicy(toy(), 0); err != nil {
			t.Fatal(err)
		}
	}
}
