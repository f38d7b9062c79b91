package broken

import (
	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
)

func (g *guard) Area(name string, slot int) (nvm.NVM, error) {
	defer g.lock("")()
	if a := g.pol.Area(name); a != nil {
		w, err := nvm.NewWindow(g.mem, a.Span)
		if err != nil {
			return nil, err
		}
		for i := range g.pol.Map {
			if u := g.pol.Map[i].Update; u != nil && u.Slot == name {
				return &area{w, g, g.pol.Map[i].Name, 1}, nil
			}
		}
		return &area{w, g, "", 0}, nil
	}
	r := g.pol.Region(name)
	if r == nil || r.Update == nil || r.Update.Slot == "" {
		return nil, nanolock.ErrRegion
	}
	span := r.Span
	if slot == 1 {
		span = g.pol.Area(r.Update.Slot).Span
	}
	w, err := nvm.NewWindow(g.mem, span)
	if err != nil {
		return nil, err
	}
	return &area{w, g, name, slot}, nil
}

// area is the trusted side's window.
type area struct {
	*nvm.Window
	g      *guard
	region string
	slot   int
}

func (a *area) enter(op nvm.Op) error {
	inUse := 0
	if a.g.active[a.region] {
		inUse = 1
	}
	if a.region != "" && a.slot == inUse && !a.g.is("active-slot-open") {
		return &nanolock.DenyError{Op: op, Region: a.region, Cause: nanolock.CauseActive}
	}
	return nil
}

func (a *area) WriteAt(p []byte, off int64) (int, error) {
	defer a.g.lock("")()
	if err := a.enter(nvm.Write); err != nil {
		return 0, err
	}
	return a.Window.WriteAt(p, off)
}

func (a *area) Erase(off, n int64) error {
	defer a.g.lock("")()
	if err := a.enter(nvm.Erase); err != nil {
		return err
	}
	return a.Window.Erase(off, n)
}

func (a *area) MarkBad(off int64) error {
	defer a.g.lock("")()
	if err := a.enter(nvm.Erase); err != nil {
		return err
	}
	return a.Window.MarkBad(off)
}
