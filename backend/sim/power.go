package sim

import (
	"fmt"
	"strings"
	"time"
)

// cut is a power cut that is scheduled.
type cut struct {
	byOp  bool
	op    uint64
	torn  string // CLASS.ARG, or "" for any
	timed bool
	time  time.Duration
}

// PowerCut takes the power away: what a cached part had not synced is lost, and
// everything is ErrNoPower until PowerOn. An operation that a hook or gate holds
// leaves nothing and returns ErrNoPower; use CutAtOp to tear one.
func (f *Flash) PowerCut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.powerOff()
}

// PowerOn begins a new boot if the power is off. It forgets a scheduled cut.
func (f *Flash) PowerOn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.powerOn()
}

// Reboot is PowerCut and PowerOn: in the world RandomBoot unstable bits now read
// differently.
func (f *Flash) Reboot() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.powerOff()
	f.powerOn()
}

func (f *Flash) powerOff() {
	if f.on && f.part.Cached {
		f.m, f.pending = f.durable.clone(), nil
	}
	f.on = false
}

func (f *Flash) powerOn() {
	if !f.on {
		f.on, f.cut = true, cut{}
		f.boot++
	}
}

// SetWorld says how unstable bits read from now on.
func (f *Flash) SetWorld(w World) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world = w
}

// CutAtOp cuts the power in the middle of operation index: the operation is torn
// as the end of an id says ("prefix.5", "weak.0"), for "" by a draw among the
// states of T4. If that operation has no such state it is not begun. The
// operation and all behind it return ErrNoPower.
func (f *Flash) CutAtOp(index uint64, torn string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = cut{byOp: true, op: index, torn: torn}
}

// CutAtTime cuts the power when Elapsed reaches t; an operation under way is
// torn as far as it got.
func (f *Flash) CutAtTime(t time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = cut{timed: true, time: t}
}

// cutDuring tears o if a cut is due within the d that it takes.
func (f *Flash) cutDuring(o *Operation, d time.Duration) bool {
	var torn string
	switch {
	case f.cut.byOp && f.cut.op == o.index:
		torn = f.cut.torn
	case f.cut.timed && f.cut.time-f.now < d:
		torn = o.reached(float64(f.cut.time-f.now) / float64(d))
		f.now = f.cut.time
	default:
		return false
	}
	own := *o // its owner may still look at it
	o = &own
	o.pre = f.clone()
	if torn == "" {
		torn = o.anyTorn(mix(f.part.Seed, forTear, o.index))
	}
	if left, err := o.Replay(o.String() + "." + torn); err == nil {
		f.m, f.durable = left.m, left.durable
	}
	f.powerOff()
	return true
}

// reached is the torn state of o after that fraction of its time: bytes go one
// by one, an erase goes through its phases.
func (o *Operation) reached(fraction float64) string {
	at := func(share, n float64) int { return int(max(1, min(share*n, n-1))) }
	switch {
	case o.kind == Sync || fraction <= 0 || o.kind == Program && o.span.Len < 2:
		return "none.0"
	case o.kind == Program:
		return fmt.Sprintf("prefix.%d", at(fraction, float64(o.span.Len)))
	case fraction < 1.0/3:
		return fmt.Sprintf("zero-end.%d", at(3*fraction, eraseSteps))
	case fraction < 2.0/3:
		return fmt.Sprintf("pulse-start.%d", at(3*fraction-1, eraseSteps))
	}
	return "soft.0"
}

// anyTorn draws one torn state of o.
func (o *Operation) anyTorn(seed uint64) string {
	var ids []string
	for t := range o.Torn(T4) {
		ids = append(ids, strings.TrimPrefix(t.ID, o.String()+"."))
	}
	if len(ids) == 0 {
		return "none.0"
	}
	s := stream{seed: seed}
	return ids[s.below(int64(len(ids)))]
}
