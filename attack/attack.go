// Package attack is a catalogue of attacks against a lock, and its runner.
//
// An integrator runs it against their own policy and memory from a Go test
// ([Check]) or a tool ([Run]). Every attack does what an owner of the host can
// do, most of them what somebody has done; one oracle decides about all of
// them: did a protected byte, counter or right change? The oracle reads the
// policy naively, byte by byte, and shares no code with the lock: it sits below
// it, sees each program and erase that reaches the memory, and compares the
// whole memory after each attack.
//
// Beyond what the policy denies the oracle knows what it should have denied: a
// bootloader that any host may write, an update region open to the host, an
// erase right without a wear ledger. A weak policy is beaten, and the report
// names the rule to change.
//
// A second catalogue is of attacks on a whole device and its owner's authority
// ([RunDevice]): orders replayed, withheld, forged and confused, floods, power
// cuts, flash and anchor in an attacker's hands. It brings its own device.
//
// Package broken holds locks and devices with one bug each. Its matrices show that
// every attack finds a bug and every bug is found.
package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// Config says what is attacked. Policy and Open are required.
type Config struct {
	Policy *policy.Policy
	State  policy.State // lifecycle state; 0 = Deployed
	// Open returns a memory that holds the image, for the run alone. It is called
	// once, and again after an attack that left the memory beyond repair (a block
	// marked bad, a lock that hangs). Run writes to it: give it a copy.
	Open func() (nvm.NVM, error)
	// New puts the lock under attack over a memory; nil = nanolock.New.
	New func(nvm.NVM, *policy.Policy, *nanolock.Config) (System, error)
	// Attacks to run; nil = Catalogue().
	Attacks  []Attack
	Progress func(done, total int, name string) // called after each attack
	Seed     uint64                             // of what is random
	// Faults also writes through views, which must fault: the runtime turns the
	// fault of a read-only mapping into a panic that is caught. Leave it out where
	// a fault would stop the process.
	Faults bool
	// Patience is how long a lock may take before it counts as hanging; 0 = 10 s.
	Patience time.Duration
}

// Attack is one entry of the catalogue.
type Attack struct {
	Name   string `json:"name"` // stable, in kebab case
	Title  string `json:"title"`
	CWE    string `json:"cwe"`  // "CWE-787"
	Case   string `json:"case"` // where it is known from
	Family string `json:"family"`
	// Run attacks. What it did wrong is for the oracle to say; an error means
	// that the attack does not apply, and why.
	Run func(*Target) error `json:"-"`
}

// Verdict is the outcome of one attack.
type Verdict uint8

// Verdicts.
const (
	NotApplicable Verdict = iota // nothing to attack here
	Held
	Beaten
)

// String is "held", "beaten" or "n/a".
func (v Verdict) String() string { return [...]string{"n/a", "held", "beaten"}[v%3] }

// MarshalText writes what String returns.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Breach is what an attack got away with. It is the first that was seen.
type Breach struct {
	What   string   `json:"what"`
	Region string   `json:"region,omitempty"`
	Span   nvm.Span `json:"span"`
	Before Digest   `json:"before"` // of the bytes in Span
	After  Digest   `json:"after"`
	Rule   string   `json:"rule,omitempty"`   // that was broken, or that is too weak
	Advice string   `json:"advice,omitempty"` // what to change; empty = the lock is at fault
}

// String is one line.
func (b *Breach) String() string {
	s := b.What
	if b.Span.Len != 0 {
		s += " at " + b.Span.String()
	}
	if b.Rule != "" {
		s += " (" + b.Rule + ")"
	}
	if b.Advice != "" {
		s += ": " + b.Advice
	}
	return s
}

// Digest is a SHA-256; in text the hex of it.
type Digest [32]byte

// MarshalText writes hex.
func (d Digest) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", d[:]), nil }

// Result is the outcome of one attack.
type Result struct {
	Attack
	Verdict Verdict        `json:"verdict"`
	Why     string         `json:"why,omitempty"` // it does not apply
	Tried   int            `json:"tried"`         // accesses
	Refused int            `json:"refused"`       // of them
	By      map[string]int `json:"by,omitempty"`  // denials by rule, as the lock reported them
	Breach  *Breach        `json:"breach,omitempty"`
}

// RegionDigest tells what happened to a region or hidden area over the run.
type RegionDigest struct {
	Name      string   `json:"name"`
	Span      nvm.Span `json:"span"`
	Before    Digest   `json:"before"`
	After     Digest   `json:"after"`
	Protected bool     `json:"protected"` // no host may change any of it
}

// Report is the outcome of a run.
type Report struct {
	Policy  string         `json:"policy"`
	Version uint64         `json:"version"`
	State   string         `json:"state"`
	Results []Result       `json:"results"`
	Regions []RegionDigest `json:"regions"`
}

// Count tells how many attacks ended in v.
func (r *Report) Count(v Verdict) (n int) {
	for i := range r.Results {
		if r.Results[i].Verdict == v {
			n++
		}
	}
	return n
}

// Held tells whether no attack succeeded and at least one applied.
func (r *Report) Held() bool { return r.Count(Beaten) == 0 && r.Count(Held) > 0 }

// JSON is the report for machines.
func (r *Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", "  ") }

// ErrConfig is matched when a run cannot start.
var ErrConfig = errors.New("attack: nothing to attack")

// Run runs the attacks in order. The error is ctx's, with the results so far, or
// says why the lock could not be put over the memory at all. That attacks
// succeeded is no error: see Report.Held.
func Run(ctx context.Context, c Config) (*Report, error) {
	g, err := newGround(c)
	if err != nil {
		return nil, err
	}
	rep := &Report{Policy: c.Policy.Name, Version: c.Policy.Version, State: g.c.State.String()}
	rep.Regions = g.digests()
	for i, a := range g.c.Attacks {
		if err := ctx.Err(); err != nil {
			return rep, err
		}
		res, err := g.try(a)
		if err != nil {
			return rep, err
		}
		rep.Results = append(rep.Results, res)
		if c.Progress != nil {
			c.Progress(i+1, len(g.c.Attacks), a.Name)
		}
	}
	g.digestsAfter(rep)
	return rep, nil
}

// TB is what Check needs of a *testing.T.
type TB interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// Check runs c and reports each attack that succeeded as an error of the test:
//
//	func TestOurFlash(t *testing.T) {
//		p, err := policyfile.Parse(rules) // the policy that ships
//		if err != nil {
//			t.Fatal(err)
//		}
//		attack.Check(t, attack.Config{
//			Policy: p,
//			Open:   func() (nvm.NVM, error) { return ours.Open(copyOf(image)) },
//		})
//	}
//
// Attacks that do not apply to the policy pass; the log says how many.
func Check(t TB, c Config) {
	t.Helper()
	rep, err := Run(t.Context(), c)
	if err != nil {
		t.Errorf("attack: %v", err)
		return
	}
	for i := range rep.Results {
		if r := &rep.Results[i]; r.Verdict == Beaten {
			t.Errorf("%s (%s, %s): %v", r.Name, r.Title, r.CWE, r.Breach)
		}
	}
	t.Logf("%d attacks held, %d succeeded, %d do not apply", rep.Count(Held), rep.Count(Beaten), rep.Count(NotApplicable))
}
