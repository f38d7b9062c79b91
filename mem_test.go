package nanolock_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// long asks for the number of cases that a release is tested with.
var long = os.Getenv("NANOLOCK_LONG") == "1"

// ram is a memory that obeys the contract and the physics of its class, writes
// down every operation that reaches it, and fails or stops when told to.
type ram struct {
	mu      sync.Mutex
	geo     nvm.Geometry
	data    []byte
	log     []access
	mirrors []mirror
	inside  func(op nvm.Op, off int64)                        // called within WriteAt and Erase, unlocked
	fail    func(op nvm.Op, off, n int64) (done int, _ error) // nil, or what happens instead
}

// access is one physical operation.
type access struct {
	op     nvm.Op
	off, n int64
}

// mirror is a mapping and the place each of its bytes comes from.
type mirror struct {
	bytes []byte
	from  []int64
}

func newRAM(g nvm.Geometry) *ram {
	r := &ram{geo: g, data: make([]byte, g.Size)}
	for i := range r.data {
		r.data[i] = byte(i*7 + i>>8)
	}
	return r
}

func (r *ram) Geometry() nvm.Geometry { return r.geo }

func (r *ram) enter(op nvm.Op, off, n int64) (int, error) {
	if n == 0 && op != nvm.AllOps {
		return 0, nil
	}
	r.mu.Lock()
	r.log = append(r.log, access{op, off, n})
	inside, fail := r.inside, r.fail
	r.mu.Unlock()
	if inside != nil && op != nvm.Read {
		inside(op, off)
	}
	if fail != nil {
		return fail(op, off, n)
	}
	return int(n), nil
}

func (r *ram) ReadAt(p []byte, off int64) (int, error) {
	if err := r.geo.CheckRead(off, int64(len(p))); err != nil {
		return 0, err
	}
	n, err := r.enter(nvm.Read, off, int64(len(p)))
	r.mu.Lock()
	defer r.mu.Unlock()
	return copy(p[:n], r.data[off:]), err
}

func (r *ram) WriteAt(p []byte, off int64) (int, error) {
	if err := r.geo.CheckProgram(off, int64(len(p))); err != nil {
		return 0, err
	}
	n, err := r.enter(nvm.Write, off, int64(len(p)))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, b := range p[:n] {
		switch at := &r.data[off+int64(i)]; {
		case r.geo.Program == nvm.Rewrite:
			*at = b
		case r.geo.Erased == 0:
			*at |= b
		default:
			*at &= b
		}
	}
	r.reflect()
	return n, err
}

func (r *ram) Erase(off, n int64) error {
	if err := r.geo.CheckErase(off, n); err != nil {
		return err
	}
	if _, err := r.enter(nvm.Erase, off, n); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.data[off : off+n] {
		r.data[off+int64(i)] = r.geo.Erased
	}
	r.reflect()
	return nil
}

func (r *ram) Sync() error {
	_, err := r.enter(nvm.AllOps, 0, 0)
	return err
}

// reflect shows the content in all mappings.
func (r *ram) reflect() {
	for _, m := range r.mirrors {
		for i, from := range m.from {
			m.bytes[i] = r.data[from]
		}
	}
}

// taken returns the operations since it was last called.
func (r *ram) taken() []access {
	r.mu.Lock()
	defer r.mu.Unlock()
	log := r.log
	r.log = nil
	return log
}

func (r *ram) content() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.data)
}

func (r *ram) set(change func(*ram)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// mapped is a ram with a mapping; remapped can also map itself in another order.
type (
	mapped   struct{ *ram }
	remapped struct {
		mapped
		refuse bool
	}
)

func (m mapped) Bytes() []byte { return m.data }

func (m *remapped) Remap(swap [][2]nvm.Span) ([]byte, error) {
	if m.refuse {
		return nil, fmt.Errorf("not in pages")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	from := make([]int64, m.geo.Size)
	for i := range from {
		from[i] = int64(i)
	}
	for _, pair := range swap {
		for i := range pair[0].Len {
			a, b := pair[0].Off+i, pair[1].Off+i
			from[a], from[b] = from[b], from[a]
		}
	}
	m.mirrors = append(m.mirrors, mirror{make([]byte, m.geo.Size), from})
	m.reflect()
	return m.mirrors[len(m.mirrors)-1].bytes, nil
}

// flawed is a ram with bad blocks.
type flawed struct {
	*ram
	bad map[int64]bool
}

func (f *flawed) IsBad(off int64) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad[f.geo.Block(off).Off], nil
}

func (f *flawed) MarkBad(off int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bad[f.geo.Block(off).Off] = true
	return nil
}

var nor = nvm.Geometry{Size: 256, EraseSize: 16, ProgramSize: 1, Erased: 0xFF}

var (
	anyone = policy.Rule{Mode: policy.Any}
	vendor = policy.Rule{Mode: policy.Grant, Authority: "vendor"}
)

// toy is a policy over nor with a region of every kind.
//
//	  0  boot   64  read any, change by vendor; second slot "boot2" at 128
//	 64  data   32  any
//	 96  log    32  read any, append, erase by vendor
//	128  boot2  64  hidden slot
//	192  cal    16  read any, write once, ledger of 3 erases by vendor
//	208  vault  32  hidden
//	240  key    10  read by vendor, else blank; the rest of the block is a gap
func toy() *policy.Policy {
	return &policy.Policy{
		Name: "toy", Version: 3,
		Memory: policy.Memory{Size: 256, Granule: 16, Hidden: []policy.Area{
			{ID: 8, Name: "boot2", Span: nvm.Span{Off: 128, Len: 64}, Kind: policy.Slot},
			{ID: 9, Name: "vault", Span: nvm.Span{Off: 208, Len: 32}, Kind: policy.Vault},
		}},
		Map: []policy.Region{
			{ID: 1, Name: "boot", Span: nvm.Span{Off: 0, Len: 64}, Boot: true, Update: &policy.Update{Slot: "boot2"}, Access: policy.Access{Read: anyone, Write: vendor, Erase: vendor}},
			{ID: 2, Name: "data", Span: nvm.Span{Off: 64, Len: 32}, Access: policy.Access{Read: anyone, Write: anyone, Erase: anyone}},
			{ID: 3, Name: "log", Span: nvm.Span{Off: 96, Len: 32}, Access: policy.Access{Read: anyone, Write: policy.Rule{Mode: policy.Append}, Erase: vendor}},
			{ID: 4, Name: "cal", Span: nvm.Span{Off: 192, Len: 16}, Wear: policy.Wear{Erases: 3}, Access: policy.Access{Read: anyone, Write: policy.Rule{Mode: policy.Once}, Erase: vendor}},
			{ID: 5, Name: "key", Span: nvm.Span{Off: 240, Len: 10}, Access: policy.Access{Read: vendor, Write: vendor, Blank: true}},
		},
		Authorities: []policy.Authority{{Name: "vendor", Suite: policy.Ed25519}, {Name: "owner", Suite: policy.Ed25519}},
	}
}

// everything is a session's rights over the whole toy.
func everything() policy.Rights {
	return policy.Rights{Authority: "vendor", Ops: nvm.AllOps, Span: nvm.Span{Len: 256}, ProgramBytes: 1 << 20, Erases: 1 << 20}
}

func newLock(t testing.TB, mem nvm.NVM, p *policy.Policy, c *nanolock.Config) *nanolock.Lock {
	t.Helper()
	l, err := nanolock.New(mem, p, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func session(t testing.TB, l *nanolock.Lock, r policy.Rights) *nanolock.Handle {
	t.Helper()
	h, err := l.Session(r)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
