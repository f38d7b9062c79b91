package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/backend/sim"
)

var errMute = errors.New("no reply")

// modelAnchor is an anchor that the enumeration forks: it counts durably before it
// replies. The nil one is none.
type modelAnchor struct {
	n    uint64
	lost bool // counts, and the reply is lost
	mute bool // counts, and then says nothing at all
	seen func(string)
}

func (a *modelAnchor) Read(context.Context) (uint64, error) {
	if a.mute {
		return 0, errMute
	}
	return a.n, nil
}

// Advance can be cut before it counts, and behind that before it replies.
func (a *modelAnchor) Advance(_ context.Context, to uint64) error {
	a.see("before")
	a.n = max(a.n, to)
	a.see("counted")
	if a.lost || a.mute {
		return errMute
	}
	return nil
}

func (a *modelAnchor) see(when string) {
	if a.seen != nil {
		a.seen(when)
	}
}

// clone is the anchor after the power was off: it answers again.
func (a *modelAnchor) clone() *modelAnchor {
	if a == nil {
		return nil
	}
	return &modelAnchor{n: a.n}
}

// watch has e cut the power at p inside each step of the anchor.
func (a *modelAnchor) watch(e *engine, p *spot) {
	if a == nil {
		return
	}
	a.seen = func(when string) {
		id := fmt.Sprintf("%d.anchor.%s", p.f.Ops(), when)
		if !e.over() {
			e.check(p, id, 0, func() *sim.Flash { return p.f.CutUnsynced(nil) })
		}
	}
}

func (a *modelAnchor) unwatch() {
	if a != nil {
		a.seen = nil
	}
}
