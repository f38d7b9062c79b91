package vault

import (
	"encoding/binary"

	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
)

func auditParts() []part {
	nand := flash(nvm.OncePage, 5, 1024, 64, 64, 0xFF)
	nand.InOrder, nand.NOP, nand.Geometry.BadBlocks = true, 1, true
	nand.ECC = sim.ECC{Unit: 64, Correct: 1}
	ecc := flash(nvm.OncePage, 4, 1024, 8, 0, 0xFF)
	ecc.ECC = sim.ECC{Unit: 8, Correct: 1}
	file := flash(nvm.Rewrite, 4, 1024, 64, 0, 0x00)
	file.Cached = true
	refuse := flash(nvm.ClearBits, 4, 1024, 1, 64, 0xFF)
	refuse.Faults.Over = sim.OverRefuse
	return []part{{"nor", flash(nvm.ClearBits, 4, 1024, 1, 64, 0xFF)}, {"nor-00", flash(nvm.ClearBits, 4, 1024, 1, 0, 0x00)},
		{"nor-refuse", refuse}, {"once", flash(nvm.OncePage, 4, 1024, 8, 0, 0xFF)}, {"ecc", ecc}, {"nand", nand}, {"file", file}}
}

// trail is a log of numbered entries that is cut.
type trail struct {
	cutter
	known bool      // the caller keeps the head behind each entry
	mark  AuditMark // what it kept
	acked uint64    // sequence that was acknowledged
	from  uint64    // the lowest number that must be there
	sure  uint64    // the highest number for which Append returned
	after map[[2]uint64]bool
}

func (l *trail) options() AuditOptions {
	o := AuditOptions{Boot: [16]byte{1, 2}, Acknowledged: l.acked}
	if l.known {
		o.Known = l.mark
	}
	return o
}

func number(n uint64) []byte { return binary.LittleEndian.AppendUint64(make([]byte, 0, 12), n) }

// numbers returns those of the entries, in order.
func numbers(a *AuditLog) (list []uint64, err error) {
	seq := uint64(0)
	for e, err := range a.All() {
		if err != nil {
			return list, err
		}
		if seq != 0 && e.Seq != seq+1 {
			return list, fmt.Errorf("entry %d behind %d", e.Seq, seq)
		}
		if seq = e.Seq; e.Kind >= firstOwnKind {
			continue
		}
		list = append(list, binary.LittleEndian.Uint64(e.Body))
	}
	return list, nil
}

// judge: what Append returned for is there, in order; what was under way is there
// or not, and stays so behind the next entry.
func (l *trail) judge(id string, f *sim.Flash, depth int) {
	if depth > 0 {
		l.watch(f, id+"/", depth, l.salt, l.judge)
	}
	o := l.options()
	a, r, err := OpenAudit(ctx, f, testKey, o)
	if err != nil || !r.Whole {
		l.fault(id, "open: %+v, %v", r, err)
		return
	}
	var told AuditMark
	told.Seq, told.Tag = a.Head()
	if told.Seq < o.Known.Seq || told.Seq == o.Known.Seq && told != o.Known && l.known {
		l.fault(id, "head %d, known %d", told.Seq, o.Known.Seq)
	}
	before := l.list(id, a)
	next := l.sure + 30 - 10*uint64(depth)
	err = a.Append(ctx, AuditReserved, 5, number(next))
	f.SetHook(nil)
	if err != nil {
		l.fault(id, "append: %v", err)
		return
	}
	key := [2]uint64{f.Fingerprint(), a.w.seq<<16 ^ uint64(a.w.next)}
	if l.after[key] {
		return
	}
	l.after[key] = true
	shown := l.list(id+"|appended", a)
	if len(shown) == 0 || shown[len(shown)-1] != next {
		l.fault(id, "appended %d, shows %v", next, shown)
	}
	if !slices.Equal(append(before, next), shown) && !loose(id) {
		l.fault(id, "showed %v, then %v", before, shown)
	}
	seq, tag := a.Head()
	for _, w := range sim.Worlds() {
		g := f.Clone()
		g.Reboot()
		g.SetWorld(w)
		for _, known := range []AuditMark{{}, {seq, tag}, told} { // what was told as head stays in the chain
			o := l.options()
			o.Known = known
			b, r, err := OpenAudit(ctx, g, testKey, o)
			if err != nil || !r.Whole || r.Last != seq {
				l.fault(id+"|"+w.String(), "second open: %+v, %v", r, err)
				return
			}
			if again := l.list(id+"|"+w.String(), b); !slices.Equal(again, shown) {
				l.fault(id+"|"+w.String(), "shows %v after %v", again, shown)
			}
		}
	}
}

// loose: in this world, two reads of the same bits may differ.
func loose(id string) bool { return strings.HasSuffix(id, ".R") }

// list returns the numbers, which begin no later than they must.
func (l *trail) list(id string, a *AuditLog) []uint64 {
	got, err := numbers(a)
	if err != nil {
		l.fault(id, "%v behind %v", err, got)
	}
	have := 0
	got = slices.DeleteFunc(got, func(n uint64) bool { return n < l.from })
	for i, n := range got {
		if i > 0 && n <= got[i-1] {
			l.fault(id, "shows %v", got)
		}
		if n >= l.from && n <= l.sure {
			have++
		}
	}
	if want := int(l.sure) + 1 - int(l.from); have != max(want, 0) {
		l.fault(id, "shows %v, want %d to %d", got, l.from, l.sure)
	}
	return got
}

func (l *trail) salt() uint64 { return l.sure<<16 ^ l.acked }

// run appends entries, cut at every operation: fill of them before the first cut,
// all but the last two acknowledged now and then.
func (l *trail) run(t *testing.T, f *sim.Flash, fill, steps, depth int, reopen bool) {
	t.Helper()
	l.after, l.from = map[[2]uint64]bool{}, 1
	a, r, err := OpenAudit(ctx, f, testKey, l.options())
	if err != nil || !r.Whole || r.First != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for i := range fill + steps {
		if i == fill {
			l.watch(f, "", depth, l.salt, l.judge)
		}
		if reopen && i >= fill {
			if a, r, err = OpenAudit(ctx, f, testKey, l.options()); err != nil || !r.Whole {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		if i%2 == 0 {
			l.acked, l.from = a.w.seq, l.sure+1
			if err := a.Acknowledge(ctx, l.acked); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Append(ctx, 1, 5, number(uint64(i)+1)); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		l.sure = uint64(i) + 1
		l.mark.Seq, l.mark.Tag = a.Head()
		l.each(fmt.Sprintf("acked%d", i), f.CutUnsynced(nil), l.salt(), 0, l.judge)
	}
	f.SetHook(nil)
}

func TestAuditCuts(t *testing.T) {
	fills := []int{0, 11, 4}
	for i, p := range auditParts() {
		for _, known := range []bool{false, true} {
			for _, reopen := range []bool{false, true} {
				for k, fill := range fills {
					if !long && k != i%len(fills) {
						continue
					}
					l := &trail{cutter: cutter{tier: sim.T4}, known: known}
					if l.thin = 23; long {
						l.thin = 1
					} else if raceEnabled {
						l.thin = 211
					}
					l.run(t, p.new(t), fill, 4, 1, reopen)
					l.report(t, fmt.Sprintf("%s known=%v reopen=%v fill=%d", p.name, known, reopen, fill))
				}
			}
		}
	}
}

// TestAuditNestedCuts cuts the first entry behind a cut as well.
func TestAuditNestedCuts(t *testing.T) {
	for _, p := range auditParts() {
		for _, known := range []bool{false, true} {
			for _, fill := range []int{4} {
				l := &trail{cutter: cutter{tier: sim.T4, nested: sim.T4}, known: known}
				if l.every, l.loose, l.thin = 307, 29, 23; long {
					l.every, l.loose, l.thin = 1, 1, 1
				} else if raceEnabled {
					l.every, l.loose, l.thin = 4001, 1009, 211
				}
				l.run(t, p.new(t), fill, 2, 2, false)
				l.report(t, fmt.Sprintf("%s known=%v fill=%d", p.name, known, fill))
			}
		}
	}
}
