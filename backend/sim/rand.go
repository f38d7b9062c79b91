package sim

import "math"

// Nothing in the simulator keeps the state of a generator: each draw is a hash
// of the seed, what it is for, and a place or a serial number. So a clone, a
// replay and a different order of reads draw the same values.

// mix folds words into one well mixed word (the finalizer of SplitMix64).
func mix(words ...uint64) uint64 {
	h := uint64(0x9E3779B97F4A7C15)
	for _, w := range words {
		h ^= w
		h += 0x9E3779B97F4A7C15
		h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
		h = (h ^ h>>27) * 0x94D049BB133111EB
		h ^= h >> 31
	}
	return h
}

// Purposes of draws, so that two of them never share a stream.
const (
	forWorld uint64 = iota + 1
	forTear
	forTime
	forWear
	forStuck
	forBad
	forDisturb
	forRetention
	forOver
	forCache
)

// stream is a sequence of draws; cheap, used within one call only.
type stream struct{ seed, n uint64 }

func (s *stream) next() uint64 {
	s.n++
	return mix(s.seed, s.n)
}

// below returns a draw in [0, n), 0 if n <= 0. The bias of the modulus is
// far below what a test could see.
func (s *stream) below(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return int64(s.next() % uint64(n))
}

// ppm tells whether an event of n in a million happens.
func (s *stream) ppm(n uint32) bool { return n > 0 && s.below(1_000_000) < int64(n) }

// unit returns a draw in [0, 1).
func (s *stream) unit() float64 { return float64(s.next()>>11) / (1 << 53) }

// normal returns a standard normal draw (Box and Muller).
func (s *stream) normal() float64 {
	u := 1 - s.unit() // never 0
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*s.unit())
}

// fill writes bytes of which a bit is 1 with probability 1/2 to the power of
// density (1 = half, 3 = an eighth).
func (s *stream) fill(p []byte, density int) {
	for i := range p {
		b := byte(s.next())
		for range density - 1 {
			b &= byte(s.next())
		}
		p[i] = b
	}
}

// hashName turns a name into a word that does not depend on a table's order
// (FNV-1a).
func hashName(name string) uint64 {
	h := uint64(0xCBF29CE484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001B3
	}
	return h
}
