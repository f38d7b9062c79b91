package device_test

import (
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/device"
	"github.com/nanolock/nanolock/internal/rig"
)

func small(c sim.Config, erase, program, page int64) sim.Config {
	g := &c.Geometry
	g.Size, g.EraseSize, g.ProgramSize, g.PageSize = 32*erase, erase, program, page
	if c.ECC.Unit > program {
		c.ECC.Unit = program
	}
	return c
}

func BenchmarkBoot(b *testing.B) {
	c := newChip("a")
	f, err := sim.New(small(rig.NOR(), 2048, 1, 256))
	ok(b, err)
	r, err := rig.New(rig.Config{Memory: f, Keystore: c})
	ok(b, err)
	m, _ := r.FirstPolicy()
	b.Log(len(m))
	ok(b, r.Device.Close())
	cfg := device.Remember(&device.Config{Vault: r.Policy.Area("vault").Span})
	b.ResetTimer()
	for b.Loop() {
		g := f.Clone()
		d, err := device.Open(ctx, g, c, cfg)
		ok(b, err)
		_ = d.View()
		_ = g.Fingerprint()
	}
}
