package attack

import (
	"errors"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// A log that only grows.
var appends = []Attack{
	{"append-rewrite", "Program again what was appended", "CWE-117", "Log tampering: records turned to zeros on NOR", famOnce, appendRewrite},
	{"append-blank-record", "Append what reads as erased, then program it", "CWE-345", "Append checked by \"reads erased\" instead of a mark", famOnce, appendBlank},
	{"append-below-mark", "Start below the mark and end above it", "CWE-193", "Only the end of the record was checked", famOnce, appendStraddle},
	{"append-partial-erase", "Erase one block of a log to write all of it again", "CWE-1220", "Log rotation that resets the head too early", famOnce, appendPartialErase},
	{"append-during-sweep", "Append while the log is being erased block by block", "CWE-367", "Records that arrive during rotation", famOnce, appendSweep},
	{"append-race", "Append twice at one place at the same time", "CWE-362", "Two writers and one head", famOnce, appendRace},
	{"mark-lowering", "Report a lower mark", "CWE-284", "Counters that fall", famOnce, markLowering},
	{"mark-replay", "Restart to make the lock forget the mark", "CWE-294", "TF-M issue 26: counters lost at reset", famOnce, markReplay},
	{"persist-failure", "Append while usage cannot be made durable", "CWE-754", "Power cut before the penalty is stored (iPhone 5c, tpm2-tss)", famOnce, persistFailure},
}

// What may be written until it is sealed.
var once = []Attack{
	{"once-after-seal", "Write what is sealed", "CWE-1233", "Cold-boot provisioning left open", famOnce, onceAfterSeal},
	{"seal-replay", "Restart to make the lock forget a seal", "CWE-294", "Provisioning state that a reset undoes", famOnce, sealReplay},
	{"once-in-deployed", "Write a once region in deployed, with the usage lost", "CWE-1188", "OP-TEE issue 4019: an unprogrammed state that anybody can claim", famOnce, onceInDeployed},
	{"once-through-swap", "Go back to manufacturing to write once again", "CWE-1233", "OpenTitan life cycle: no way back from production", famOnce, onceThroughSwap},
}

// log finds an append region, in whatever state has one.
func (t *Target) log() (*policy.Region, error) {
	r := t.In(func(_ *policy.Region, a policy.Access) bool { return a.Write.Mode == policy.Append })
	if r == nil {
		return nil, Skip("no append region")
	}
	return r, nil
}

// record appends four units and returns where they start.
func record(t *Target, h *Subject, r *policy.Region) nvm.Span {
	u := t.Unit(r.Span.Off)
	t.chip.mu.Lock()
	u.Off = t.Unit(r.Span.Off + t.chip.m.of(r.ID).mark).Off
	t.chip.mu.Unlock()
	u.Len *= 4
	h.chunks(u.Off, u.Len)
	return u
}

func appendRewrite(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	h := t.Host()
	at := record(t, h, r)
	u := t.Geo.ProgramSize
	for i := range int64(4) {
		_ = h.Write(at.Off+i*u, u)
	}
	_ = t.Host().Write(at.Off, at.Len)
	b := t.Geo.Block(at.Off)
	_ = h.Erase(b.Off, b.Len)
	return nil
}

func appendBlank(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	h := t.Host()
	u := t.Unit(r.Span.Off)
	p := make([]byte, u.Len)
	for i := range p {
		p[i] = t.Geo.Erased
	}
	_ = h.WriteAt(p, u.Off)
	_ = h.Write(u.Off, u.Len)
	// Skipping is appending too: what was skipped is below the mark.
	_ = h.Write(u.Off+3*u.Len, u.Len)
	_ = h.Write(u.Off+2*u.Len, u.Len)
	return nil
}

func appendStraddle(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	h := t.Host()
	at := record(t, h, r)
	u := t.Geo.ProgramSize
	_ = h.Write(at.End()-u, 2*u)
	_ = h.Write(at.Off, at.Len+u)
	_ = h.Write(r.Span.Off-u, at.Len+2*u)
	return nil
}

// eraser opens a session that may erase the log.
func (t *Target) eraser(r *policy.Region) (*Subject, error) {
	rule := r.AccessIn(t.State).Erase
	if rule.Mode != policy.Grant || t.Inner(r.Span).Len == 0 {
		return nil, Skip("nobody may erase the append region")
	}
	return t.Grant(rule.Authority, r.Span)
}

func appendPartialErase(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	s, err := t.eraser(r)
	if err != nil {
		return err
	}
	h := t.Host()
	last := t.Geo.Block(r.Span.End() - 1)
	h.chunks(t.Unit(last.Off-t.Geo.ProgramSize).Off, t.Geo.ProgramSize) // the mark is high now
	b := t.Inner(r.Span)
	_ = s.Erase(b.Off, b.Len)
	_ = h.Write(b.Off, t.Geo.ProgramSize)
	_ = h.Write(last.Off-t.Geo.ProgramSize, t.Geo.ProgramSize)
	_ = s.Erase(last.Off, last.Len)
	_ = h.Write(last.Off-t.Geo.ProgramSize, t.Geo.ProgramSize)
	return nil
}

func appendSweep(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	s, err := t.eraser(r)
	if err != nil {
		return err
	}
	other, err := t.eraser(r)
	if err != nil {
		return err
	}
	h, u := t.Host(), t.Unit(r.Span.Off)
	for _, pair := range [][2]*Subject{{s, s}, {s, other}} {
		first := t.Geo.Block(r.Span.Off)
		_ = pair[0].Erase(first.Off, first.Len)
		if pair[1] != pair[0] { // another session finishes first
			_ = pair[1].Erase(r.Span.Off, r.Span.Len)
		}
		record(t, h, r)
		for at := first.End(); at < r.Span.End(); at = t.Geo.Block(at).End() {
			_ = pair[0].Erase(at, t.Geo.Block(at).Len)
		}
		_ = h.Write(u.Off, u.Len)
	}
	return nil
}

func appendRace(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	h := t.Host()
	u := t.Unit(r.Span.Off)
	t.held(h, func() { _ = h.Write(u.Off, u.Len) }, func() { _ = h.Write(u.Off, u.Len) })
	return nil
}

func markLowering(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	h := t.Host()
	at := record(t, h, r)
	_ = t.SetUsage(r.Name, policy.Usage{Mark: 0})
	_ = t.SetUsage(r.Name, policy.Usage{Mark: at.Off - r.Span.Off + t.Geo.ProgramSize})
	_ = t.SetUsage(r.Name, policy.Usage{Mark: -1})
	_ = h.Write(at.Off, t.Geo.ProgramSize)
	_ = h.Write(at.End()-t.Geo.ProgramSize, t.Geo.ProgramSize)
	return nil
}

func markReplay(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	at := record(t, t.Host(), r)
	if !t.Restart(t.Policy, t.State) {
		return nil
	}
	h := t.Host()
	_ = h.Write(at.Off, t.Geo.ProgramSize)
	_ = h.Write(at.End()-t.Geo.ProgramSize, t.Geo.ProgramSize)
	return nil
}

var errNoDisk = errors.New("the vault cannot be written")

func persistFailure(t *Target) error {
	r, err := t.log()
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.persist = func(uint32, policy.Usage) (policy.Usage, error) { return policy.Usage{}, errNoDisk }
	t.mu.Unlock()
	h := t.Host()
	record(t, h, r)
	t.mu.Lock() // one that returns less than was asked
	t.persist = func(uint32, policy.Usage) (policy.Usage, error) { return policy.Usage{}, nil }
	t.mu.Unlock()
	record(t, h, r)
	return nil
}

// fuse finds a once region that can still be written.
func (t *Target) fuse() (*policy.Region, error) {
	for _, st := range []policy.State{policy.Manufacturing, policy.RMA, policy.Decommissioned} {
		for i := range t.Policy.Map {
			r := &t.Policy.Map[i]
			if r.AccessIn(st).Write.Mode == policy.Once {
				if st != t.State {
					t.chip.mu.Lock() // a device that was never deployed
					t.chip.m.use = map[uint32]*used{}
					clear(t.chip.store)
					t.chip.mu.Unlock()
					t.Restart(t.Policy, st)
				}
				return r, nil
			}
		}
	}
	return nil, Skip("no once region")
}

func onceAfterSeal(t *Target) error {
	r, err := t.fuse()
	if err != nil {
		return err
	}
	h, u := t.Host(), t.Unit(r.Span.Off)
	_ = h.Write(u.Off, u.Len)
	if err := t.Seal(r.Name); err != nil {
		t.Fail(Breach{What: "sealing fails: " + err.Error(), Region: r.Name})
		return nil
	}
	for _, s := range []*Subject{h, t.Host()} {
		_ = s.Write(u.Off, u.Len)
		_ = s.Write(u.Off+u.Len, u.Len)
		_ = s.Write((r.Span.End()-1)/u.Len*u.Len, u.Len)
	}
	return nil
}

func sealReplay(t *Target) error {
	r, err := t.fuse()
	if err != nil {
		return err
	}
	if t.Seal(r.Name) != nil || !t.Restart(t.Policy, t.State) {
		return nil
	}
	u := t.Unit(r.Span.Off)
	_ = t.Host().Write(u.Off, u.Len)
	return nil
}

func onceInDeployed(t *Target) error {
	rs := t.Places(func(p Place) bool { return p.Region != nil && everOnce(p.Region) })
	if len(rs) == 0 {
		return Skip("no once region")
	}
	t.chip.mu.Lock()
	clear(t.chip.store)
	t.chip.mu.Unlock()
	if !t.Restart(t.Policy, policy.Deployed) {
		return nil
	}
	h := t.Host()
	for _, p := range rs {
		u := t.Unit(p.Span.Off)
		_ = h.Write(u.Off, u.Len)
	}
	return nil
}

func onceThroughSwap(t *Target) error {
	r, err := t.fuse()
	if err != nil {
		return err
	}
	from := t.State
	for _, st := range []policy.State{policy.Deployed, from} {
		if t.SetPolicy(t.Policy, st) != nil {
			return nil // there is no way back: that holds too
		}
	}
	u := t.Unit(r.Span.Off)
	_ = t.Host().Write(u.Off, u.Len)
	return nil
}
