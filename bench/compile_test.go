package bench

import (
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

// BenchmarkCompile is what a policy costs before it is in force.
func BenchmarkCompile(b *testing.B) {
	for _, c := range []struct {
		name    string
		size    int64
		regions int
	}{{"regions=64", deviceSize, 64}, {"regions=100000", 512 * mib, 100_000}} {
		geo := geometry(c.size)
		p := regions(geo, c.regions)
		b.Run(c.name, func(b *testing.B) { benchmarkCompile(b, geo, p) })
	}
}

func benchmarkCompile(b *testing.B, geo nvm.Geometry, p *policy.Policy) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Compile(geo, policy.Deployed); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkControl is what changes of rights cost; the host path pays nothing
// for them.
func BenchmarkControl(b *testing.B) {
	geo := geometry(deviceSize)
	mem, p := newMapped(b, geo), regions(geo, 64)
	b.Run("call=new", func(b *testing.B) {
		for b.Loop() {
			if _, err := nanolock.New(mem, p, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("call=session", func(b *testing.B) {
		l := newLock(b, mem, p)
		for b.Loop() {
			h, _ := sessionOf(b, l, p)
			l.End(h)
		}
	})
	b.Run("call=setpolicy", func(b *testing.B) {
		l := newLock(b, mem, p)
		for b.Loop() {
			if err := l.SetPolicy(p, policy.Deployed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
