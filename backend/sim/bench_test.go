package sim

import "testing"

// BenchmarkTorn is what the torn states of one program cost: fork, tear, and a
// read of a page.
func BenchmarkTorn(b *testing.B) {
	for _, name := range []string{"TINY-NOR", "W25Q128JV"} {
		b.Run("part="+name, func(b *testing.B) {
			f := open(b, name, nil)
			var op *Operation
			f.SetHook(func(o *Operation) { op = o })
			write(b, f, 0, seq(16, 1)...)
			p := make([]byte, 256)
			states := 0
			for b.Loop() {
				for s := range op.Torn(T4) {
					if _, err := s.Flash().ReadAt(p, 0); err != nil {
						b.Fatal(err)
					}
					states++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(states), "ns/state")
		})
	}
}

func BenchmarkAccess(b *testing.B) {
	f := open(b, "W25Q128JV", nil)
	p := make([]byte, 256)
	b.Run("op=read/size=256", func(b *testing.B) {
		b.SetBytes(256)
		for b.Loop() {
			if _, err := f.ReadAt(p, 4096); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=program/size=256", func(b *testing.B) {
		b.SetBytes(256)
		for b.Loop() {
			if _, err := f.WriteAt(p, 4096); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=clone", func(b *testing.B) {
		for b.Loop() {
			f.Clone()
		}
	})
}
