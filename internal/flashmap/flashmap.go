// Package flashmap reads the flash maps that devices already have: the kernel's
// and U-Boot's mtdparts, device trees, FMAP, flashrom layouts. It says what is
// written there and decides nothing; package policyfile turns a [Map] into a
// policy.
//
// Every parser is a pure function of its input. It never panics, and what it
// costs is bounded by the input and the limits below. A map whose partitions
// cannot all be true (one beyond the end, two that overlap in part) is refused,
// not repaired.
package flashmap

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Limits of a map.
const (
	MaxSize    = int64(1) << 48 // of a device, and so of every offset
	MaxParts   = 4096           // in one map
	MaxMaps    = 256            // from one source
	MaxName    = 255            // bytes of a name
	MaxNesting = 16             // partitions inside partitions
)

// Map is the partitions of one device as one source tells them.
type Map struct {
	Source     string   // "mtdparts", "devicetree", "fmap" or "layout"
	Device     string   // what the source calls the device; "" = not said
	Compatible []string // what kind of device it is, most exact first; nil = not said
	Size       int64    // 0 = not said
	EraseSize  int64    // 0 = not said
	Parts      []Part   // in ascending order of Off
	Notes      []string // what was guessed, and what a reader should look at
}

// Part is one partition as the source names it.
type Part struct {
	Name string
	// Off counts from the start of the device, for nested partitions too.
	Off int64
	// Len 0 is all the rest of a device whose size the source does not say; see
	// [Map.WithSize].
	Len        int64
	ReadOnly   bool     // the source wants no writes here
	Compatible []string // formats or drivers named for the content
	Flags      []string // other marks, as the source spells them
	Path       string   // where the source defines it, if that is more than a name
	Index      int      // place in the source, from 0; Linux numbers its mtds so
	Children   []Part   // partitions inside this one, in ascending order of Off
}

// End is the first byte behind p; MaxSize if Len is 0.
func (p Part) End() int64 {
	if p.Len == 0 {
		return MaxSize
	}
	return p.Off + p.Len
}

// Flat returns all partitions of m, each one before its children, without the
// Children field.
func (m Map) Flat() []Part { return appendFlat(nil, m.Parts) }

func appendFlat(out, parts []Part) []Part {
	for _, p := range parts {
		kids := p.Children
		p.Children = nil
		out = appendFlat(append(out, p), kids)
	}
	return out
}

// WithSize returns m for a device of the given size: a partition that is all the
// rest gets its length, one that reaches beyond the end is ErrRange, and so is a
// size that contradicts the source.
func (m Map) WithSize(size int64) (Map, error) {
	e := &Error{Source: m.Source, Off: -1, Kind: ErrRange}
	switch {
	case size <= 0 || size > MaxSize:
		e.Msg = fmt.Sprintf("a device of %d bytes: the size must be in 1..%d", size, MaxSize)
		return Map{}, e
	case m.Size != 0 && m.Size != size:
		e.Msg = fmt.Sprintf("the source says that the device has %#x bytes, not %#x: use the map of this device", m.Size, size)
		return Map{}, e
	}
	var items []item
	for _, p := range m.Flat() {
		if p.Len == 0 && p.Off < size {
			p.Len = size - p.Off
		}
		items = append(items, item{p, -1})
	}
	parts, _, err := arrange(m.Source, items, size)
	if err != nil {
		return Map{}, err
	}
	m.Size, m.Parts = size, parts
	return m, nil
}

// What can be wrong with a source.
var (
	ErrNone    = errors.New("no flash map found")
	ErrSyntax  = errors.New("malformed")
	ErrRange   = errors.New("outside the device")
	ErrOverlap = errors.New("partitions overlap in part")
	ErrLimit   = errors.New("too large")
)

// Error says what is wrong with a source, where, and what to do about it.
type Error struct {
	Source string
	Off    int    // byte offset in the source; -1 = no place
	Kind   error  // ErrNone, ErrSyntax, ErrRange, ErrOverlap or ErrLimit
	Msg    string // for a person
}

// Error is one line.
func (e *Error) Error() string {
	if e.Off < 0 {
		return fmt.Sprintf("%s: %v: %s", e.Source, e.Kind, e.Msg)
	}
	return fmt.Sprintf("%s: %v at byte %d: %s", e.Source, e.Kind, e.Off, e.Msg)
}

// Unwrap returns Kind.
func (e *Error) Unwrap() error { return e.Kind }

// checkName tells what is wrong with a name, "" if nothing is. Names end up in
// policies, logs and on screens: no control characters reach those.
func checkName(s string) string {
	switch {
	case s == "":
		return "the name is empty: give every partition a name"
	case len(s) > MaxName:
		return fmt.Sprintf("the name has %d bytes: shorten it to %d", len(s), MaxName)
	case !utf8.ValidString(s):
		return fmt.Sprintf("the name %q is not UTF-8: rename the partition", s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Sprintf("the name %q has an unprintable character: rename the partition", s)
		}
	}
	return ""
}
