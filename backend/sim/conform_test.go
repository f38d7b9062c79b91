package sim_test

import (
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/nvmtest"
)

// TestConforms runs the suite that every memory runs on each small part, one of
// every program class and erase map, and on one real part.
func TestConforms(t *testing.T) {
	for _, name := range []string{
		"TINY-NOR", "TINY-NOR-00", "TINY-ONCE", "TINY-ECC", "TINY-HYBRID", "TINY-CACHE", "RAM", "W25Q128JV",
	} {
		t.Run(name, func(t *testing.T) {
			c, ok := sim.Preset(name)
			if !ok {
				t.Fatal("no such preset")
			}
			nvmtest.Test(t, nvmtest.Config{
				New: func(tb testing.TB) nvm.NVM { return open(tb, c) },
				Reopen: func(tb testing.TB, mem nvm.NVM) nvm.NVM {
					f := mem.(*sim.Flash)
					f.PowerCut()
					f.PowerOn()
					return f
				},
			})
		})
	}
}

func open(tb testing.TB, c sim.Config) *sim.Flash {
	tb.Helper()
	f, err := sim.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}
