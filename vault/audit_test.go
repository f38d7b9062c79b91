package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

func audit(t testing.TB, f nvm.NVM, o AuditOptions) (*AuditLog, AuditReport) {
	t.Helper()
	a, r, err := OpenAudit(ctx, f, testKey, o)
	if err != nil {
		t.Fatal(err)
	}
	return a, r
}

// logged is a NOR part of four blocks with n entries, and the marks behind each.
func logged(t testing.TB, n int) (*sim.Flash, *AuditLog, []AuditMark) {
	t.Helper()
	f := auditParts()[0].new(t)
	a, _ := audit(t, f, AuditOptions{})
	marks := []AuditMark{{}}
	for i := range n {
		if err := a.Append(ctx, AuditReserved, uint64(i), number(uint64(i)+1)); err != nil {
			t.Fatal(err)
		}
		var m AuditMark
		m.Seq, m.Tag = a.Head()
		marks = append(marks, m)
	}
	return f, a, marks
}

func TestAudit(t *testing.T) {
	f := auditParts()[0].new(t)
	boot := [16]byte{9, 8, 7}
	a, r := audit(t, f, AuditOptions{Boot: boot})
	if !r.Whole || r.First != 0 || r.Last != 0 || f.Ops() != 0 {
		t.Errorf("new: %+v", r)
	}
	for n := range MaxAudit + 1 {
		if n%50 == 0 {
			if err := a.Append(ctx, uint16(n), uint64(n)*3, bytes.Repeat([]byte{byte(n)}, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	seq, tag := a.Head()
	ops := f.Ops()
	a, r = audit(t, f, AuditOptions{Known: AuditMark{seq, tag}})
	if !r.Whole || r.First != 1 || r.Last != 5 || r.Torn || r.Gaps != 0 || r.Strange != 0 || f.Ops() != ops {
		t.Errorf("%+v", r)
	}
	n := 0
	for e, err := range a.All() {
		if err != nil || e.Seq != uint64(n/50)+1 || e.Kind != uint16(n) || e.At != uint64(n)*3 || e.Boot != boot ||
			!bytes.Equal(e.Body, bytes.Repeat([]byte{byte(n)}, n)) {
			t.Errorf("%d: %+v, %v", n, e, err)
		}
		if n += 50; e.Seq == 5 && e.Tag != tag {
			t.Error("another head")
		}
	}
	if s, g := a.Head(); s != seq || g != tag {
		t.Errorf("head %d", s)
	}
	for e := range a.All() {
		if e.Seq == 2 {
			break
		}
	}
	if err := a.Append(ctx, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	if s, _ := a.Head(); s != seq+1 {
		t.Errorf("known to be whole, and yet repeated: head %d", s)
	}
	a, _ = audit(t, f, AuditOptions{})
	if s, g := a.Head(); s != seq || g != tag {
		t.Errorf("head %d, of which nobody knows that it is whole", s)
	}
	if err := a.Append(ctx, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	kinds := []uint16{}
	for e := range a.All() {
		kinds = append(kinds, e.Kind)
	}
	if !slices.Equal(kinds[5:], []uint16{1, KindAgain, 1}) {
		t.Errorf("kinds %x", kinds)
	}
}

func TestAuditRefuses(t *testing.T) {
	zero := new(AuditLog)
	if s, _ := zero.Head(); s != 0 || zero.Unlogged() != 0 {
		t.Error("the zero log has a head")
	}
	for range zero.All() {
		t.Error("the zero log has entries")
	}
	if err := errors.Join(zero.Append(ctx, 1, 1, nil), zero.Acknowledge(ctx, 0)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	f, a, _ := logged(t, 1)
	ops := f.Ops()
	done, cancel := context.WithCancel(ctx)
	cancel()
	for _, tc := range []struct{ err, want error }{
		{a.Append(ctx, firstOwnKind, 1, nil), ErrLayout}, {a.Append(ctx, KindGap, 1, nil), ErrLayout},
		{a.Append(ctx, 1, 1, make([]byte, MaxAudit+1)), ErrLayout}, {a.Append(done, 1, 1, nil), context.Canceled},
		{a.Acknowledge(done, 1), context.Canceled}, {a.Acknowledge(ctx, 2), ErrBackwards},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("%v, want %v", tc.err, tc.want)
		}
	}
	if _, _, err := OpenAudit(done, f, testKey, AuditOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	small := part{config: flash(nvm.ClearBits, 4, 512, 1, 0, 0xFF)}.new(t)
	one := part{config: flash(nvm.ClearBits, 1, 4096, 1, 0, 0xFF)}.new(t)
	for _, mem := range []nvm.NVM{nil, small, one} {
		if _, _, err := OpenAudit(ctx, mem, testKey, AuditOptions{}); !errors.Is(err, ErrLayout) {
			t.Error(err)
		}
	}
	if a, r, err := OpenAudit(ctx, f, [32]byte{7}, AuditOptions{}); err != nil || r.Last != 0 || a.Unlogged() != 0 {
		t.Errorf("under another key: %+v, %v", r, err)
	}
	if f.Ops() != ops {
		t.Error("something was written")
	}
}

// TestAuditFull: nothing that was not acknowledged is overwritten; one block stays
// for the kinds that may use it; what is refused writes nothing and is counted.
func TestAuditFull(t *testing.T) {
	for _, p := range auditParts() {
		f := p.new(t)
		a, _ := audit(t, f, AuditOptions{})
		fill := func(kind uint16) (n uint64) {
			for {
				ops := f.Ops()
				if err := a.Append(ctx, kind, 1, make([]byte, 40)); err == nil {
					n++
				} else if !errors.Is(err, ErrFull) || f.Ops() != ops {
					t.Fatalf("%s: %v", p.name, err)
				} else {
					return n
				}
			}
		}
		low := fill(1)
		high := fill(AuditReserved)
		if low == 0 || high == 0 || a.Unlogged() != 2 || fill(1) != 0 || a.Unlogged() != 3 {
			t.Errorf("%s: %d and %d entries, %d refused", p.name, low, high, a.Unlogged())
		}
		seq, tag := a.Head()
		b, r := audit(t, f, AuditOptions{Known: AuditMark{seq, tag}})
		if !r.Whole || r.First != 1 || r.Last != low+high {
			t.Errorf("%s: %+v", p.name, r)
		}
		a = b
		ops := f.Ops()
		if err := a.Append(ctx, 1, 1, nil); !errors.Is(err, ErrFull) || f.Ops() != ops {
			t.Errorf("%s: behind a start: %v", p.name, err)
		}
		if err := a.Acknowledge(ctx, low); err != nil || f.Ops() != ops {
			t.Errorf("%s: %v", p.name, err)
		}
		more := fill(1)
		if more == 0 {
			t.Errorf("%s: acknowledging makes no room", p.name)
		}
		seq, tag = a.Head()
		for _, known := range []AuditMark{{}, {seq, tag}} {
			_, r = audit(t, f, AuditOptions{Known: known, Acknowledged: low})
			if !r.Whole || r.First < 2 || r.First > low+1 || r.Last != seq {
				t.Errorf("%s: %+v", p.name, r)
			}
		}
		if _, r = audit(t, f, AuditOptions{}); r.Whole || r.Why == "" {
			t.Errorf("%s: a log whose beginning nobody acknowledged: %+v", p.name, r)
		}
	}
}

// TestAuditTurns goes round the ring many times.
func TestAuditTurns(t *testing.T) {
	for _, p := range auditParts() {
		f := p.new(t)
		o := AuditOptions{}
		a, _ := audit(t, f, o)
		for i := range 200 {
			if err := a.Append(ctx, 1, 1, number(uint64(i))); err != nil {
				t.Fatalf("%s: entry %d: %v", p.name, i, err)
			}
			if i%7 == 0 {
				o.Acknowledged, o.Known.Tag = a.Head()
				o.Known.Seq = o.Acknowledged
				if err := a.Acknowledge(ctx, o.Acknowledged); err != nil {
					t.Fatal(err)
				}
			}
			if i%23 == 0 {
				var r AuditReport
				if a, r = audit(t, f, o); !r.Whole || r.Last != a.w.seq {
					t.Fatalf("%s: entry %d: %+v", p.name, i, r)
				}
			}
		}
		got, err := numbers(a)
		if err != nil || len(got) == 0 || got[len(got)-1] != 199 {
			t.Errorf("%s: %v, %v", p.name, got, err)
		}
		for b := range int64(4) {
			if f.Wear(b*1024) < 2 {
				t.Errorf("%s: block %d is spared", p.name, b)
			}
		}
	}
}

// harm is what somebody does to a log of 20 entries, three slots each, in blocks
// of 32 slots: 1..8 in block 0, 9..16 in block 1, 17..20 in block 2.
type harm struct {
	name  string
	do    func(*testing.T, *sim.Flash)
	known int // the mark that the caller kept; 20 unless said
	last  uint64
	holes []missing
}

func eraseBlocks(blocks ...int64) func(*testing.T, *sim.Flash) {
	return func(t *testing.T, f *sim.Flash) {
		for _, b := range blocks {
			if err := f.Erase(b*1024, 1024); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func poke(off int64, p ...byte) func(*testing.T, *sim.Flash) {
	return func(t *testing.T, f *sim.Flash) {
		if err := f.Poke(p, off); err != nil {
			t.Fatal(err)
		}
	}
}

// splice puts the first block of another log of the same key here.
func splice(t *testing.T, f *sim.Flash) {
	g := auditParts()[0].new(t)
	a, _ := audit(t, g, AuditOptions{Boot: [16]byte{5}})
	for i := range 20 {
		if err := a.Append(ctx, AuditReserved, 77, number(uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 1024)
	if err := g.Peek(p, 1024); err != nil {
		t.Fatal(err)
	}
	if err := f.Poke(p, 1024); err != nil {
		t.Fatal(err)
	}
}

func harms() []harm {
	return []harm{
		{"beginning", eraseBlocks(0), 20, 20, []missing{{1, 8}}},
		{"middle", eraseBlocks(1), 20, 20, []missing{{9, 16}}},
		{"end", eraseBlocks(2), 20, 16, []missing{{17, 20}}},
		{"end, half known", eraseBlocks(2), 18, 16, []missing{{17, 18}}},
		{"all", eraseBlocks(0, 1, 2), 20, 0, []missing{{1, 20}}},
		{"one record", poke(1024+3*32+5, 0x11), 20, 20, []missing{{10, 10}}},
		{"two records apart", func(t *testing.T, f *sim.Flash) {
			poke(3*32+5, 0x11)(t, f)
			poke(2048+33, 0)(t, f)
		}, 20, 20, []missing{{2, 2}, {17, 17}}},
		{"last record", poke(2048+9*32+9, 0x5A), 20, 19, []missing{{20, 20}}},
		{"spliced", splice, 20, 20, []missing{{8, 8}, {16, 16}}},
	}
}

// TestAuditDamage: whatever is missing is reported, and the log goes on behind a
// gap record that tells of it; then only what is missing besides is reported.
func TestAuditDamage(t *testing.T) {
	for _, h := range harms() {
		f, _, marks := logged(t, 20)
		h.do(t, f)
		o := AuditOptions{Known: marks[h.known]}
		ops := f.Ops()
		a, r := audit(t, f, o)
		if r.Whole || r.Why == "" || r.Last != h.last || !slices.Equal(a.missing, h.holes) || f.Ops() != ops {
			t.Errorf("%s: %+v, %v", h.name, r, a.missing)
		}
		lost := 0
		for _, err := range a.All() {
			if err != nil {
				if lost++; !errors.Is(err, ErrLost) {
					t.Errorf("%s: %v", h.name, err)
				}
			}
		}
		if lost != len(h.holes) {
			t.Errorf("%s: %d holes read", h.name, lost)
		}
		if err := a.Append(ctx, AuditReserved, 1, number(99)); err != nil {
			t.Errorf("%s: %v", h.name, err)
			continue
		}
		o.Known.Seq, o.Known.Tag = a.Head()
		a, r = audit(t, f, o)
		if !r.Whole || r.Gaps != 1 || r.Last != o.Known.Seq || r.Last < h.last+2 {
			t.Errorf("%s: behind the gap: %+v, %v", h.name, r, a.missing)
		}
		var gap, last Entry
		for e, err := range a.All() {
			if err == nil && e.Kind == KindGap {
				gap = e
			}
			last = e
		}
		want := []byte{}
		for _, m := range h.holes {
			want = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(want, m.first), m.last)
		}
		if !bytes.Equal(gap.Body, want) || binary.LittleEndian.Uint64(last.Body) != 99 || last.Seq != gap.Seq+1 {
			t.Errorf("%s: gap %x, last %+v", h.name, gap.Body, last)
		}
		if int(gap.Seq) <= h.known && gap.Seq <= h.last {
			t.Errorf("%s: sequence %d used again", h.name, gap.Seq)
		}
		eraseBlocks(int64(a.w.block))(t, f)
		if _, r = audit(t, f, o); r.Whole {
			t.Errorf("%s: the gap record itself is gone: %+v", h.name, r)
		}
	}
}

// TestAuditManyHoles: a gap record tells of as many as fit, and joins the rest.
func TestAuditManyHoles(t *testing.T) {
	f, _, marks := logged(t, 26)
	for i := int64(0); i < 26; i += 2 {
		poke(i/8*1024+i%8*96+60, 0, 0x55, 0)(t, f)
	}
	o := AuditOptions{Known: marks[26]}
	a, r := audit(t, f, o)
	if len(a.missing) != 13 || r.Whole || r.Strange == 0 {
		t.Errorf("%+v, %v", r, a.missing)
	}
	if err := a.Acknowledge(ctx, 14); err != nil {
		t.Fatal(err)
	}
	if err := a.Append(ctx, AuditReserved, 1, nil); err != nil {
		t.Fatal(err)
	}
	o.Known.Seq, o.Known.Tag = a.Head()
	if a, r = audit(t, f, o); !r.Whole && a.missing[0].last > 14 {
		t.Errorf("%+v, %v", r, a.missing)
	}
	o.Acknowledged = 14
	if a, r = audit(t, f, o); !r.Whole || r.Gaps != 1 {
		t.Errorf("%+v, %v", r, a.missing)
	}
}

// TestAuditFlips: each bit of a log that is the wrong way round is noticed, or
// makes no difference.
func TestAuditFlips(t *testing.T) {
	f, a, marks := logged(t, 9)
	want, err := numbers(a)
	if err != nil {
		t.Fatal(err)
	}
	noticed, same := 0, 0
	for off := int64(0); off < 2048; off++ {
		for bit := range uint(8) {
			g := f.Clone()
			if err := g.FlipBit(off, bit); err != nil {
				t.Fatal(err)
			}
			b, r := audit(t, g, AuditOptions{Known: marks[9]})
			got, err := numbers(b)
			switch {
			case !r.Whole && errors.Is(err, ErrLost):
				noticed++
			case r.Whole && err == nil && slices.Equal(got, want):
				same++
			default:
				t.Fatalf("%#x.%d: %+v, %v, %v", off, bit, r, got, err)
			}
		}
	}
	if noticed == 0 || same == 0 {
		t.Errorf("%d noticed, %d without effect", noticed, same)
	}
}

func TestAuditLater(t *testing.T) {
	for name, h := range map[string]header{
		"version": {version: 2, kind: typeAudit, seq: 8}, "type": {version: 1, kind: 9, seq: 8}, "short": {version: 1, kind: typeAudit, seq: 8},
	} {
		f, a, _ := logged(t, 1)
		h.block, h.slot = 0, uint16(a.w.next)
		rec, _ := a.j.seal.encode(h, a.w.tag, []byte{1})
		for i, s := range a.j.frame(rec) {
			if err := a.j.program(0, a.w.next+i, s); err != nil {
				t.Fatal(err)
			}
		}
		ops := f.Ops()
		if _, _, err := OpenAudit(ctx, f, testKey, AuditOptions{}); !errors.Is(err, ErrVersion) || f.Ops() != ops {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAuditFaults fails each operation of a session once, or all from it on: what
// Append returned for is there.
func TestAuditFaults(t *testing.T) {
	for _, p := range auditParts() {
		for _, sticky := range []bool{false, true} {
			for i := int64(0); ; i++ {
				inj := nvmtest.OnIndex(i)
				if sticky {
					inj = nvmtest.From(i)
				}
				f := p.new(t)
				mem := nvmtest.Faulty(f, inj)
				sure := auditSession(t, mem)
				f.Reboot()
				a, r := audit(t, f, AuditOptions{})
				got, err := numbers(a)
				more := len(got) - len(sure)
				kept := slices.DeleteFunc(slices.Clone(got), func(n uint64) bool { return !slices.Contains(sure, n) })
				if err != nil || !r.Whole || !slices.Equal(kept, sure) || more > 2 { // one of each session
					t.Fatalf("%s: fault at %d: %+v, %v of %v (%v)", p.name, i, r, got, sure, err)
				}
				if err := a.Append(ctx, AuditReserved, 1, number(50)); err != nil && !errors.Is(err, ErrFull) {
					t.Fatalf("%s: fault at %d: %v", p.name, i, err)
				}
				if mem.Faults() == 0 {
					break
				}
			}
		}
	}
}

func auditSession(t *testing.T, mem nvm.NVM) (sure []uint64) {
	t.Helper()
	for n := uint64(0); n < 8; n += 4 {
		a, _, err := OpenAudit(ctx, mem, testKey, AuditOptions{})
		if err != nil {
			return sure
		}
		for k := range uint64(4) {
			if a.Append(ctx, 1, 1, number(n+k)) != nil {
				// It refuses until it is opened again.
				if err := a.Append(ctx, 1, 1, number(60)); err == nil {
					t.Fatal("an append behind one that failed")
				}
				break
			}
			sure = append(sure, n+k)
		}
		for _, err := range a.All() {
			if err != nil {
				return sure
			}
		}
	}
	return sure
}

// TestAuditBadBlocks: a block that cannot be erased is marked and left out.
func TestAuditBadBlocks(t *testing.T) {
	f := auditParts()[5].new(t)
	if err := f.MarkBad(0); err != nil {
		t.Fatal(err)
	}
	mem := nvmtest.Faulty(f, nvmtest.OnSpan(nvm.Span{Off: 2048, Len: 1024}, nvmtest.OnOp(nvmtest.Erase, nvmtest.Always())))
	a, _ := audit(t, mem, AuditOptions{})
	n := uint64(0)
	for ; a.Append(ctx, AuditReserved, 1, number(n)) == nil; n++ {
	}
	if bad, err := f.IsBad(2048); !bad || err != nil || n < 15 {
		t.Errorf("%d entries, bad %v, %v", n, bad, err)
	}
	_, r := audit(t, f, AuditOptions{})
	if !r.Whole || r.Last != n {
		t.Errorf("%d entries: %+v", n, r)
	}
}

// FuzzAudit: any image opens or is refused in bounded work, writes nothing, and
// holds nothing that was not logged; what was known is there or missed.
func FuzzAudit(f *testing.F) {
	p := auditParts()[0]
	m, _, marks := logged(f, 9)
	image := make([]byte, 4096)
	if err := m.Peek(image, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(image))
	f.Add(append(bytes.Clone(image[1024:2048]), image[:1024]...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, img []byte) {
		g := p.new(t)
		if err := g.Poke(img[:min(len(img), 4096)], 0); err != nil {
			t.Fatal(err)
		}
		a, r, err := OpenAudit(ctx, g, testKey, AuditOptions{Known: marks[9]})
		if err != nil || g.Ops() != 0 || g.Stats().Reads > 2*4*32 {
			t.Fatalf("%v, %d operations, %d reads", err, g.Ops(), g.Stats().Reads)
		}
		n := uint64(0)
		for e, err := range a.All() {
			if err != nil {
				continue
			}
			if n++; e.Seq > 9 || e.Tag != marks[e.Seq].Tag || binary.LittleEndian.Uint64(e.Body) != e.Seq {
				t.Fatalf("%+v", e)
			}
		}
		if r.Whole != (n == 9) {
			t.Fatalf("%d entries: %+v", n, r)
		}
		err = a.Append(ctx, AuditReserved, 1, nil)
		if ops := g.Ops(); err != nil && !errors.Is(err, ErrFull) || ops > 80 {
			t.Fatalf("append: %v, %d operations", err, ops)
		}
	})
}
