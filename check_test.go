package nanolock_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// world is a Lock over a memory beside a model that decides byte by byte from
// the Policy and keeps its own content. Random sequences of accesses and orders
// must leave both alike, and what is denied must never reach the memory.
type world struct {
	t        testing.TB
	b        []byte // choices left
	mem      *ram
	mapped   bool
	lock     *nanolock.Lock
	p        *policy.Policy
	st       policy.State
	content  []byte
	usage    map[string]policy.Usage
	frozen   bool
	active   bool // boot's second slot
	holders  []*holder
	steps    int
	what     string
	accesses int
}

// holder is a handle and what the model knows of it.
type holder struct {
	h       *nanolock.Handle
	rights  *policy.Rights // nil = a host
	program int64
	erases  int64
	ended   bool
}

var errIO = errors.New("medium failed")

func (w *world) next() int {
	if len(w.b) == 0 {
		return 0
	}
	v := w.b[0]
	w.b = w.b[1:]
	return int(v)
}

func newWorld(t testing.TB, b []byte) *world {
	w := &world{t: t, b: b, usage: map[string]policy.Usage{}, st: policy.Deployed}
	g := nor
	switch w.next() % 5 {
	case 1:
		g.Program = nvm.Rewrite
	case 2:
		g.ProgramSize, g.PageSize = 2, 8
	case 3:
		g.Erased = 0
	case 4:
		g.Blocks = []nvm.EraseArea{{Len: 128, EraseSize: 16}, {Len: 128, EraseSize: 16}}
	}
	w.mem = newRAM(g)
	var mem nvm.NVM = w.mem
	switch w.next() % 4 {
	case 1:
		mem, w.mapped = mapped{w.mem}, true
	case 2:
		mem, w.mapped = &remapped{mapped: mapped{w.mem}}, true
	case 3:
		mem, w.mapped = &remapped{mapped: mapped{w.mem}, refuse: true}, true
	}
	w.p = w.variant()
	if w.next()%2 == 1 {
		w.st = policy.Manufacturing
	}
	w.content = w.mem.content()
	w.lock = newLock(t, mem, w.p, &nanolock.Config{State: w.st})
	w.seal()
	w.holders = []*holder{{h: w.lock.Host()}, {h: w.lock.Host()}}
	w.open()
	w.open()
	return w
}

// variant is toy under other rules.
func (w *world) variant() *policy.Policy {
	p := toy()
	v := w.next()
	p.Memory.Blank = v&1 != 0
	if v&2 != 0 {
		p.Map[1].Read, p.Map[1].Blank = vendor, true
	}
	if v&4 != 0 {
		p.Map[1].Wear = policy.Wear{Erases: 20}
	}
	if v&8 != 0 {
		p.Map[2].In = map[policy.State]policy.Access{policy.RMA: {Write: anyone, Erase: anyone}}
	}
	if v&16 != 0 {
		p.Map[0].Access = policy.Access{Read: anyone, Write: anyone, Erase: anyone}
	}
	return p
}

func (w *world) open() {
	r := policy.Rights{Authority: "vendor", Ops: nvm.AllOps, Span: nvm.Span{Len: 256}, ProgramBytes: int64(w.next()) * 8, Erases: int64(w.next())}
	if w.next()%2 == 1 {
		r.Ops = nvm.Op(w.next() % 8)
		r.Span.Off = int64(w.next())
		r.Span.Len = min(int64(w.next()), 256-r.Span.Off)
	}
	w.holders = append(w.holders, &holder{h: session(w.t, w.lock, r), rights: &r, program: r.ProgramBytes, erases: r.Erases})
}

// renew opens sessions again: none outlives its lifecycle state.
func (w *world) renew() {
	for _, h := range w.holders {
		if h.rights == nil || h.ended {
			continue
		}
		if err := h.h.Sync(); !errors.Is(err, nanolock.ErrEnded) {
			w.fatal("a session outlives its state: %v", err)
		}
		*h = holder{h: session(w.t, w.lock, *h.rights), rights: h.rights, program: h.rights.ProgramBytes, erases: h.rights.Erases}
	}
}

func (w *world) seal() {
	if w.st == policy.Deployed {
		u := w.usage["cal"]
		u.Sealed = true
		w.usage["cal"] = u
	}
}

func (w *world) fatal(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("step %d: %s: %s", w.steps, w.what, fmt.Sprintf(format, args...))
}

// step does one thing at random and compares.
func (w *world) step() {
	w.steps++
	h := w.holders[w.next()%len(w.holders)]
	switch k := w.next() % 64; {
	case k < 24:
		w.read(h)
	case k < 42:
		w.write(h)
	case k < 50:
		w.erase(h)
	case k < 55:
		w.view(h)
	default:
		w.order(k)
	}
	if got := w.mem.content(); !bytes.Equal(got, w.content) {
		for i := range got {
			if got[i] != w.content[i] {
				w.fatal("byte %d is %#x, want %#x", i, got[i], w.content[i])
			}
		}
	}
}

func (w *world) order(k int) {
	w.what = fmt.Sprintf("order %d", k)
	switch k {
	case 55:
		w.lock.Freeze()
		w.frozen = true
	case 56, 57, 58:
		p, st := w.variant(), policy.States()[w.next()%4]
		if err := w.lock.SetPolicy(p, st); err != nil {
			w.fatal("%v", err)
		}
		if st != w.st {
			w.renew()
		}
		w.p, w.st, w.frozen = p, st, false
		w.seal()
	case 59, 60:
		slot := w.next() % 2
		if err := w.lock.Activate("boot", slot); err != nil {
			w.fatal("%v", err)
		}
		w.active = slot == 1
	case 61:
		i := 2 + w.next()%2
		w.lock.End(w.holders[i].h)
		w.holders[i].ended = true
		w.open()
		w.holders[i] = w.holders[len(w.holders)-1]
		w.holders = w.holders[:len(w.holders)-1]
	case 62:
		old := &policy.Policy{}
		*old = *w.p
		old.Version--
		if err := w.lock.SetPolicy(old, w.st); !errors.Is(err, nanolock.ErrRollback) {
			w.fatal("%v", err)
		}
	case 63:
		if err := w.lock.SetUsage("data", policy.Usage{Erases: uint64(w.next() % 8)}); err != nil {
			w.fatal("%v", err)
		}
		w.usage["data"] = w.lock.Usage("data")
	}
}

// where and how long: mostly inside, sometimes what nobody should ask.
func (w *world) where(erase bool) (off, n int64) {
	off, n = int64(w.next()), int64(w.next()%48)
	switch v := w.next(); {
	case v == 0:
		odd := []int64{math.MinInt64, math.MaxInt64, -1, 255, 256, 257, math.MaxInt64 - 3, 1 << 48}
		off = odd[w.next()%len(odd)]
	case erase && v < 230:
		off, n = off/16*16, n/16*16
	case w.mem.geo.ProgramSize > 1 && v < 200:
		off &^= 1
		n = min(n&^1, 8-off%8)
	}
	return off, n
}

func (w *world) at(off int64) (*policy.Region, policy.Access) {
	for i := range w.p.Map {
		if s := w.p.Map[i].Span; off >= s.Off && off < s.Off+s.Len {
			if a, ok := w.p.Map[i].In[w.st]; ok {
				return &w.p.Map[i], a
			}
			return &w.p.Map[i], w.p.Map[i].Access
		}
	}
	return nil, policy.Access{}
}

// granted tells whether h's session decides about a byte and allows it.
func granted(h *holder, op nvm.Op, rule policy.Rule, off int64) bool {
	if h.rights == nil || rule != vendor || h.rights.Ops&op == 0 {
		return false
	}
	from, to := off, off+1
	if op != nvm.Read {
		from, to = off/16*16, off/16*16+16
	}
	return from >= h.rights.Span.Off && to <= h.rights.Span.Off+h.rights.Span.Len
}

// phys is where a byte is on the memory.
func (w *world) phys(off int64) int64 {
	if w.active && off < 64 {
		return off + 128
	}
	return off
}

// early is what is refused before any rule is asked; true if that is the end of it.
func (w *world) early(h *holder, n int, err, contract error, size int64) bool {
	w.accesses++
	want := contract
	switch {
	case h.ended:
		want = nanolock.ErrEnded
	case want == nil && size != 0:
		return false
	}
	if n != 0 || !errors.Is(err, want) || want == nil && err != nil {
		w.fatal("got %d, %v, want %v", n, err, want)
	}
	for _, op := range w.mem.taken() {
		if op.n != 0 {
			w.fatal("the memory was asked: %+v", op)
		}
	}
	return true
}

// refused checks that a denial is one and that nothing reached the memory.
func (w *world) refused(n int, err error) {
	var deny *nanolock.DenyError
	if n != 0 || !errors.As(err, &deny) || !errors.Is(err, nanolock.ErrDenied) {
		w.fatal("got %d, %v, want a denial", n, err)
	}
	if log := w.mem.taken(); len(log) != 0 {
		w.fatal("denied, but the memory was asked: %+v", log)
	}
}

// inside checks that no operation left the bytes asked for.
func (w *world) inside(op nvm.Op, off, n int64) {
	for _, a := range w.mem.taken() {
		if a.op != op {
			w.fatal("the memory got %+v", a)
		}
		for b := a.off; b < a.off+a.n; b++ {
			ask := b
			if w.active && b >= 128 && b < 192 {
				ask = b - 128
			} else if w.active && b < 64 {
				w.fatal("the slot not in use got %+v", a)
			}
			if ask < off || ask >= off+n {
				w.fatal("the memory got %+v for [%d,+%d)", a, off, n)
			}
		}
	}
}

// faulty makes the medium fail half-way, sometimes.
func (w *world) faulty() bool {
	bad := w.next() < 16
	w.mem.fail = nil
	if bad {
		w.mem.fail = func(_ nvm.Op, _, n int64) (int, error) { return int(n / 2), errIO }
	}
	return bad
}

func (w *world) read(h *holder) {
	off, n := w.where(false)
	w.what = fmt.Sprintf("read [%d,+%d)", off, n)
	bad := w.faulty()
	p := bytes.Repeat([]byte{0xA5}, int(n))
	got, err := h.h.ReadAt(p, off)
	w.mem.fail = nil
	if w.early(h, got, err, w.mem.geo.CheckRead(off, n), n) {
		return
	}
	want := make([]byte, n)
	for i := range want {
		_, a := w.at(off + int64(i))
		r, _ := w.at(off + int64(i))
		switch {
		case a.Read.Mode == policy.Any || granted(h, nvm.Read, a.Read, off+int64(i)):
			want[i] = w.content[w.phys(off+int64(i))]
		case r == nil && w.p.Memory.Blank, r != nil && a.Blank:
			want[i] = w.mem.geo.Erased
		default:
			w.refused(got, err)
			if !bytes.Equal(p, bytes.Repeat([]byte{0xA5}, int(n))) {
				w.fatal("denied, but the buffer changed")
			}
			return
		}
	}
	w.inside(nvm.Read, off, n)
	if bad && err != nil {
		if err != errIO || got >= int(n) || !bytes.Equal(p[:got], want[:got]) {
			w.fatal("failing medium: %d, %v", got, err)
		}
		return
	}
	if got != int(n) || err != nil || !bytes.Equal(p, want) {
		w.fatal("got %d, %v, %x\nwant %x", got, err, p, want)
	}
}

// may decides about a change and says what it costs.
func (w *world) may(h *holder, op nvm.Op, off, n int64) (allow bool, program, erases int64, next map[string]policy.Usage) {
	next = map[string]policy.Usage{}
	blocks := map[string]map[int64]bool{}
	session := map[string]map[int64]bool{}
	for at := off; at < off+n; at++ {
		r, a := w.at(at)
		if r == nil || w.frozen {
			return
		}
		u, seen := next[r.Name]
		if !seen {
			u = w.usage[r.Name]
			blocks[r.Name], session[r.Name] = map[int64]bool{}, map[int64]bool{}
		}
		rule := a.Rule(op)
		switch {
		case rule.Mode == policy.Any:
		case rule.Mode == policy.Once && !u.Sealed:
		case rule.Mode == policy.Append && (seen || at-r.Span.Off >= u.Mark):
			u.Mark = at - r.Span.Off + 1
		case granted(h, op, rule, at):
			program++
			session[r.Name][at/16] = true
		default:
			return
		}
		if op == nvm.Erase || w.mem.geo.Program == nvm.Rewrite {
			if r.Wear.Erases != 0 && !blocks[r.Name][at/16] {
				if u.Erases++; u.Erases > uint64(r.Wear.Erases) {
					return
				}
			}
		}
		blocks[r.Name][at/16] = true
		next[r.Name] = u
	}
	if op == nvm.Erase {
		program = 0
		for _, s := range session {
			erases += int64(len(s))
		}
	}
	allow = h.rights == nil || program <= h.program && erases <= h.erases
	return
}

// settle takes over what was charged, and compares it.
func (w *world) settle(h *holder, bad bool, program, erases int64, next map[string]policy.Usage) {
	for name, want := range next {
		got := w.lock.Usage(name)
		if name == "log" && got.Rounds > want.Rounds {
			for i, b := range w.content[96:128] { // only over nothing but erased bytes
				if b != w.mem.geo.Erased || got.Mark != 0 {
					w.fatal("a new round over byte %d: %+v", i, got)
				}
			}
			want = got
		}
		if !bad && got != want {
			w.fatal("usage of %s: %+v, want %+v", name, got, want)
		}
		if bad && !want.Covers(got) {
			w.fatal("usage of %s: %+v, more than %+v", name, got, want)
		}
		w.usage[name] = got
	}
	h.program -= program
	h.erases -= erases
	if bad && h.rights != nil { // what it has left is the memory's fault
		w.lock.End(h.h)
		*h = holder{h: session(w.t, w.lock, *h.rights), rights: h.rights, program: h.rights.ProgramBytes, erases: h.rights.Erases}
	}
}

func (w *world) write(h *holder) {
	off, n := w.where(false)
	w.what = fmt.Sprintf("write [%d,+%d)", off, n)
	bad := w.faulty()
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(w.steps*31 + i)
	}
	got, err := h.h.WriteAt(p, off)
	w.mem.fail = nil
	if w.early(h, got, err, w.mem.geo.CheckProgram(off, n), n) {
		return
	}
	allow, program, _, next := w.may(h, nvm.Write, off, n)
	if !allow {
		w.refused(got, err)
		return
	}
	w.inside(nvm.Write, off, n)
	if bad != (err == errIO) || !bad && (err != nil || got != int(n)) || got > int(n) {
		w.fatal("got %d, %v", got, err)
	}
	for i, b := range p[:got] {
		at := &w.content[w.phys(off+int64(i))]
		switch {
		case w.mem.geo.Program == nvm.Rewrite:
			*at = b
		case w.mem.geo.Erased == 0:
			*at |= b
		default:
			*at &= b
		}
	}
	w.settle(h, bad, program, 0, next)
}

func (w *world) erase(h *holder) {
	off, n := w.where(true)
	w.what = fmt.Sprintf("erase [%d,+%d)", off, n)
	bad := w.faulty()
	err := h.h.Erase(off, n)
	w.mem.fail = nil
	if w.early(h, 0, err, w.mem.geo.CheckErase(off, n), n) {
		return
	}
	allow, _, erases, next := w.may(h, nvm.Erase, off, n)
	if !allow {
		w.refused(0, err)
		return
	}
	w.inside(nvm.Erase, off, n)
	if bad != (err == errIO) || !bad && err != nil {
		w.fatal("got %v", err)
	}
	for at := off; !bad && at < off+n; at++ {
		w.content[w.phys(at)] = w.mem.geo.Erased
	}
	w.settle(h, bad, 0, erases, next)
}

func (w *world) view(h *holder) {
	off, n := w.where(false)
	w.what = fmt.Sprintf("view [%d,+%d)", off, n)
	v, err := h.h.View(off, n)
	if h.ended || w.mem.geo.CheckRead(off, n) != nil {
		w.early(h, len(v), err, w.mem.geo.CheckRead(off, n), n)
		return
	}
	allow := w.mapped
	for at := off; at < off+n; at++ {
		r, _ := w.at(at)
		if r == nil || r.Update != nil {
			allow = false
			break
		}
		for _, st := range policy.States() {
			a, ok := r.In[st]
			if !ok {
				a = r.Access
			}
			allow = allow && a.Read.Mode == policy.Any
		}
	}
	if !allow {
		w.refused(len(v), err)
		return
	}
	if err != nil || len(v) != int(n) || cap(v) != int(n) || !bytes.Equal(v, w.content[off:off+n]) {
		w.fatal("got %d bytes of %d, %v", len(v), cap(v), err)
	}
}

// Two million accesses in the long run, a share of it always.
func TestCheckRandom(t *testing.T) {
	worlds, steps := 300, 300
	if long {
		worlds, steps = 3000, 1000
	}
	total := 0
	for seed := range uint64(worlds) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, steps*8)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		w := newWorld(t, b)
		for len(w.b) > 0 {
			w.step()
		}
		total += w.accesses
	}
	t.Logf("%d accesses", total)
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("0"))
	f.Add(bytes.Repeat([]byte{0, 1, 2, 30, 64, 8, 9}, 30))
	f.Add(bytes.Repeat([]byte{2, 43, 96, 32, 200, 59, 1}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t, b[:min(len(b), 1<<12)])
		for len(w.b) > 0 {
			w.step()
		}
	})
}
