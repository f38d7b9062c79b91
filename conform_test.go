package nanolock_test

import (
	"path/filepath"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
	"github.com/nanolock/nanolock/policy"
)

// A Handle is an NVM: the suite for memories runs on a host's handle and on a
// session's, over memories of each class, in the regions that are theirs.

// thirds lays three regions over g: open to hosts, read-only, and granted. The
// borders are block borders; the first and the last third hold some blocks.
func thirds(g nvm.Geometry, wear policy.Wear) (*policy.Policy, []nvm.Span) {
	a, b := g.Block(g.Size/3).Off, g.Block(2*g.Size/3).Off
	spans := []nvm.Span{{Off: 0, Len: a}, {Off: a, Len: b - a}, {Off: b, Len: g.Size - b}}
	every := policy.Rule{Mode: policy.Any}
	grant := policy.Rule{Mode: policy.Grant, Authority: "vendor"}
	return &policy.Policy{
		Version: 1, Memory: policy.Memory{Size: g.Size, Granule: g.EraseSize},
		Map: []policy.Region{
			{ID: 1, Name: "open", Span: spans[0], Access: policy.Access{Read: every, Write: every, Erase: every}, Wear: wear},
			{ID: 2, Name: "shut", Span: spans[1], Access: policy.Access{Read: every}},
			{ID: 3, Name: "granted", Span: spans[2], Access: policy.Access{Read: every, Write: grant, Erase: grant}},
		},
		Authorities: []policy.Authority{{Name: "vendor", Suite: policy.Ed25519}},
	}, spans
}

func lockOver(tb testing.TB, mem nvm.NVM, wear policy.Wear) (*nanolock.Lock, []nvm.Span) {
	tb.Helper()
	p, spans := thirds(mem.Geometry(), wear)
	l, err := nanolock.New(mem, p, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l, spans
}

// memories are those to conform over: mapped and not, of every program class.
var memories = map[string]func(testing.TB) nvm.NVM{
	"mapped": func(tb testing.TB) nvm.NVM {
		path := filepath.Join(tb.TempDir(), "flash")
		g := nvm.Geometry{Size: 96 << 10, EraseSize: 4 << 10, ProgramSize: 1, Program: nvm.Rewrite, Erased: 0xFF}
		if err := mmap.Create(path, g); err != nil {
			tb.Fatal(err)
		}
		m, err := mmap.Open(path, &mmap.Options{Geometry: g})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { m.Close() })
		return m
	},
	"nor":    simulated("TINY-NOR"),
	"ecc":    simulated("TINY-ECC"),
	"once":   simulated("TINY-ONCE"),
	"hybrid": simulated("TINY-HYBRID"),
}

func simulated(preset string) func(testing.TB) nvm.NVM {
	return func(tb testing.TB) nvm.NVM {
		c, ok := sim.Preset(preset)
		if !ok {
			tb.Fatalf("no preset %s", preset)
		}
		f, err := sim.New(c)
		if err != nil {
			tb.Fatal(err)
		}
		return f
	}
}

func TestHandlesConform(t *testing.T) {
	for name, open := range memories {
		for kind, wear := range map[string]policy.Wear{"plain": {}, "ledger": {Erases: 1 << 30}} {
			t.Run("memory="+name+"/handle=host/"+kind, func(t *testing.T) {
				g := open(t).Geometry()
				_, spans := thirds(g, wear)
				nvmtest.Test(t, nvmtest.Config{Work: spans[:1], New: func(tb testing.TB) nvm.NVM {
					l, _ := lockOver(tb, open(tb), wear)
					return l.Host()
				}})
			})
		}
		t.Run("memory="+name+"/handle=session", func(t *testing.T) {
			g := open(t).Geometry()
			_, spans := thirds(g, policy.Wear{})
			nvmtest.Test(t, nvmtest.Config{Work: spans[2:], New: func(tb testing.TB) nvm.NVM {
				l, spans := lockOver(tb, open(tb), policy.Wear{})
				h, err := l.Session(policy.Rights{
					Authority: "vendor", Ops: nvm.AllOps, Span: spans[2], ProgramBytes: 1 << 40, Erases: 1 << 40,
				})
				if err != nil {
					tb.Fatal(err)
				}
				return h
			}})
		})
	}
}
