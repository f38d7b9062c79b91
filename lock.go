// Package nanolock is a reference monitor for non-volatile memory: every read,
// program and erase passes one small check, and what the policy does not allow
// is refused and changes nothing.
//
// Open a memory (package backend/mmap, or your own [nvm.NVM]), write a
// [policy.Policy] (or let package policyfile read one), and put a Lock between:
//
//	lock, err := nanolock.New(mem, pol, nil)
//	host := lock.Host() // an nvm.NVM: give this to whoever used mem
//
// Keep no other reference to mem. [Lock] is the control side and no memory;
// [Handle] is the data side, all that a gate ever gets, and there is no way back
// from it to the Lock or the memory. The zero value of everything denies.
//
// The package uses the standard library alone, has no clock, logs nothing, and
// takes no lock, allocates nothing and writes nothing shared on an allowed read.
package nanolock

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Config of a Lock. nil and the zero Config are valid.
type Config struct {
	// State is the lifecycle state whose rules hold; 0 = Deployed, the strict one.
	State policy.State
	// OnDeny is called for each denial, on the goroutine that was denied and
	// with no mutex held. It must not block. The Lock has already counted it.
	OnDeny func(Denial)
	// Usage is what regions, by id, had used when Persist was last called.
	Usage map[uint32]policy.Usage
	// Persist is called before an access would take a region's usage beyond
	// what was last persisted. It makes at least want durable and returns what
	// is durable now; returning more charges ahead, so that it is called less
	// often. After an error the access is refused with ErrPersist. It must not
	// call the Lock or a Handle; the Area of a vault is fine, and is where usage is
	// meant to go (not that of a slot, which takes the Lock's mutex). nil: usage
	// lives as long as the Lock.
	Persist func(region uint32, want policy.Usage) (policy.Usage, error)
}

// Lock is the control side of the monitor. It is not an NVM, has no Unwrap, and
// goes to no gate. Use New; every handle of the zero Lock denies.
type Lock struct {
	mem nvm.NVM
	geo nvm.Geometry
	cfg Config

	denied atomic.Uint64
	nextID atomic.Uint32

	turn    sync.Mutex   // held while a change of rights waits for mu; see take
	mu      sync.Mutex   // held by every program, erase and change of rights
	areas   sync.RWMutex // behind mu: held by what an Area does, and by what ends it
	layout  uint64       // counts what ends areas: other extents, and Close
	table   *table
	host    *snap
	handles map[*Handle]struct{}
	uses    map[uint32]*use // by region id
	flips   []flip          // regions whose second slot is active
	bytes   []byte          // the memory's mapping, nil = none
	mapping []byte          // the same with the active slots in place
	frozen  bool
	closed  bool
}

// New compiles p for mem and returns the Lock over it. The caller keeps owning
// mem, uses it no more, and closes it after the Lock. The error matches
// ErrMemory or policy.ErrInvalid.
func New(mem nvm.NVM, p *policy.Policy, c *Config) (*Lock, error) {
	if mem == nil || p == nil {
		return nil, fmt.Errorf("%w: no memory or no policy", ErrMemory)
	}
	l := &Lock{mem: mem, geo: mem.Geometry(), handles: map[*Handle]struct{}{}, uses: map[uint32]*use{}}
	if c != nil {
		l.cfg = *c
	}
	if err := l.fits(p); err != nil {
		return nil, err
	}
	t, err := p.Compile(l.geo, l.cfg.State)
	if err != nil {
		return nil, err
	}
	l.table = newTable(t)
	if m, ok := mem.(nvm.Mapper); ok {
		if b := m.Bytes(); int64(len(b)) == l.geo.Size {
			l.bytes, l.mapping = b[:len(b):len(b)], b[:len(b):len(b)]
		}
	}
	for id, u := range l.cfg.Usage {
		if u.Mark < 0 {
			return nil, fmt.Errorf("mark of region %d: %w", id, nvm.ErrRange)
		}
		l.uses[id] = &use{Usage: u, durable: u}
	}
	if err := l.sealDeployed(t); err != nil {
		return nil, err
	}
	l.host = l.snapFor(nil)
	return l, nil
}

// take claims mu for a change of rights, before the next step of any program or
// erase that is under way. yield lets it: whoever holds turn is waiting for mu.
func (l *Lock) take() {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
}

func (l *Lock) yield() {
	l.turn.Lock()
	defer l.turn.Unlock()
}

// fits tells whether the memory can carry the policy at all.
func (l *Lock) fits(p *policy.Policy) error {
	if err := l.geo.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrMemory, err)
	}
	if _, ok := l.mem.(nvm.BadBlocker); l.geo.BadBlocks && !ok {
		return fmt.Errorf("%w: it has bad blocks but cannot tell which", ErrMemory)
	}
	if p.Memory.Size != l.geo.Size {
		return fmt.Errorf("%w: policy is for %d bytes, the memory has %d", ErrMemory, p.Memory.Size, l.geo.Size)
	}
	if p.Memory.Granule%l.geo.EraseSize != 0 {
		return fmt.Errorf("%w: map is drawn in blocks of %d bytes, the memory erases %d", ErrMemory, p.Memory.Granule, l.geo.EraseSize)
	}
	return nil
}

// Host returns a new handle with the rights of a host: one for each gate.
func (l *Lock) Host() *Handle {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(nil)
}

// Session returns a handle with a host's rights and r, until it is ended. The
// error matches ErrRegion if the policy has no such authority, nvm.ErrRange if
// the span is not in the memory, ErrEnded after Close.
func (l *Lock) Session(r policy.Rights) (*Handle, error) { return l.Checked(r, nil) }

// Checked is Session for content that is known beforehand. What the session's
// rights alone allow to be programmed is programmed by whole erase blocks, into
// blocks that read erased unless the memory needs no erase, and only if content
// says yes to the very bytes; else it is refused with CauseContent. content gets
// the block's address and must not call the Lock; nil is any content.
func (l *Lock) Checked(r policy.Rights, content func(off int64, block []byte) bool) (*Handle, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.table == nil:
		return nil, endedError(0)
	case !l.table.Backs(r.Authority):
		return nil, fmt.Errorf("%w: no authority %q", ErrRegion, r.Authority)
	case !r.Span.In(l.geo.Size) || r.ProgramBytes < 0 || r.Erases < 0:
		return nil, fmt.Errorf("session over %v: %w", r.Span, nvm.ErrRange)
	}
	return l.add(&session{rights: r, program: r.ProgramBytes, erases: r.Erases, content: content}), nil
}

// add makes a handle known. Caller holds l.mu.
func (l *Lock) add(s *session) *Handle {
	h := &Handle{mem: l.mem, lock: l, id: l.nextID.Add(1), session: s}
	h.self = h
	if l.table == nil || l.closed {
		h.s.Store(&snap{cause: CauseEnded})
		return h
	}
	l.handles[h] = struct{}{}
	if s == nil {
		h.s.Store(l.host)
	} else {
		h.s.Store(l.snapFor(&s.rights))
	}
	return h
}

// End takes all rights from h. When it returns, no program and no erase of h is
// under way and none can start, and no read that starts later succeeds; a read
// that had begun may finish. A handle of another Lock is left alone.
func (l *Lock) End(h *Handle) {
	if h == nil || h.lock != l || h.self != h {
		return
	}
	l.take()
	defer l.mu.Unlock()
	l.end(h)
}

// Freeze denies every handle to write and erase, with End's guarantee. Only
// SetPolicy lifts it. Areas, the trusted side's own windows, go on.
func (l *Lock) Freeze() {
	l.take()
	defer l.mu.Unlock()
	if l.table == nil || l.closed {
		return
	}
	l.frozen = true
	l.host = l.host.freeze()
	for h := range l.handles {
		if h.session == nil {
			h.s.Store(l.host)
		} else {
			h.s.Store(h.s.Load().freeze())
		}
	}
}

// SetPolicy puts p in force for lifecycle state st (0 = Deployed) and lifts a
// freeze. When it returns, every handle obeys p with End's guarantee. A session
// goes on only if the state, the extents, and its authority's keys are what they
// were. On an error nothing changed, but for seals of deployed that were made
// durable before a later one failed. The error matches ErrRollback if p is older,
// ErrMemory if it does not fit or moves extents while the Lock is in Deployed or a
// second slot is active, ErrConfidential if it begins rma or decommissioned and
// Wipe has not been called, ErrPersist, ErrEnded after Close, and those of Compile.
func (l *Lock) SetPolicy(p *policy.Policy, st policy.State) error {
	l.take()
	defer l.mu.Unlock()
	if l.closed || l.table == nil {
		return endedError(0)
	}
	if p == nil {
		return fmt.Errorf("%w: no policy", ErrMemory)
	}
	if err := l.fits(p); err != nil {
		return err
	}
	t, err := p.Compile(l.geo, st)
	if err != nil {
		return err
	}
	if t.Version() < l.table.Version() {
		return fmt.Errorf("%w: version %d, in force is %d", ErrRollback, t.Version(), l.table.Version())
	}
	fixed := l.table.State() == policy.Deployed || len(l.flips) > 0
	if fixed && !t.SameExtents(l.table.Table) {
		return fmt.Errorf("%w: regions, slots and hidden areas stay where they are in deployed", ErrMemory)
	}
	old := l.table
	if err := l.handsOver(t); err != nil {
		return err
	}
	if err := l.sealDeployed(t); err != nil {
		return err
	}
	l.table = newTable(t)
	l.frozen = false
	if !old.SameExtents(l.table.Table) {
		l.endAreas()
	}
	l.endSessions(old)
	l.publish()
	return nil
}

// endAreas waits for what areas are doing and ends them. Caller holds l.mu, and so
// no Persist that would use one is under way.
func (l *Lock) endAreas() {
	l.areas.Lock()
	defer l.areas.Unlock()
	l.layout++
}

// endSessions ends those that were opened under something else than what holds
// now. Caller holds l.mu.
func (l *Lock) endSessions(old *table) {
	same := old.State() == l.table.State() && old.SameExtents(l.table.Table)
	for h := range l.handles {
		if h.session != nil && !(same && old.SameAuthority(l.table.Table, h.session.rights.Authority)) {
			l.end(h)
		}
	}
}

// Denials is the number of accesses refused so far.
func (l *Lock) Denials() uint64 { return l.denied.Load() }

// Close ends all handles, waits for programs and erases, and Syncs the memory,
// which stays open. Calling it again does nothing.
func (l *Lock) Close() error {
	l.take()
	defer l.mu.Unlock()
	if l.closed || l.table == nil {
		return nil
	}
	l.closed = true
	l.endAreas()
	for h := range l.handles {
		l.end(h)
	}
	return l.mem.Sync()
}
