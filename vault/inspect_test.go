package vault

import (
	"errors"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

func TestInspect(t *testing.T) {
	fresh := func() *sim.Flash {
		f := parts()[0].new(t)
		v, err := Format(ctx, f, testKey, Options{Epoch: 3, Intent: 8}, raise(1)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Commit(ctx, raise(2)...); err != nil {
			t.Fatal(err)
		}
		return f
	}
	torn := fresh() // the snapshot that the commit continues is damaged
	if err := torn.Poke([]byte{0x55, 0}, 40); err != nil {
		t.Fatal(err)
	}
	junk := parts()[0].new(t)
	if err := junk.Poke([]byte("this is not a record, and not erased"), 0); err != nil {
		t.Fatal(err)
	}
	one, two := testKey, [32]byte{9}
	for _, tc := range []struct {
		name    string
		f       *sim.Flash
		key     *[32]byte
		epoch   uint32
		want    error
		found   bool
		records int // in block 0
		believe int
	}{
		{"ours", fresh(), &one, 3, nil, true, 3, 3},
		{"no key", fresh(), nil, 3, ErrForeign, false, 3, 0},
		{"another key", fresh(), &two, 3, ErrForeign, false, 3, 0},
		{"another epoch", fresh(), &one, 4, ErrForeign, false, 3, 3},
		{"torn", torn, &one, 3, ErrLost, false, 3, 2},
		{"torn, no key", torn, nil, 3, ErrForeign, false, 3, 0},
		{"junk", junk, &one, 3, ErrLost, false, 0, 0},
		{"junk, no key", junk, nil, 3, ErrLost, false, 0, 0},
		{"blank", parts()[0].new(t), &one, 3, ErrBlank, false, 0, 0},
		{"blank, no key", parts()[0].new(t), nil, 3, ErrBlank, false, 0, 0},
	} {
		ops := tc.f.Ops()
		in, err := Inspect(tc.f, tc.key, tc.epoch)
		if err != nil || !errors.Is(in.Verdict, tc.want) || in.Found != tc.found || tc.f.Ops() != ops || len(in.Blocks) != 2 {
			t.Errorf("%s: %+v, %v", tc.name, in, err)
			continue
		}
		believe := 0
		for _, r := range in.Blocks[0].Records {
			if r.Authentic {
				believe++
			}
			if r.Version != Version || r.Epoch != 3 || r.Slots < 2 || r.Seq < 2 {
				t.Errorf("%s: %+v", tc.name, r)
			}
		}
		if n := len(in.Blocks[0].Records); n != tc.records || believe != tc.believe {
			t.Errorf("%s: %d records, %d authentic: %+v", tc.name, n, believe, in.Blocks[0])
		}
		if !tc.found {
			continue
		}
		if in.State.Counter(opened) != 2 || in.Report.Clean || in.Report.Settled || !in.Blocks[1].Blank {
			t.Errorf("%s: %+v", tc.name, in)
		}
		r := in.Blocks[0].Records
		if r[0].Type != typeSnapshot || r[1].Type != typeSettled || r[2].Type != typeDelta || r[2].Seq != in.Report.Sequence {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
}

// TestInspectRefused: what Open refuses to show is shown here, with the reason.
func TestInspectRefused(t *testing.T) {
	f := roomy(t)
	v, key := formatted(t, f), testKey
	if err := v.Commit(ctx, raise(1)...); err != nil {
		t.Fatal(err)
	}
	at := v.j.at
	v.j.at.tag[0]++ // the next record continues one that is not there
	if err := v.Commit(ctx, raise(2)...); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(f, &key, 0)
	if err != nil || !errors.Is(in.Verdict, ErrLost) || !in.Found || in.State.Counter(opened) != 1 || in.Report.Sequence != at.seq {
		t.Errorf("%+v, %v", in, err)
	}
}

func TestInspectFaults(t *testing.T) {
	key := testKey
	if _, err := Inspect(nil, &key, 0); !errors.Is(err, ErrLayout) {
		t.Error(err)
	}
	p := parts()[5]
	f := p.new(t)
	if err := f.MarkBad(1024); err != nil {
		t.Fatal(err)
	}
	formatted(t, f)
	in, err := Inspect(f, &key, 0)
	if err != nil || in.Report.Bad != 1 || !in.Blocks[1].Bad || in.Verdict != nil {
		t.Errorf("%+v, %v", in, err)
	}
	for i := int64(0); ; i++ {
		mem := nvmtest.Faulty(f, nvmtest.OnOp(nvmtest.Read, nvmtest.OnIndex(i)))
		_, err := Inspect(mem, &key, 0)
		if mem.Faults() == 0 {
			break
		}
		if !errors.Is(err, nvmtest.ErrInjected) {
			t.Fatalf("fault at %d: %v", i, err)
		}
	}
	lost := nvmtest.Faulty(f, nvmtest.With(nvm.ErrUncorrectable, nvmtest.OnOp(nvmtest.Read, nvmtest.Always())))
	if in, err := Inspect(lost, &key, 0); err != nil || !errors.Is(in.Verdict, ErrLost) {
		t.Errorf("%+v, %v", in, err)
	}
}
