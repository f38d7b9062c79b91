package nanolock_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// secretive is toy with a confidential region of two blocks.
func secretive() *policy.Policy {
	p := toy()
	g := p.Memory.Granule
	for i := range p.Map {
		r := &p.Map[i]
		if r.Span.Off%g == 0 && r.Span.Len >= 2*g && r.Span.Len%g == 0 && r.Update == nil && r.Write.Mode != policy.Append {
			r.Confidential, r.Name, r.In = true, "secret", nil
			r.Access = policy.Access{Write: policy.Rule{Mode: policy.Grant, Authority: p.Authorities[0].Name},
				Erase: policy.Rule{Mode: policy.Grant, Authority: p.Authorities[0].Name}}
			r.Wear = policy.Wear{}
			return p
		}
	}
	return nil
}

func TestKnownContent(t *testing.T) {
	paged, rewrite := nor, nor
	paged.PageSize, rewrite.Program = nor.EraseSize/2, nvm.Rewrite
	for _, g := range []nvm.Geometry{nor, rewrite, paged} {
		p := secretive()
		span := p.Region("secret").Span
		mem := newRAM(g)
		l := newLock(t, mem, p, &nanolock.Config{State: policy.Manufacturing})
		want := bytes.Repeat([]byte{0x5A}, int(g.EraseSize))
		var asked []int64
		h, err := l.Checked(policy.Rights{Authority: p.Authorities[0].Name, Ops: nvm.AllOps, Span: span, ProgramBytes: 1 << 20, Erases: 1 << 10},
			func(off int64, b []byte) bool {
				asked = append(asked, off)
				return bytes.Equal(b, want)
			})
		ok(t, err)
		ok(t, h.Erase(span.Off, span.Len))
		refused := func(name string, p []byte, off int64) {
			t.Helper()
			was := slices.Clone(mem.data)
			_, err := h.WriteAt(p, off)
			var deny *nanolock.DenyError
			if !errors.As(err, &deny) || deny.Cause != nanolock.CauseContent || deny.Region != "secret" {
				t.Errorf("%s: %v", name, err)
			}
			if !bytes.Equal(was, mem.data) {
				t.Errorf("%s: changed the memory", name)
			}
		}
		e := g.EraseSize
		refused("part of a block", want[:e/2], span.Off)
		refused("not from its start", want[:e/2], span.Off+e/2)
		refused("other content", bytes.Repeat([]byte{1}, int(e)), span.Off)
		if n, err := h.WriteAt(append(slices.Clone(want), want...), span.Off); n != int(2*e) || err != nil {
			t.Fatalf("the content granted: %d, %v", n, err)
		}
		if len(asked) < 3 || asked[len(asked)-1] != span.Off+e {
			t.Errorf("asked at %v", asked)
		}
		n, err := h.WriteAt(append(slices.Clone(want), make([]byte, e)...), span.Off)
		if g.Program == nvm.Rewrite {
			if n != int(e) || !errors.Is(err, nanolock.ErrDenied) {
				t.Errorf("second block of other content: %d, %v", n, err)
			}
		} else if n != 0 || !errors.Is(err, nanolock.ErrDenied) {
			t.Errorf("over what is not erased: %d, %v", n, err)
		}
	}
}

func TestWipe(t *testing.T) {
	p := secretive()
	span := p.Region("secret").Span
	mem := newRAM(nor)
	for i := range mem.data {
		mem.data[i] = 0x11
	}
	l := newLock(t, mem, p, nil)
	for _, st := range []policy.State{policy.RMA, policy.Decommissioned} {
		if err := l.SetPolicy(p, st); !errors.Is(err, nanolock.ErrConfidential) {
			t.Fatalf("%v before wiping: %v", st, err)
		}
	}
	if err := l.Wipe("boot"); !errors.Is(err, nanolock.ErrRegion) {
		t.Errorf("wiping what is not confidential: %v", err)
	}
	if err := l.Wipe("none"); !errors.Is(err, nanolock.ErrRegion) {
		t.Errorf("wiping nothing: %v", err)
	}
	was := slices.Clone(mem.data)
	ok(t, l.Wipe("secret"))
	for i, b := range mem.data {
		in := span.Contains(nvm.Span{Off: int64(i), Len: 1})
		if in && b != nor.Erased || !in && b != was[i] {
			t.Fatalf("byte %d is %#x", i, b)
		}
	}
	ok(t, l.SetPolicy(p, policy.RMA))
	ok(t, l.Close())
	if err := l.Wipe("secret"); !errors.Is(err, nanolock.ErrEnded) {
		t.Errorf("after Close: %v", err)
	}
	var zero nanolock.Lock
	if err := zero.Wipe("secret"); err == nil {
		t.Error("the zero Lock wipes")
	}
}

// stubborn erases nothing and says so to nobody.
type stubborn struct{ *ram }

func (stubborn) Erase(off, n int64) error { return nil }

func TestWipeReadsBack(t *testing.T) {
	p, mem := secretive(), newRAM(nor)
	mem.data[p.Region("secret").Span.Off] = 0
	l := newLock(t, stubborn{mem}, p, nil)
	if err := l.Wipe("secret"); !errors.Is(err, nanolock.ErrConfidential) {
		t.Errorf("nothing was erased: %v", err)
	}
}
