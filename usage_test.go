package nanolock_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// denied checks the cause of a refusal, and that nothing reached the memory.
func denied(t *testing.T, mem *ram, err error, cause nanolock.Cause) {
	t.Helper()
	var deny *nanolock.DenyError
	if !errors.As(err, &deny) || deny.Cause != cause {
		t.Errorf("got %v, want a denial for %q", err, cause)
	}
	for _, op := range mem.taken() {
		t.Errorf("the memory was asked: %+v", op)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func write(h *nanolock.Handle, off int64, s string) error {
	_, err := h.WriteAt([]byte(s), off)
	return err
}

func TestOnce(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), &nanolock.Config{State: policy.Manufacturing})
	host := l.Host()
	ok(t, write(host, 192, "ab"))
	ok(t, write(host, 192, "cd")) // as often as needed, until it is sealed
	ok(t, l.Seal("cal"))
	mem.taken()
	denied(t, mem, write(host, 200, "x"), nanolock.CauseSealed)
	denied(t, mem, write(session(t, l, everything()), 200, "x"), nanolock.CauseSealed)
	ok(t, l.Seal("cal"))
	if err := l.Seal("none"); !errors.Is(err, nanolock.ErrRegion) {
		t.Errorf("no such region: %v", err)
	}

	// The first start in deployed seals, and no way back to manufacturing opens.
	l = newLock(t, mem, toy(), &nanolock.Config{State: policy.Manufacturing})
	host = l.Host()
	ok(t, write(host, 192, "x"))
	ok(t, l.SetPolicy(toy(), policy.Deployed))
	mem.taken()
	denied(t, mem, write(host, 192, "x"), nanolock.CauseSealed)
	ok(t, l.SetPolicy(toy(), policy.Manufacturing))
	denied(t, mem, write(host, 192, "x"), nanolock.CauseSealed)

	// Once in manufacturing alone is sealed by deployed too.
	p := toy()
	p.Map[3].In = map[policy.State]policy.Access{policy.Manufacturing: p.Map[3].Access}
	p.Map[3].Access = policy.Access{Read: anyone}
	if l := newLock(t, mem, p, nil); !l.Usage("cal").Sealed {
		t.Error("not sealed")
	}
}

func TestAppend(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), nil)
	host := l.Host()
	ok(t, write(host, 96, "abcd"))
	mem.taken()
	denied(t, mem, write(host, 99, "d"), nanolock.CauseMark)
	denied(t, mem, write(host, 98, "cdef"), nanolock.CauseMark)
	denied(t, mem, host.Erase(96, 32), nanolock.CauseRule)
	ok(t, write(host, 110, "z")) // a gap is lost for ever
	mem.taken()
	denied(t, mem, write(host, 105, "y"), nanolock.CauseMark)
	if u := l.Usage("log"); u.Mark != 15 || u.Rounds != 0 {
		t.Errorf("usage %+v", u)
	}
	denied(t, mem, write(host, 127, "ab"), nanolock.CauseRule) // and boot2 behind it
	ok(t, write(host, 127, "a"))
	mem.taken()
	denied(t, mem, write(host, 127, "a"), nanolock.CauseMark)
}

// A granted erase of the whole region, in order and with nothing appended
// meanwhile, opens an append region again; anything less does not.
func TestAppendRounds(t *testing.T) {
	for _, tc := range []struct {
		name  string
		do    func(t *testing.T, l *nanolock.Lock, host, s *nanolock.Handle)
		opens bool
	}{
		{"whole", func(t *testing.T, _ *nanolock.Lock, _, s *nanolock.Handle) { ok(t, s.Erase(96, 32)) }, true},
		{"block by block", func(t *testing.T, _ *nanolock.Lock, _, s *nanolock.Handle) {
			ok(t, s.Erase(96, 16))
			ok(t, s.Erase(112, 16))
		}, true},
		{"started again", func(t *testing.T, _ *nanolock.Lock, _, s *nanolock.Handle) {
			ok(t, s.Erase(96, 16))
			ok(t, s.Erase(96, 32))
		}, true},
		{"other erases between", func(t *testing.T, _ *nanolock.Lock, _, s *nanolock.Handle) {
			ok(t, s.Erase(96, 16))
			ok(t, s.Erase(0, 16))
			ok(t, s.Erase(112, 16))
		}, true},
		{"first block", func(t *testing.T, _ *nanolock.Lock, _, s *nanolock.Handle) { ok(t, s.Erase(96, 16)) }, false},
		{"last block", func(t *testing.T, _ *nanolock.Lock, _, s *nanolock.Handle) { ok(t, s.Erase(112, 16)) }, false},
		{"out of order", func(t *testing.T, _ *nanolock.Lock, _, s *nanolock.Handle) {
			ok(t, s.Erase(112, 16))
			ok(t, s.Erase(96, 16))
		}, false},
		{"two sessions", func(t *testing.T, l *nanolock.Lock, _, s *nanolock.Handle) {
			ok(t, s.Erase(96, 16))
			ok(t, session(t, l, everything()).Erase(112, 16))
		}, false},
		{"appended between", func(t *testing.T, _ *nanolock.Lock, host, s *nanolock.Handle) {
			ok(t, s.Erase(96, 16))
			ok(t, write(host, 104, "x"))
			ok(t, s.Erase(112, 16))
		}, false},
		{"another round between", func(t *testing.T, l *nanolock.Lock, host, s *nanolock.Handle) {
			ok(t, s.Erase(96, 16))
			ok(t, session(t, l, everything()).Erase(96, 32))
			ok(t, write(host, 96, "abcd"))
			ok(t, s.Erase(112, 16))
		}, false},
		{"other rules between", func(t *testing.T, l *nanolock.Lock, host, s *nanolock.Handle) {
			ok(t, s.Erase(96, 16))
			p := toy()
			p.Map[2].Write = anyone
			p.Map[2].Erase = vendor
			ok(t, l.SetPolicy(p, 0))
			ok(t, write(host, 96, "x"))
			ok(t, l.SetPolicy(toy(), 0))
			ok(t, s.Erase(112, 16))
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mem := newRAM(nor)
			l := newLock(t, mem, toy(), nil)
			host, s := l.Host(), session(t, l, everything())
			ok(t, write(host, 96, "abcd"))
			before := l.Usage("log")
			tc.do(t, l, host, s)
			after := l.Usage("log")
			if opened := after.Mark == 0; opened != tc.opens || opened && after.Rounds != before.Rounds+1 {
				t.Errorf("usage %+v", after)
			}
			if err := write(host, 96, "x"); (err == nil) != tc.opens {
				t.Errorf("append from the start: %v", err)
			}
		})
	}
}

// A region that is appended to everywhere is only open where the whole of it was erased.
func TestAppendSharedBlock(t *testing.T) {
	p := toy()
	p.Map[2].Span = nvm.Span{Off: 96, Len: 24}
	l := newLock(t, newRAM(nor), p, nil)
	s := session(t, l, everything())
	ok(t, write(l.Host(), 96, "x"))
	ok(t, s.Erase(96, 16))
	if err := s.Erase(112, 16); !errors.Is(err, nanolock.ErrDenied) || l.Usage("log").Rounds != 0 {
		t.Errorf("a block shared with no region: %v", err)
	}
}

func TestBudgets(t *testing.T) {
	mem := newRAM(nor)
	l := newLock(t, mem, toy(), nil)
	r := everything()
	r.ProgramBytes, r.Erases = 6, 2
	s := session(t, l, r)
	denied(t, mem, write(s, 0, "1234567"), nanolock.CauseBudget)
	ok(t, write(s, 0, "1234"))
	ok(t, write(s, 64, "free for every host"))
	mem.taken()
	denied(t, mem, write(s, 61, "567x"), nanolock.CauseBudget) // three of them in boot
	ok(t, write(s, 4, "56"))
	mem.taken()
	denied(t, mem, write(s, 6, "7"), nanolock.CauseBudget)
	denied(t, mem, s.Erase(0, 48), nanolock.CauseBudget)
	ok(t, s.Erase(0, 16))
	ok(t, s.Erase(64, 32)) // any host's
	ok(t, s.Erase(16, 16))
	mem.taken()
	denied(t, mem, s.Erase(32, 16), nanolock.CauseBudget)
	r.ProgramBytes, r.Erases = 0, 0
	s = session(t, l, r)
	denied(t, mem, write(s, 0, "1"), nanolock.CauseBudget)
	denied(t, mem, s.Erase(0, 16), nanolock.CauseBudget)
}

// The ledger counts what hosts and sessions erase, and a period adds to it.
func TestLedger(t *testing.T) {
	mem := newRAM(nor)
	p := toy()
	p.Map[1].Wear = policy.Wear{Erases: 3, PerHours: 24}
	l := newLock(t, mem, p, nil)
	host, s := l.Host(), session(t, l, everything())
	ok(t, host.Erase(64, 32))
	mem.taken()
	denied(t, mem, host.Erase(64, 32), nanolock.CauseLedger)
	ok(t, host.Erase(64, 16))
	ok(t, write(host, 64, "programs are free"))
	mem.taken()
	denied(t, mem, host.Erase(64, 16), nanolock.CauseLedger)
	ok(t, l.SetUsage("data", policy.Usage{Allowed: 5}))
	ok(t, host.Erase(64, 32))
	mem.taken()
	denied(t, mem, host.Erase(64, 16), nanolock.CauseLedger)
	ok(t, l.SetUsage("data", policy.Usage{})) // lowers nothing
	if u := l.Usage("data"); u.Erases != 5 || u.Allowed != 5 {
		t.Errorf("usage %+v", u)
	}
	ok(t, l.SetUsage("data", policy.Usage{Erases: math.MaxUint64, Allowed: math.MaxUint64}))
	denied(t, mem, host.Erase(64, 16), nanolock.CauseLedger)

	for range 3 {
		ok(t, s.Erase(192, 16))
	}
	ok(t, l.SetUsage("cal", policy.Usage{Allowed: 100})) // a life is a life
	mem.taken()
	denied(t, mem, s.Erase(192, 16), nanolock.CauseLedger)

	for _, mark := range []int64{-1, 33, math.MinInt64} {
		if err := l.SetUsage("log", policy.Usage{Mark: mark}); !errors.Is(err, nvm.ErrRange) {
			t.Errorf("mark %d: %v", mark, err)
		}
	}
	if err := l.SetUsage("none", policy.Usage{}); !errors.Is(err, nanolock.ErrRegion) || l.Usage("none") != (policy.Usage{}) {
		t.Errorf("no such region: %v", err)
	}
}

// Where a program wears like an erase it is charged for each block it touches,
// once, however it is cut into chunks.
func TestLedgerRewrite(t *testing.T) {
	for _, tc := range []struct {
		name          string
		block         int64
		off, n, spent int64
	}{
		{"inside a block", 4 << 10, 10, 10, 1},
		{"border", 4 << 10, 4095, 2, 2},
		{"chunks off the borders", 4 << 10, 100, 128 << 10, 33},
		{"chunks on the borders", 4 << 10, 0, 128 << 10, 32},
		{"blocks longer than a chunk", 256 << 10, 100, 256 << 10, 2},
		{"one long block", 256 << 10, 0, 256 << 10, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := nvm.Geometry{Size: 1 << 20, EraseSize: tc.block, ProgramSize: 1, Program: nvm.Rewrite}
			p := &policy.Policy{Version: 1, Memory: policy.Memory{Size: g.Size, Granule: tc.block}, Map: []policy.Region{{
				ID: 1, Name: "all", Span: nvm.Span{Len: g.Size}, Wear: policy.Wear{Erases: uint32(tc.spent)}, Access: policy.Access{Write: anyone}}}}
			mem := newRAM(g)
			l := newLock(t, mem, p, nil)
			want := bytes.Repeat([]byte("abc"), int(tc.n+2)/3)[:tc.n]
			if n, err := l.Host().WriteAt(want, tc.off); int64(n) != tc.n || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			if u := l.Usage("all"); u.Erases != uint64(tc.spent) || !bytes.Equal(mem.content()[tc.off:tc.off+tc.n], want) {
				t.Errorf("spent %d, want %d", u.Erases, tc.spent)
			}
			mem.taken()
			denied(t, mem, write(l.Host(), 0, "x"), nanolock.CauseLedger)
		})
	}
}

// Counting blocks must not take a step per block while the mutex is held.
func TestLedgerAreas(t *testing.T) {
	g := nvm.Geometry{Size: 256, EraseSize: 16, ProgramSize: 1, Erased: 0xFF, Blocks: []nvm.EraseArea{{Len: 64, EraseSize: 16}, {Len: 96, EraseSize: 48}, {Len: 96, EraseSize: 32}}}
	p := &policy.Policy{Version: 1, Memory: policy.Memory{Size: 256, Granule: 16}, Map: []policy.Region{{
		ID: 1, Name: "all", Span: nvm.Span{Len: 256}, Wear: policy.Wear{Erases: 1000}, Access: policy.Access{Erase: anyone}}}}
	l := newLock(t, newRAM(g), p, nil)
	for _, tc := range []struct{ off, n, blocks int64 }{{0, 256, 9}, {16, 96, 4}, {64, 48, 1}, {112, 80, 2}, {224, 32, 1}} {
		before := l.Usage("all").Erases
		ok(t, l.Host().Erase(tc.off, tc.n))
		if got := int64(l.Usage("all").Erases - before); got != tc.blocks {
			t.Errorf("erase [%d,+%d): %d blocks, want %d", tc.off, tc.n, got, tc.blocks)
		}
	}
}

// journal is a Persist that remembers, charges ahead, and can fail.
type journal struct {
	ahead  policy.Usage
	fail   error
	less   bool
	calls  int
	stored map[uint32]policy.Usage
}

func (j *journal) persist(id uint32, want policy.Usage) (policy.Usage, error) {
	j.calls++
	if j.fail != nil {
		return policy.Usage{}, j.fail
	}
	if j.less {
		return policy.Usage{}, nil
	}
	got := want
	got.Erases += j.ahead.Erases
	if got.Mark > 0 {
		got.Mark += j.ahead.Mark
	}
	j.stored[id] = j.stored[id].Join(got)
	return got, nil
}

func TestPersist(t *testing.T) {
	mem := newRAM(nor)
	j := &journal{stored: map[uint32]policy.Usage{}}
	conf := &nanolock.Config{Persist: j.persist}
	l := newLock(t, mem, toy(), conf)
	if !j.stored[4].Sealed {
		t.Fatal("the first start in deployed did not store the seal")
	}
	host, s := l.Host(), session(t, l, everything())
	mem.set(func(r *ram) {
		r.inside = func(op nvm.Op, off int64) {
			if u := j.stored[3]; op == nvm.Write && off >= 96 && off < 128 && u.Mark <= off-96 {
				t.Errorf("programmed at %d before the mark was stored: %+v", off, u)
			}
			if u := j.stored[4]; op == nvm.Erase && off == 192 && u.Erases == 0 {
				t.Error("erased before the ledger was stored")
			}
		}
	})
	ok(t, write(host, 96, "abcd"))
	ok(t, s.Erase(192, 16))

	// Nothing durable, nothing done.
	j.fail = errors.New("journal full")
	before, usage := mem.content(), l.Usage("log")
	mem.taken()
	for name, err := range map[string]error{
		"append": write(host, 100, "e"), "erase": s.Erase(192, 16), "SetUsage": l.SetUsage("log", policy.Usage{Mark: 30}),
	} {
		if !errors.Is(err, nanolock.ErrPersist) || !errors.Is(err, j.fail) || errors.Is(err, nanolock.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !bytes.Equal(before, mem.content()) || len(mem.taken()) != 0 || l.Usage("log") != usage || l.Usage("cal").Erases != 1 || l.Usage("data").Sealed {
		t.Error("something changed")
	}
	j.fail, j.less = nil, true
	if err := write(host, 100, "e"); !errors.Is(err, nanolock.ErrPersist) {
		t.Errorf("less stored than asked: %v", err)
	}
	j.less = false

	// A failure to store a new round leaves the region closed.
	mem.set(func(r *ram) { r.inside = func(op nvm.Op, off int64) { j.fail = errors.New("journal full") } })
	ok(t, s.Erase(96, 32))
	if u := l.Usage("log"); u.Rounds != 0 || u.Mark != 4 {
		t.Errorf("usage %+v", u)
	}
	mem.set(func(r *ram) { r.inside = nil })
	j.fail = nil

	// Charged ahead, it asks less often, and after a boot what was charged is gone.
	j.ahead, j.calls = policy.Usage{Mark: 16, Erases: 10}, 0
	for off := int64(100); off < 110; off++ {
		ok(t, write(host, off, "x"))
	}
	if j.calls != 1 {
		t.Errorf("stored %d times, want once", j.calls)
	}
	l = newLock(t, mem, toy(), &nanolock.Config{Persist: j.persist, Usage: j.stored})
	if got := l.Usage("log"); got.Mark != 21 {
		t.Errorf("after a boot: %+v", got)
	}
	mem.taken()
	denied(t, mem, write(l.Host(), 110, "x"), nanolock.CauseMark)
	denied(t, mem, write(l.Host(), 192, "x"), nanolock.CauseSealed)
	ok(t, write(l.Host(), 117, "x"))
}
