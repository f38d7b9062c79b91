package nanolock_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

func TestDenyError(t *testing.T) {
	for _, tc := range []struct {
		e    nanolock.DenyError
		text string
		end  bool
	}{
		{nanolock.DenyError{}, "nanolock: none denied", false},
		{nanolock.DenyError{Op: nvm.Write, Region: "a\n", ID: 1, Rule: "write: never"}, `nanolock: write denied: region "a\n" (write: never)`, false},
		{nanolock.DenyError{Op: nvm.Read, Rule: "read: no region, denied"}, "nanolock: read denied (read: no region, denied)", false},
		{nanolock.DenyError{Op: nvm.Erase, Region: "a", Rule: "erase: any", Cause: nanolock.CauseFrozen}, `nanolock: erase denied: region "a" (erase: any): lock frozen`, false},
		{nanolock.DenyError{Op: nvm.Read, Cause: nanolock.CauseEnded}, "nanolock: read denied: handle ended", true},
		{nanolock.DenyError{Cause: 99}, "nanolock: none denied: cause(99)", false},
	} {
		err := error(&tc.e)
		if err.Error() != tc.text {
			t.Errorf("got %q, want %q", err, tc.text)
		}
		wrapped := fmt.Errorf("gate: %w", err)
		var deny *nanolock.DenyError
		if !errors.Is(wrapped, nanolock.ErrDenied) || !errors.Is(wrapped, fs.ErrPermission) || errors.Is(wrapped, nanolock.ErrEnded) != tc.end ||
			errors.Is(wrapped, nanolock.ErrRegion) || errors.Is(wrapped, fs.ErrExist) || !errors.As(wrapped, &deny) || deny != &tc.e {
			t.Errorf("%v: matches the wrong things", err)
		}
	}
	if _, value := any(nanolock.DenyError{}).(error); value {
		t.Error("a DenyError value is an error too: errors.As with it would silently fail")
	}
	seen := map[string]nanolock.Cause{}
	for c := nanolock.CauseSealed; c <= nanolock.CauseUnmapped; c++ {
		if other, twice := seen[c.String()]; twice || c.String() == "" {
			t.Errorf("causes %d and %d are both %q", c, other, c)
		}
		seen[c.String()] = c
	}
}

// The callback sees each denial as it was asked, may call the Lock, and the same
// refusal is the same error.
func TestOnDeny(t *testing.T) {
	mem := newRAM(nor)
	var l *nanolock.Lock
	var got []nanolock.Denial
	l = newLock(t, mem, toy(), &nanolock.Config{OnDeny: func(d nanolock.Denial) {
		got = append(got, d)
		if len(got) == 1 { // hangs if a mutex is held
			l.Freeze()
			ok(t, l.SetPolicy(toy(), 0))
			ok(t, l.SetUsage("data", policy.Usage{}))
			l.End(l.Host())
			l.Explain(nvm.Read, 0, 1)
			l.Usage("log")
			ok(t, l.Activate("boot", 0))
		}
		if l.Denials() != uint64(len(got)) {
			t.Errorf("counted %d, called %d times", l.Denials(), len(got))
		}
	}})
	h, s := l.Host(), session(t, l, everything())
	l.End(s)
	p := make([]byte, 20)
	for _, tc := range []struct {
		do   func() error
		want nanolock.Denial
		err  nanolock.DenyError
	}{
		{func() error { _, err := h.ReadAt(p, 250); return err }, nanolock.Denial{}, nanolock.DenyError{}}, // out of range: no denial
		{func() error { _, err := h.ReadAt(p[:6], 250); return err }, nanolock.Denial{Off: 250, Len: 6, Handle: h.ID()}, nanolock.DenyError{Op: nvm.Read, Rule: "read: no region, denied"}},
		{func() error { _, err := h.ReadAt(p, 200); return err }, nanolock.Denial{Off: 200, Len: 20, Handle: h.ID()}, nanolock.DenyError{Op: nvm.Read, Region: "vault", ID: 9, Rule: "read: hidden"}},
		{func() error { _, err := h.WriteAt(p, 50); return err }, nanolock.Denial{Off: 50, Len: 20, Handle: h.ID()}, nanolock.DenyError{Op: nvm.Write, Region: "boot", ID: 1, Rule: "write: grant vendor"}},
		{func() error { return h.Erase(80, 32) }, nanolock.Denial{Off: 80, Len: 32, Handle: h.ID()}, nanolock.DenyError{Op: nvm.Erase, Region: "log", ID: 3, Rule: "erase: grant vendor"}},
		{func() error { _, err := h.WriteAt(p[:1], 192); return err }, nanolock.Denial{Off: 192, Len: 1, Handle: h.ID()}, nanolock.DenyError{Op: nvm.Write, Region: "cal", ID: 4, Rule: "write: once", Cause: nanolock.CauseSealed}},
		{func() error { return s.Erase(0, 16) }, nanolock.Denial{Len: 16, Handle: s.ID()}, nanolock.DenyError{Op: nvm.Erase, Cause: nanolock.CauseEnded}},
		{func() error { return s.Sync() }, nanolock.Denial{Handle: s.ID()}, nanolock.DenyError{Op: nvm.Write, Cause: nanolock.CauseEnded}},
	} {
		before := len(got)
		err := tc.do()
		var deny *nanolock.DenyError
		if tc.want == (nanolock.Denial{}) {
			if err != nvm.ErrRange || len(got) != before {
				t.Errorf("got %v and %d denials", err, len(got)-before)
			}
			continue
		}
		if !errors.As(err, &deny) || *deny != tc.err {
			t.Errorf("got %+v, want %+v", deny, tc.err)
			continue
		}
		d := got[len(got)-1]
		if len(got) != before+1 || *d.Err != tc.err || d.Err == deny || d.Off != tc.want.Off || d.Len != tc.want.Len || d.Handle != tc.want.Handle {
			t.Errorf("got %d denials, the last %+v, want %+v", len(got)-before, d, tc.want)
		}
		if again := tc.do(); again != err && before > 0 { // the first brought a new policy
			t.Errorf("made twice: %v", again)
		}
	}
}

// Not one denial is lost or counted twice.
func TestDenialsExact(t *testing.T) {
	var called atomic.Uint64
	l := newLock(t, newRAM(nor), toy(), &nanolock.Config{OnDeny: func(nanolock.Denial) { called.Add(1) }})
	var wg sync.WaitGroup
	const each = 4000
	for range 4 {
		wg.Go(func() {
			h, p := l.Host(), make([]byte, 4)
			for range each {
				h.ReadAt(p, 208)
				h.WriteAt(p, 0)
				h.WriteAt(p, 192)
				h.Erase(0, 16)
				h.ReadAt(p, 0) // allowed
			}
		})
	}
	wg.Wait()
	if want := uint64(4 * 4 * each); l.Denials() != want || called.Load() != want {
		t.Errorf("counted %d, called %d, want %d", l.Denials(), called.Load(), want)
	}
}

// What a memory returns is what the caller gets.
func TestErrorsPass(t *testing.T) {
	mem, blank := newRAM(nor), toy()
	blank.Memory.Blank = true
	l := newLock(t, mem, blank, nil)
	h, s := l.Host(), session(t, l, everything())
	p := make([]byte, 8)
	for _, tc := range []struct {
		name string
		done int
		err  error
		do   func() (int, error)
		want int
		werr error
	}{
		{"read", 3, errIO, func() (int, error) { return h.ReadAt(p, 64) }, 3, errIO},
		{"write", 3, errIO, func() (int, error) { return h.WriteAt(p, 64) }, 3, errIO},
		{"granted write", 3, errIO, func() (int, error) { return s.WriteAt(p, 0) }, 3, errIO},
		{"erase", 0, errIO, func() (int, error) { return 0, h.Erase(64, 16) }, 0, errIO},
		{"sync", 0, errIO, func() (int, error) { return 0, h.Sync() }, 0, errIO},
		{"short granted write", 3, nil, func() (int, error) { return s.WriteAt(p, 0) }, 3, io.ErrShortWrite},
		{"short composed read", 3, nil, func() (int, error) { return s.ReadAt(p, 236) }, 7, io.ErrUnexpectedEOF},
	} {
		mem.fail = func(nvm.Op, int64, int64) (int, error) { return tc.done, tc.err }
		if n, err := tc.do(); n != tc.want || err != tc.werr {
			t.Errorf("%s: %d, %v, want %d, %v", tc.name, n, err, tc.want, tc.werr)
		}
	}
	mem.fail = func(nvm.Op, int64, int64) (int, error) { return 0, errIO }
	if err := l.Close(); err != errIO {
		t.Errorf("Close: %v", err)
	}
}

// A memory that rounds or wraps is never asked to: the double would panic.
func TestPhysics(t *testing.T) {
	g := nor
	g.ProgramSize, g.PageSize = 2, 8
	mem := newRAM(g)
	l := newLock(t, mem, toy(), nil)
	h, s := l.Host(), session(t, l, everything())
	for _, tc := range []struct {
		off, n int64
		want   error
	}{{64, 8, nil}, {65, 2, nvm.ErrAlign}, {64, 3, nvm.ErrAlign}, {70, 4, nvm.ErrAlign}, {64, 16, nvm.ErrAlign}, {70, 2, nil}, {65, 0, nil}, {255, 2, nvm.ErrRange}} {
		mem.taken()
		if n, err := h.WriteAt(make([]byte, tc.n), tc.off); err != tc.want || err != nil && n != 0 {
			t.Errorf("write [%d,+%d): %d, %v, want %v", tc.off, tc.n, n, err, tc.want)
		}
		if log := mem.taken(); (len(log) != 0) != (tc.want == nil && tc.n > 0) {
			t.Errorf("write [%d,+%d): %+v", tc.off, tc.n, log)
		}
		if off := tc.off - 64; off < 64 {
			if _, err := s.WriteAt(make([]byte, tc.n), off); err != tc.want {
				t.Errorf("granted write [%d,+%d): %v, want %v", off, tc.n, err, tc.want)
			}
		}
	}
	for _, e := range [][2]int64{{65, 16}, {64, 17}, {64, 1}} {
		mem.taken()
		if err := h.Erase(e[0], e[1]); err != nvm.ErrAlign || len(mem.taken()) != 0 {
			t.Errorf("erase %v: %v", e, err)
		}
	}
	if got := h.Geometry(); got.ProgramSize != 2 || got.Size != 256 {
		t.Errorf("geometry %+v", got)
	}
	g.Blocks = []nvm.EraseArea{{Len: 256, EraseSize: 16}}
	l = newLock(t, newRAM(g), toy(), nil)
	l.Host().Geometry().Blocks[0].Len = 1
	if l.Host().Geometry().Blocks[0].Len != 256 {
		t.Error("a handle gives the geometry away")
	}
}

// A block of two regions takes the rights of both, to the byte.
func TestSharedBlock(t *testing.T) {
	p := toy()
	p.Map[0].Update = nil
	p.Memory.Hidden = p.Memory.Hidden[1:]
	p.Map[0].Span.Len, p.Map[1].Span = 60, nvm.Span{Off: 60, Len: 36}
	mem := newRAM(nor)
	l := newLock(t, mem, p, nil)
	h, s := l.Host(), session(t, l, everything())
	ok(t, write(h, 60, "ab"))
	mem.taken()
	denied(t, mem, write(h, 59, "ab"), nanolock.CauseRule)
	denied(t, mem, h.Erase(48, 16), nanolock.CauseRule)
	ok(t, write(s, 59, "ab"))
	ok(t, s.Erase(48, 16))
	got := make([]byte, 20)
	if n, err := h.ReadAt(got, 50); n != 20 || err != nil || string(got) != string(mem.content()[50:70]) {
		t.Errorf("%d, %v", n, err)
	}
}
