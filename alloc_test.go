package nanolock_test

import (
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// still is a memory that does nothing and allocates nothing.
type still struct{ g nvm.Geometry }

func (s *still) ReadAt(p []byte, _ int64) (int, error)  { return len(p), nil }
func (s *still) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (s *still) Erase(int64, int64) error               { return nil }
func (s *still) Sync() error                            { return nil }
func (s *still) Geometry() nvm.Geometry                 { return s.g }

// An access allocates nothing, allowed or denied: a flood costs the host alone.
func TestAllocations(t *testing.T) {
	p := toy()
	p.Memory.Blank = true
	p.Map[1].Wear = policy.Wear{Erases: 1 << 30}
	plain := newLock(t, &still{nor}, p, &nanolock.Config{OnDeny: func(nanolock.Denial) {}})
	onMap := newLock(t, mapped{newRAM(nor)}, p, nil)
	frozen := newLock(t, &still{nor}, p, nil)
	frozen.Freeze()
	spent := toy()
	spent.Map[1].Wear = policy.Wear{Erases: 1}
	worn := newLock(t, &still{nor}, spent, nil)
	ok(t, worn.Host().Erase(64, 16))
	ok(t, write(worn.Host(), 96, "x"))
	h, m, low, cold := plain.Host(), onMap.Host(), worn.Host(), frozen.Host()
	poor := everything()
	poor.ProgramBytes, poor.Erases = 0, 0
	broke, ended := session(t, plain, poor), plain.Host()
	plain.End(ended)
	buf := make([]byte, 16)
	small := everything()
	small.ProgramBytes = 1 << 40
	s := session(t, plain, small)
	for name, do := range map[string]func(){
		"read":           func() { h.ReadAt(buf, 64) },
		"mapped read":    func() { m.ReadAt(buf, 64) },
		"exact read":     func() { h.ReadAt(buf, 88) },
		"blank read":     func() { h.ReadAt(buf, 236) },
		"granted read":   func() { s.ReadAt(buf[:4], 240) },
		"write":          func() { h.WriteAt(buf, 64) },
		"granted write":  func() { s.WriteAt(buf, 0) },
		"erase":          func() { h.Erase(64, 16) },
		"granted erase":  func() { s.Erase(0, 16) },
		"view":           func() { m.View(64, 16) },
		"sync":           func() { h.Sync() },
		"denied write":   func() { h.WriteAt(buf, 0) },
		"denied erase":   func() { h.Erase(0, 16) },
		"denied read":    func() { low.ReadAt(buf, 208) },
		"denied gap":     func() { h.WriteAt(buf[:2], 252) },
		"out of range":   func() { h.ReadAt(buf, -1) },
		"unaligned":      func() { h.Erase(1, 1) },
		"CauseSealed":    func() { h.WriteAt(buf[:1], 192) },
		"CauseMark":      func() { low.WriteAt(buf[:1], 96) },
		"CauseLedger":    func() { low.Erase(64, 16) },
		"CauseBudget":    func() { broke.WriteAt(buf, 0) },
		"CauseFrozen":    func() { cold.WriteAt(buf, 64) },
		"CauseEnded":     func() { ended.ReadAt(buf, 0) },
		"ended write":    func() { ended.WriteAt(buf, 0) },
		"CauseNoView":    func() { m.View(0, 1) },
		"CauseUnmapped":  func() { h.View(64, 1) },
		"view of hidden": func() { m.View(208, 1) },
	} {
		do() // a denial is made at the first of its kind
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
