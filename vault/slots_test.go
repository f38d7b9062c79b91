package vault

import (
	"bytes"
	"errors"
	"testing"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

// put places an encoded record where it says it belongs.
func put(t *testing.T, j *journal, block, slot int, rec []byte) {
	t.Helper()
	for i, s := range j.frame(rec) {
		if err := j.program(block, slot+i, s); err != nil {
			t.Fatal(err)
		}
	}
}

func bare(t *testing.T) *journal {
	t.Helper()
	l, err := newLayout(parts()[0].new(t))
	if err != nil {
		t.Fatal(err)
	}
	return &journal{layout: l, seal: newSealer(testKey), how: standard()}
}

// TestEveryByteIsCovered: no byte of a record, its place and the tag of its
// predecessor among them, can be another.
func TestEveryByteIsCovered(t *testing.T) {
	j := bare(t)
	prev := tag{1, 2, 3}
	rec, _ := j.seal.encode(header{kind: typeDelta, seq: 7}, prev, []byte{entryLifecycle, 1})
	for i := range rec {
		bad := bytes.Clone(rec)
		bad[i] ^= 0x10
		h := parseHeader(bad)
		if h.version > maxVersion || int(h.length) > j.body {
			continue // not taken for a record at all
		}
		j := bare(t)
		j.epoch = h.epoch
		block, slot := int(h.block), int(h.slot)
		if block >= len(j.blocks) || slot+j.need(int(h.length)) > j.slots {
			continue
		}
		put(t, j, block, slot, bad)
		m, err := j.read(block)
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := j.parse(m, block, slot); ok || r == nil && i >= headerLen {
			t.Errorf("byte %d: %+v, authentic %v", i, r, ok)
		}
	}
}

// TestPlaceIsCovered: an authentic record in another slot is none there.
func TestPlaceIsCovered(t *testing.T) {
	for _, to := range []struct{ block, slot int }{{0, 1}, {1, 0}, {0, 5}, {1, 3}} {
		for _, relabel := range []bool{false, true} {
			j := bare(t)
			rec, _ := j.seal.encode(header{kind: typeSnapshot, seq: 3}, tag{}, nil)
			if relabel {
				h := parseHeader(rec)
				h.block, h.slot = uint16(to.block), uint16(to.slot)
				copy(rec, h.put(nil))
			}
			put(t, j, to.block, to.slot, rec)
			if f, err := j.scan(); err != nil || f.best != nil {
				t.Errorf("%v, relabelled %v: %+v, %v", to, relabel, f.best, err)
			}
		}
	}
}

// TestSplice: a delta continues the chain that it was written for, and no other of
// the same length.
func TestSplice(t *testing.T) {
	j := bare(t)
	first, _ := j.seal.encode(header{kind: typeSnapshot, seq: 3}, tag{}, nil)
	slot := j.need(0)
	next, _ := j.seal.encode(header{kind: typeDelta, seq: 4, slot: uint16(slot)}, tag{9}, []byte{entryLifecycle, 1})
	put(t, j, 0, 0, first)
	put(t, j, 0, slot, next)
	f, err := j.scan()
	if err != nil || f.best == nil || f.best.seq != 3 || f.orphan != 4 {
		t.Fatalf("%+v, %v", f, err)
	}
	if err := f.verdict(); !errors.Is(err, ErrLost) {
		t.Error(err)
	}
}

// TestNeed: what a record is said to take is what it takes.
func TestNeed(t *testing.T) {
	for _, p := range parts() {
		l, err := newLayout(p.new(t))
		if err != nil {
			t.Fatal(err)
		}
		for n := range l.body + 1 {
			if got, want := l.need(n), len(l.frame(make([]byte, n+overhead))); got != want {
				t.Fatalf("%s: %d bytes: %d slots, want %d", p.name, n, got, want)
			}
		}
		for n := 1; n <= l.slots; n++ {
			if r := l.room(n); l.need(r-overhead) != n || l.need(r-overhead+1) != n+1 {
				t.Fatalf("%s: %d slots: room for %d", p.name, n, r)
			}
		}
	}
}

// TestFormatOver: nothing of the vault that was there comes back, not even under
// the same key and epoch.
func TestFormatOver(t *testing.T) {
	for _, p := range parts() {
		for commits := uint64(1); commits < 20; commits++ {
			f := p.new(t)
			v := formatted(t, f)
			for n := uint64(1); n <= commits; n++ {
				if err := v.Commit(ctx, raise(n)...); err != nil {
					t.Fatal(err)
				}
			}
			formatted(t, f)
			v, r, err := Open(ctx, f, testKey, Options{Intent: 8})
			if err != nil || !r.Clean || v.Snapshot().Counter(opened) != 0 {
				t.Fatalf("%s, %d commits: %+v, %v", p.name, commits, r, err)
			}
		}
	}
}

// TestBadBlockIsMarked: a block that cannot be erased in recovery, and so might
// show something old one day, is marked bad.
func TestBadBlockIsMarked(t *testing.T) {
	f := parts()[5].new(t)
	v := formatted(t, f)
	if err := v.Commit(ctx, raise(1)...); err != nil {
		t.Fatal(err)
	}
	const victim = 2 * 1024
	mem := nvmtest.Faulty(f, nvmtest.OnOp(nvmtest.Erase, nvmtest.OnSpan(nvm.Span{Off: victim, Len: 1024}, nvmtest.Always())))
	if _, _, err := Open(ctx, mem, testKey, Options{Intent: 8}); err != nil {
		t.Fatal(err)
	}
	if bad, err := f.IsBad(victim); err != nil || !bad {
		t.Errorf("bad %v, %v", bad, err)
	}
	// Where there are no bad blocks, that is a failure.
	nor := parts()[1].new(t)
	if err := formatted(t, nor).Commit(ctx, raise(1)...); err != nil {
		t.Fatal(err)
	}
	mem = nvmtest.Faulty(nor, nvmtest.OnOp(nvmtest.Erase, nvmtest.OnSpan(nvm.Span{Off: 2 * 512, Len: 512}, nvmtest.Always())))
	if _, _, err := Open(ctx, mem, testKey, Options{Intent: 8}); !errors.Is(err, nvmtest.ErrInjected) {
		t.Error(err)
	}
}

// TestShortWrite: a slot of which a part was programmed is not written.
func TestShortWrite(t *testing.T) {
	l, err := newLayout(nvmtest.Faulty(parts()[0].new(t), nil))
	if err != nil {
		t.Fatal(err)
	}
	l.mem = short{l.mem}
	if err := l.program(0, 0, l.full()); !errors.Is(err, errShort) {
		t.Error(err)
	}
}

// short says that it has written one byte less, and no error.
type short struct{ nvm.NVM }

func (s short) WriteAt(p []byte, off int64) (int, error) {
	n, err := s.NVM.WriteAt(p, off)
	return n - 1, err
}

// TestNewestWins: the chain with the highest sequence, whichever block it is in.
func TestNewestWins(t *testing.T) {
	for _, newest := range []int{0, 1} {
		j := bare(t)
		for b := range j.blocks {
			seq := uint64(5)
			if b == newest {
				seq = 9
			}
			rec, _ := j.seal.encode(header{kind: typeSnapshot, seq: seq, block: uint16(b)}, tag{}, nil)
			put(t, j, b, 0, rec)
		}
		if f, err := j.scan(); err != nil || f.best == nil || f.best.block != newest {
			t.Errorf("%d: %+v, %v", newest, f.best, err)
		}
	}
}

// TestBadBlockIsLeftAlone: what a bad block holds is not even read.
func TestBadBlockIsLeftAlone(t *testing.T) {
	f := parts()[5].new(t)
	const victim = 2 * 1024
	if err := f.MarkBad(victim); err != nil {
		t.Fatal(err)
	}
	formatted(t, f)
	mem := nvmtest.Faulty(f, nvmtest.OnSpan(nvm.Span{Off: victim, Len: 1024}, nvmtest.Always()))
	if _, r, err := Open(ctx, mem, testKey, Options{Intent: 8}); err != nil || r.Bad != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestEntriesCutShort: no beginning of encoded entries is read beyond its end.
func TestEntriesCutShort(t *testing.T) {
	v := formatted(t, roomy(t))
	if err := v.Commit(ctx, SetLifecycle(1), RaiseCounter(opened, 1), PutSlot(1, []byte("0123456789")), OpenIntent(Intent{1, []byte("abc")})); err != nil {
		t.Fatal(err)
	}
	p := v.Snapshot().s.encode()
	whole := 0
	for n := range p {
		switch err := (state{}).patch(Version, p[:n:n]); {
		case err == nil:
			whole++
		case !errors.Is(err, ErrVersion):
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if whole != 4 { // none, and up to three of the four entries
		t.Errorf("%d beginnings are whole", whole)
	}
}
