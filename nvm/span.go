package nvm

import "fmt"

// Span is the bytes [Off, Off+Len).
type Span struct{ Off, Len int64 }

// In tells whether all of s lies in [0, size). It cannot overflow; nobody
// writes a bounds test by hand. A Span of length zero is inside if its offset is
// at most size.
func (s Span) In(size int64) bool {
	return s.Off >= 0 && s.Len >= 0 && s.Len <= size && s.Off <= size-s.Len
}

// End is the first byte behind s. It is only meaningful for a Span that is In a
// memory.
func (s Span) End() int64 { return s.Off + s.Len }

// Contains tells whether all of t lies inside s. Both must be In a memory.
func (s Span) Contains(t Span) bool { return t.Off >= s.Off && t.End() <= s.End() }

// Overlaps tells whether s and t share a byte. Both must be In a memory.
func (s Span) Overlaps(t Span) bool {
	return s.Len > 0 && t.Len > 0 && s.Off < t.End() && t.Off < s.End()
}

// Intersect returns the bytes that s and t share, or the empty Span.
func (s Span) Intersect(t Span) Span {
	lo, hi := max(s.Off, t.Off), min(s.End(), t.End())
	if hi <= lo {
		return Span{}
	}
	return Span{lo, hi - lo}
}

// String is 0xOFF+0xLEN.
func (s Span) String() string { return fmt.Sprintf("%#x+%#x", s.Off, s.Len) }
