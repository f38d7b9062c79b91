package flashmap

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	srcLayout = "layout"
	maxLayout = 1 << 20 // bytes
)

// Layout reads a flashrom layout file (flashrom(8), "--layout"), as ifdtool -f
// writes it too: lines of
//
//	<start>:<end> <name>
//
// with hexadecimal addresses, with or without 0x, the end inclusive. Empty
// lines and what follows a # are skipped. The format says nothing of the size
// of the chip.
func Layout(text string) (Map, error) {
	m := Map{Source: srcLayout}
	if len(text) > maxLayout {
		return m, &Error{srcLayout, 0, ErrLimit, fmt.Sprintf("%d bytes: pass at most %d", len(text), maxLayout)}
	}
	var items []item
	pos, number := 0, 0
	for line := range strings.Lines(text) {
		number++
		if code, _, _ := strings.Cut(line, "#"); strings.TrimSpace(code) != "" {
			if len(items) == MaxParts {
				return Map{}, &Error{srcLayout, pos, ErrLimit, fmt.Sprintf("more than %d regions: split the file", MaxParts)}
			}
			it, bad := layoutLine(code)
			if bad != "" {
				return Map{}, &Error{srcLayout, pos, ErrSyntax, fmt.Sprintf("line %d: %s", number, bad)}
			}
			it.pos, it.Index = pos, len(items)
			items = append(items, it)
		}
		pos += len(line)
	}
	if len(items) == 0 {
		return Map{}, &Error{srcLayout, 0, ErrNone, "no region: write lines of <start>:<end> <name>"}
	}
	var err error
	if m.Parts, m.Notes, err = arrange(srcLayout, items, 0); err != nil {
		return Map{}, err
	}
	return m, nil
}

// layoutLine reads one region, or tells what is wrong with it.
func layoutLine(line string) (it item, bad string) {
	f := strings.Fields(line)
	if len(f) != 2 {
		return it, "write <start>:<end> <name>, the name without spaces"
	}
	from, to, ok := strings.Cut(f[0], ":")
	if !ok {
		return it, "no colon: write <start>:<end>"
	}
	start, bad := layoutAddress(from)
	if bad != "" {
		return it, bad
	}
	end, bad := layoutAddress(to)
	if bad != "" {
		return it, bad
	}
	if end < start {
		return it, "the end lies before the start: the end is the last address of the region"
	}
	it.Part = Part{Name: f[1], Off: start, Len: end - start + 1}
	return it, checkName(it.Name)
}

func layoutAddress(s string) (int64, string) {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	v, err := strconv.ParseUint(digits, 16, 64)
	switch {
	case err != nil && v == 0:
		return 0, fmt.Sprintf("%q is no hexadecimal address", s)
	case v >= uint64(MaxSize):
		return 0, fmt.Sprintf("the address %s is above %#x: correct it", s, MaxSize-1)
	}
	return int64(v), ""
}
