package flashpic

import "math"

// shares divides n cells among pieces in proportion to weight, at least one each
// where there are enough cells, so that no region vanishes from the picture.
func shares(weight []int64, n int) []int {
	if len(weight) == 0 || n <= 0 {
		return make([]int, len(weight))
	}
	out := make([]int, len(weight))
	least := 1
	if len(weight) > n {
		least = 0
	}
	var total int64
	for i, w := range weight {
		out[i], total = least, total+w
	}
	rest := n - least*len(weight)
	for ; rest > 0; rest-- {
		// The piece that is furthest below its share gets the next cell. Cells
		// and pieces are at most a few hundred.
		best, lack := 0, math.Inf(-1)
		for i, w := range weight {
			if d := float64(w)/float64(total)*float64(n) - float64(out[i]); d > lack {
				best, lack = i, d
			}
		}
		out[best]++
	}
	return out
}

// cellOf is the cell at which addr lies, given the cells of each piece.
func cellOf(pieces []Piece, cells []int, addr int64) int {
	at := 0
	for i := range pieces {
		s := pieces[i].Span
		if addr < s.End() {
			return at + int(float64(addr-s.Off)/float64(s.Len)*float64(cells[i]))
		}
		at += cells[i]
	}
	return at
}

func weights(pieces []Piece) []int64 {
	w := make([]int64, len(pieces))
	for i := range pieces {
		w[i] = pieces[i].Span.Len
	}
	return w
}
