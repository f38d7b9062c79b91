package flashpic

import "github.com/nanolock/nanolock/policy"

// Folded returns a picture of at most limit pieces that shows the same flash:
// neighbours are folded into one, those of one class first, for a picture of ten
// thousand lines shows nothing. A fold has the most open class of what is in it.
func (pic *Picture) Folded(limit int) *Picture {
	out := *pic
	if limit < 1 || len(pic.Pieces) <= limit {
		return &out
	}
	out.Pieces = fold(pic.Pieces, func(a, b *Piece) bool { return a.Class == b.Class })
	for grain := pic.Granule; len(out.Pieces) > limit && grain < 2*pic.Size; grain *= 2 {
		out.Pieces = fold(out.Pieces, func(a, b *Piece) bool { return b.Span.End()-a.Span.Off <= grain })
	}
	return &out
}

func fold(in []Piece, join func(a, b *Piece) bool) []Piece {
	out := in[:0:0]
	for i := range in {
		if n := len(out); n > 0 && join(&out[n-1], &in[i]) {
			out[n-1].add(&in[i])
			continue
		}
		out = append(out, in[i])
	}
	return out
}

// add folds b, which follows x, into x.
func (x *Piece) add(b *Piece) {
	x.Span.Len = b.Span.End() - x.Span.Off
	x.Count += b.Count
	if openness(b.Class) > openness(x.Class) {
		x.Class = b.Class
	}
	if x.Name == "" {
		x.Name, x.ID = b.Name, b.ID
	}
	x.Boot = x.Boot || b.Boot
	x.Slot, x.Kind, x.Wear = "", "", policy.Wear{} // what differs cannot be shown
}

// openness: what is hidden or nobody's is more closed than anything.
func openness(c Class) int {
	if c == Hidden || c == Free {
		return -1
	}
	return int(c)
}
