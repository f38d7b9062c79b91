package flashmap

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The format of FMAP 1.x as the flashmap project (fmap.h) and coreboot define
// it: packed, little-endian, strings of 32 bytes with the terminating zero.
//
//	0  signature "__FMAP__"     0  offset u32
//	8  major u8, minor u8       4  size u32
//	10 base u64                 8  name [32]
//	18 size u32                 40 flags u16
//	22 name [32]
//	54 areas u16
//	56 the areas, 42 bytes each
const (
	srcFMAP       = "fmap"
	fmapSignature = "__FMAP__"
	fmapHeader    = 56
	fmapArea      = 42
	fmapName      = 32
	// maxFMAPs bounds the search in an image made of signatures.
	maxFMAPs = 64
)

// fmapFlags are the bits of an area's flags, from bit 0. "ro" becomes ReadOnly.
var fmapFlags = [...]string{"static", "compressed", "ro", "preserve"}

// FMAP finds the flash map inside a firmware image, at any offset, and reads it.
// Offsets of areas count from the start of the image; areas inside others become
// their children.
//
// An image can hold more than one: firmware for a second chip carries its own,
// and programs that look for a map carry the signature. Of those that are sound
// the best wins: first one as long as the image, then one whose area "FMAP" says
// that it lies where it was found, then the first. Notes name the others.
func FMAP(image []byte) (Map, error) {
	var best Map
	bestScore, bestAt, found := -1, 0, 0
	firstErr := error(&Error{srcFMAP, -1, ErrNone, "the image has no " + fmapSignature + ": pass the whole flash image"})
	var others []string
	for at := 0; ; at++ {
		k := bytes.Index(image[at:], []byte(fmapSignature))
		if k < 0 {
			break
		}
		at += k
		if found++; found > maxFMAPs {
			others = append(others, fmt.Sprintf("only the first %d signatures were looked at", maxFMAPs))
			break
		}
		m, err := parseFMAP(image, at)
		if err != nil {
			if found == 1 {
				firstErr = err
			}
			continue
		}
		score := fmapScore(m, at, len(image))
		if bestScore >= 0 {
			loser := at
			if score > bestScore {
				loser = bestAt
			}
			others = append(others, fmt.Sprintf("another map at %#x was passed over", loser))
		}
		if score > bestScore {
			best, bestScore, bestAt = m, score, at
		}
	}
	if bestScore < 0 {
		return Map{}, firstErr
	}
	if best.Size != int64(len(image)) {
		best.Notes = append(best.Notes, fmt.Sprintf("the map is for %#x bytes, the image has %#x", best.Size, len(image)))
	}
	best.Notes = append(best.Notes, others...)
	return best, nil
}

func fmapScore(m Map, at, length int) (score int) {
	if m.Size == int64(length) {
		score = 2
	}
	for _, p := range m.Flat() {
		if p.Name == "FMAP" && p.Off == int64(at) {
			return score + 1
		}
	}
	return score
}

func parseFMAP(image []byte, at int) (Map, error) {
	fail := func(off int, kind error, format string, a ...any) (Map, error) {
		return Map{}, &Error{srcFMAP, off, kind, fmt.Sprintf(format, a...)}
	}
	b := image[at:]
	if len(b) < fmapHeader {
		return fail(at, ErrSyntax, "the header is cut: pass the whole flash image")
	}
	if b[8] != 1 {
		return fail(at+8, ErrSyntax, "version %d.%d: only 1.x is known", b[8], b[9])
	}
	size := int64(binary.LittleEndian.Uint32(b[18:]))
	if size == 0 {
		return fail(at+18, ErrSyntax, "the device has no bytes: correct the size")
	}
	name, ok := fmapString(b[22:])
	if !ok {
		return fail(at+22, ErrSyntax, "the name of the map is no printable string")
	}
	n := int(binary.LittleEndian.Uint16(b[54:]))
	switch {
	case n == 0:
		return fail(at+54, ErrSyntax, "the map has no areas")
	case n > MaxParts:
		return fail(at+54, ErrLimit, "%d areas: only %d are read", n, MaxParts)
	case len(b) < fmapHeader+n*fmapArea:
		return fail(at+54, ErrSyntax, "%d areas are more than the image holds: pass the whole flash image", n)
	}
	m := Map{Source: srcFMAP, Device: name, Size: size}
	items := make([]item, 0, n)
	for i := range n {
		pos := fmapHeader + i*fmapArea
		it, note, bad := parseArea(b[pos:])
		if bad != "" {
			return fail(at+pos, ErrSyntax, "area %d: %s", i, bad)
		}
		if note != "" {
			m.Notes = append(m.Notes, note)
		}
		if it.Len > 0 {
			it.pos, it.Index = at+pos, i
			items = append(items, it)
		}
	}
	if len(items) == 0 {
		return fail(at+54, ErrSyntax, "every area of the map is empty")
	}
	var err error
	m.Parts, _, err = arrange(srcFMAP, items, size) // nesting is how the format is meant
	if err != nil {
		return Map{}, err
	}
	return m, nil
}

func parseArea(b []byte) (it item, note, bad string) {
	name, ok := fmapString(b[8:])
	if !ok || name == "" {
		return it, "", "the name is empty or no printable string"
	}
	it.Part = Part{Name: name, Off: int64(binary.LittleEndian.Uint32(b)), Len: int64(binary.LittleEndian.Uint32(b[4:]))}
	if it.Len == 0 {
		return it, fmt.Sprintf("area %q is empty and was left out", name), ""
	}
	flags := binary.LittleEndian.Uint16(b[40:])
	for bit, f := range fmapFlags {
		switch {
		case flags>>bit&1 == 0:
		case f == "ro":
			it.ReadOnly = true
		default:
			it.Flags = append(it.Flags, f)
		}
	}
	if unknown := flags >> len(fmapFlags) << len(fmapFlags); unknown != 0 {
		note = fmt.Sprintf("area %q has unknown flags %#x", name, unknown)
	}
	return it, note, ""
}

// fmapString reads a string of 32 bytes. What follows its zero is padding.
func fmapString(b []byte) (string, bool) {
	k := bytes.IndexByte(b[:fmapName], 0)
	if k < 0 {
		return "", false
	}
	s := string(b[:k])
	return s, s == "" || checkName(s) == ""
}
