package stats

// Shuffler deals random orders. It is small and seeded, so that a run can be
// repeated; statistics needs no secrets.
type Shuffler struct{ state uint64 }

// NewShuffler returns one for the seed.
func NewShuffler(seed uint64) *Shuffler { return &Shuffler{seed} }

// Next returns 64 random bits (SplitMix64).
func (s *Shuffler) Next() uint64 {
	s.state += 0x9E3779B97F4A7C15
	z := s.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Below returns a number in [0, n). The bias of the remainder, n in 2^64, is far
// below anything measured with it.
func (s *Shuffler) Below(n int) int { return int(s.Next() % uint64(n)) }

// Shuffle puts xs in a random order (Fisher and Yates).
func (s *Shuffler) Shuffle(xs []int) {
	for i := len(xs) - 1; i > 0; i-- {
		j := s.Below(i + 1)
		xs[i], xs[j] = xs[j], xs[i]
	}
}
