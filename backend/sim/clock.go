package sim

import (
	"math"
	"time"
)

// Elapsed returns how much virtual time has passed since New. No method looks
// at a real clock.
func (f *Flash) Elapsed() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance lets d pass without an operation, on or off: charge leaks at the rate
// of Faults.Retention (F15). A negative d does nothing.
func (f *Flash) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d <= 0 {
		return
	}
	f.pass(d)
	f.m.decay(d, stream{seed: mix(f.part.Seed, forRetention, f.draws)})
	f.draws++
}

// pass lets the clock run; at the end of its range, after 292 years, it stops.
func (f *Flash) pass(d time.Duration) { f.now += min(d, math.MaxInt64-f.now) }

// duration is how long o takes (F24): near the typical time, rarely near the
// longest, and longer in a worn block (F13).
func (f *Flash) duration(o *Operation) time.Duration {
	var r Range
	var slow float64
	switch o.kind {
	case Program:
		r = f.part.Timing.Program
	case Erase:
		r = f.part.Timing.erase(o.span.Len)
		if e := f.part.Geometry.Endurance; e > 0 {
			slow = float64(f.m.block(o.span).wear) / float64(e)
		}
	}
	draw := stream{seed: mix(f.part.Seed, forTime, o.index)}
	return r.draw(draw, slow)
}

func (r Range) draw(s stream, slow float64) time.Duration {
	d := float64(r.Typ)
	if r.Max > r.Typ {
		// The eighth power keeps the median within one percent of the way up.
		d += float64(r.Max-r.Typ) * math.Pow(s.unit(), 8)
	}
	return time.Duration(min(d*(1+slow), math.MaxInt64/2))
}

func (t *Timing) read(n int64) time.Duration { return t.Read + time.Duration(n)*t.ReadByte }

func (t *Timing) erase(size int64) (r Range) {
	for _, e := range t.Erase {
		if e.Size <= size {
			r = e.Range
		}
	}
	return r
}
