package attack

import (
	"errors"
	"fmt"
	"math"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Blocks die of erases.
var wear = []Attack{
	{"wear-out", "Erase or rewrite without limit what a host may change", "CWE-770", "BrickerBot 2017; MobiSys 2019: apps that wear out phones", famWear, wearOut},
	{"denied-drain", "Use up ledgers with accesses that are refused", "CWE-400", "Counters that failed attempts advance", famWear, deniedDrain},
}

// Ways around a wear ledger.
var ledgers = []Attack{
	{"ledger-handles", "Spend the ledger again from new handles", "CWE-799", "Quotas per connection", famWear, ledgerHandles},
	{"ledger-sessions", "Spend the ledger again from sessions", "CWE-799", "Quotas that privileged users pass", famWear, ledgerSessions},
	{"ledger-policy-swap", "Spend the ledger again after a policy swap", "CWE-799", "Counters kept in the object that is replaced", famWear, ledgerSwap},
	{"ledger-restart", "Spend the ledger again after a restart", "CWE-294", "Power cut before the counter is stored", famWear, ledgerRestart},
	{"ledger-failing", "Erase through errors that are not charged", "CWE-460", "Refunds on failure: an erase that fails has worn the block", famWear, ledgerFailing},
	{"ledger-wide", "Erase many blocks in one request", "CWE-770", "Counting requests instead of blocks", famWear, ledgerWide},
	{"ledger-mark-bad", "Destroy blocks by marking them bad, uncharged", "CWE-770", "MTD ioctl MEMSETBADBLOCK", famWear, ledgerMarkBad},
	{"ledger-rewrite", "Wear a memory that rewrites in place by programs", "CWE-770", "eMMC and SD cards killed by small writes", famWear, ledgerRewrite},
	{"ledger-wrap", "Let the ledger's counter wrap", "CWE-190", "A counter at its maximum must lock, not wrap", famWear, ledgerWrap},
}

// unlimited tells whether a right to wear r's blocks without a ledger kills them:
// known endurance, or a part whose maker promises none.
func (t *Target) unlimited(r *policy.Region) bool {
	return r.Wear == (policy.Wear{}) && (t.Geo.Endurance != 0 || t.Geo.Program != nvm.Rewrite)
}

func wearOut(t *Target) error {
	h := t.Host()
	tried := false
	for _, op := range []nvm.Op{nvm.Erase, nvm.Write} {
		if op == nvm.Write && t.Geo.Program != nvm.Rewrite {
			break
		}
		for _, p := range t.Allowed(op) {
			tried = true
			r, b := p.Region, t.Inner(p.Span)
			blocks := uint64(p.Span.Len/t.Geo.Block(p.Span.Off).Len + 1)
			limit := uint64(t.Geo.Endurance) * blocks
			switch {
			case t.unlimited(r) && t.wearOne(h, op, b):
				t.Fail(Breach{
					What: "any host may wear out the blocks, and nothing counts", Region: r.Name, Span: b,
					Rule:   fmt.Sprintf("region %q: %v: any, without wear", r.Name, op),
					Advice: "add wear: {erases: N, hours: H}, or make it a grant",
				})
			case limit > 0 && uint64(r.Wear.Erases) > limit:
				t.Fail(Breach{
					What: "the ledger allows more erases than all blocks live", Region: r.Name, Span: p.Span,
					Rule:   fmt.Sprintf("region %q: wear: %d erases", r.Name, r.Wear.Erases),
					Advice: fmt.Sprintf("allow %d at most: endurance times blocks", limit),
				})
			}
		}
	}
	if !tried {
		return Skip("no host may wear anything")
	}
	return t.hammerLedgers(h)
}

// hammerLedgers erases one block of each region until its ledger is spent, and on.
func (t *Target) hammerLedgers(h *Subject) error {
	for _, p := range t.Allowed(nvm.Erase) {
		b := t.Inner(p.Span)
		t.chip.mu.Lock()
		limit, ok := t.chip.m.limit(p.Region)
		t.chip.mu.Unlock()
		if !ok || b.Len == 0 {
			continue
		}
		if limit > 2 {
			if err := t.SetUsage(p.Name, policy.Usage{Erases: limit - 2}); err != nil {
				t.Fail(Breach{What: "usage cannot be raised: " + err.Error(), Region: p.Name})
			}
		}
		for range 5 {
			_ = h.Erase(b.Off, b.Len)
		}
	}
	return nil
}

// wearOne erases or rewrites a block a hundred times.
func (t *Target) wearOne(h *Subject, op nvm.Op, b nvm.Span) bool {
	if b.Len == 0 {
		return false
	}
	at := b
	if op == nvm.Write {
		at.Len = t.Geo.ProgramSize
	}
	for range 100 {
		if h.do(op, at) != nil {
			return false
		}
	}
	return true
}

// ledger is a region with a ledger and who may erase it.
type ledger struct {
	r *policy.Region
	b nvm.Span // a block of it
}

// spend finds a region with a ledger, opens it in a state where op is possible
// and leaves room for left more erases.
func (t *Target) spend(op nvm.Op, left uint64, who ...policy.Mode) (ledger, error) {
	r := t.In(func(r *policy.Region, a policy.Access) bool {
		for _, m := range who {
			if a.Rule(op).Mode == m && r.Wear != (policy.Wear{}) && t.Inner(r.Span).Len > 0 {
				return true
			}
		}
		return false
	})
	if r == nil {
		return ledger{}, Skip("no region with a wear ledger that could be spent")
	}
	t.chip.mu.Lock()
	limit, _ := t.chip.m.limit(r)
	t.chip.mu.Unlock()
	if limit > left {
		if err := t.SetUsage(r.Name, policy.Usage{Erases: limit - left}); err != nil {
			t.Fail(Breach{What: "usage cannot be raised: " + err.Error(), Region: r.Name})
		}
	}
	return ledger{r, t.Inner(r.Span)}, nil
}

// spender is somebody new who may op on the ledger's region.
func (t *Target) spender(l ledger, op nvm.Op) *Subject {
	if rule := l.r.AccessIn(t.State).Rule(op); rule.Mode == policy.Grant {
		return t.session(policy.Rights{Authority: rule.Authority, Ops: nvm.AllOps, Span: l.r.Span, ProgramBytes: 1 << 40, Erases: 1 << 30})
	}
	return t.Host()
}

func ledgerHandles(t *Target) error {
	l, err := t.spend(nvm.Erase, 2, policy.Any)
	if err != nil {
		return err
	}
	for range 5 {
		h := t.Host()
		_ = h.Erase(l.b.Off, l.b.Len)
		t.CloseHandle(h)
	}
	return nil
}

func ledgerSessions(t *Target) error {
	l, err := t.spend(nvm.Erase, 2, policy.Grant)
	if err != nil {
		return err
	}
	for range 5 {
		if s := t.spender(l, nvm.Erase); s != nil {
			_ = s.Erase(l.b.Off, l.b.Len)
			t.End(s)
		}
	}
	return nil
}

func ledgerSwap(t *Target) error {
	l, err := t.spend(nvm.Erase, 2, policy.Any, policy.Grant)
	if err != nil {
		return err
	}
	for range 4 {
		if s := t.spender(l, nvm.Erase); s != nil {
			_ = s.Erase(l.b.Off, l.b.Len)
		}
		if err := t.SetPolicy(t.Policy, t.State); err != nil {
			t.Fail(Breach{What: "the same policy is refused: " + err.Error()})
		}
	}
	return nil
}

func ledgerRestart(t *Target) error {
	l, err := t.spend(nvm.Erase, 2, policy.Any, policy.Grant)
	if err != nil {
		return err
	}
	for range 4 {
		if s := t.spender(l, nvm.Erase); s != nil {
			_ = s.Erase(l.b.Off, l.b.Len)
		}
		if !t.Restart(t.Policy, t.State) {
			return nil
		}
	}
	return nil
}

var errWorn = errors.New("the part reports a failed erase")

func ledgerFailing(t *Target) error {
	l, err := t.spend(nvm.Erase, 2, policy.Any, policy.Grant)
	if err != nil {
		return err
	}
	t.chip.mu.Lock()
	t.chip.after = errWorn
	t.chip.mu.Unlock()
	if s := t.spender(l, nvm.Erase); s != nil {
		for range 5 {
			_ = s.Erase(l.b.Off, l.b.Len)
		}
	}
	return nil
}

func ledgerWide(t *Target) error {
	l, err := t.spend(nvm.Erase, 1, policy.Any, policy.Grant)
	if err != nil {
		return err
	}
	if s := t.spender(l, nvm.Erase); s != nil {
		in := t.Geo.Inward(l.r.Span)
		_ = s.Erase(in.Off, in.Len)
	}
	return nil
}

func ledgerMarkBad(t *Target) error {
	l, err := t.spend(nvm.Erase, 1, policy.Grant)
	if err != nil {
		return err
	}
	if s := t.spender(l, nvm.Erase); s != nil {
		_ = s.Erase(l.b.Off, l.b.Len)
		_ = s.MarkBad(l.b.Off)
		_ = s.MarkBad(l.b.End() - 1)
	}
	return nil
}

func ledgerRewrite(t *Target) error {
	if t.Geo.Program != nvm.Rewrite {
		return Skip("programs do not wear this memory")
	}
	l, err := t.spend(nvm.Write, 2, policy.Any, policy.Grant)
	if err != nil {
		return err
	}
	if s := t.spender(l, nvm.Write); s != nil {
		for range 5 {
			_ = s.Write(l.b.Off, t.Geo.ProgramSize)
		}
	}
	return nil
}

func ledgerWrap(t *Target) error {
	l, err := t.spend(nvm.Erase, 1, policy.Any, policy.Grant)
	if err != nil {
		return err
	}
	for _, top := range []uint64{math.MaxUint32, math.MaxUint64} {
		if err := t.SetUsage(l.r.Name, policy.Usage{Erases: top}); err != nil {
			return nil // refused: then there is no such counter
		}
		if s := t.spender(l, nvm.Erase); s != nil {
			_ = s.Erase(l.b.Off, l.b.Len)
			_ = s.Erase(l.b.Off, l.b.Len)
		}
	}
	return nil
}

func deniedDrain(t *Target) error {
	rs := t.Regions(func(r *policy.Region, a policy.Access) bool {
		return r.Wear != (policy.Wear{}) || a.Write.Mode == policy.Append
	})
	if len(rs) == 0 {
		return Skip("nothing that could be used up")
	}
	h := t.Host()
	for _, r := range rs {
		before := t.Sys.Usage(r.Name)
		u := t.Geo.ProgramSize
		for _, at := range []nvm.Span{t.Geo.Outward(nvm.Span{Off: r.Span.Off - u, Len: 2 * u}), {Off: r.Span.Off, Len: t.Geo.Size}, {Off: r.Span.End(), Len: -1}, {Len: t.Geo.Size}} {
			if !t.predict(h, nvm.Erase, at) {
				_ = h.Erase(at.Off, at.Len)
			}
		}
		_ = h.Erase(r.Span.Off+1, 1)
		_ = h.Erase(r.Span.Off, 0)
		if at := (nvm.Span{Off: r.Span.End() - u, Len: 2 * u}); !t.predict(h, nvm.Write, at) {
			_ = h.Write(at.Off, at.Len)
		}
		if after := t.Sys.Usage(r.Name); after != before {
			t.Fail(Breach{What: fmt.Sprintf("accesses that were refused used up the region: %+v became %+v", before, after), Region: r.Name, Span: r.Span})
		}
	}
	return nil
}

// predict tells whether the lock has to carry out the access.
func (t *Target) predict(s *Subject, op nvm.Op, at nvm.Span) bool {
	t.chip.mu.Lock()
	defer t.chip.mu.Unlock()
	return t.chip.m.predict(s.s, op, at.Off, at.Len)
}
