package flashmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

type area struct {
	name      string
	off, size uint32
	flags     uint16
}

// fmapBytes writes an FMAP.
func fmapBytes(name string, size uint32, areas ...area) []byte {
	str := func(b []byte, s string) []byte { return append(b, append([]byte(s), make([]byte, 32-len(s))...)...) }
	b := append([]byte(fmapSignature), 1, 1)
	b = binary.LittleEndian.AppendUint64(b, 0xff000000)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = str(b, name)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(areas)))
	for _, a := range areas {
		b = binary.LittleEndian.AppendUint32(b, a.off)
		b = binary.LittleEndian.AppendUint32(b, a.size)
		b = str(b, a.name)
		b = binary.LittleEndian.AppendUint16(b, a.flags)
	}
	return b
}

// chromebook is an image of 64 KiB with a map at an odd offset.
func chromebook() []byte {
	image := bytes.Repeat([]byte{0xff}, 0x10000)
	copy(image[0x8001:], fmapBytes("FLASH", 0x10000,
		area{"WP_RO", 0x8000, 0x8000, 4 | 1},
		area{"RO_VPD", 0xf000, 0x1000, 8},
		area{"RO_SECTION", 0x8000, 0x7000, 0},
		area{"FMAP", 0x8001, 0x7ff, 1},
		area{"RW_SECTION_A", 0, 0x6000, 2},
		area{"RW_UNUSED", 0x6000, 0, 0},
		area{"RW_MISC", 0x6000, 0x2000, 0x8010},
	))
	return image
}

func TestFMAP(t *testing.T) {
	m, err := FMAP(chromebook())
	if err != nil {
		t.Fatal(err)
	}
	sound(t, m)
	same(t, "chromebook", m, `
		RW_SECTION_A 0x0+0x6000 compressed
		RW_MISC 0x6000+0x2000
		WP_RO 0x8000+0x8000 ro static
		  RO_SECTION 0x8000+0x7000
		    FMAP 0x8001+0x7ff static
		  RO_VPD 0xf000+0x1000 preserve
	`)
	if m.Device != "FLASH" || m.Size != 0x10000 || m.Source != "fmap" {
		t.Errorf("%+v", m)
	}
	want := []string{`area "RW_UNUSED" is empty and was left out`, `area "RW_MISC" has unknown flags 0x8010`}
	if fmt.Sprint(m.Notes) != fmt.Sprint(want) {
		t.Errorf("%q", m.Notes)
	}
}

// Of several maps: the one as long as the image, then the one that says where
// it lies, then the first.
func TestFMAPChoice(t *testing.T) {
	ec := fmapBytes("EC", 0x800, area{"EC_RO", 0, 0x400, 0})
	other := fmapBytes("OTHER", 0x10000, area{"ALL", 0, 0x10000, 0})
	for _, v := range []struct {
		name, device string
		at           map[int][]byte
		notes        string
	}{
		{"an embedded controller's before", "FLASH", map[int][]byte{0x100: ec}, "another map at 0x100 was passed over"},
		{"an embedded controller's behind", "FLASH", map[int][]byte{0x9000: ec}, "another map at 0x9000 was passed over"},
		{"one as long", "FLASH", map[int][]byte{0x100: other}, "another map at 0x100 was passed over"},
		{"a bare signature", "FLASH", map[int][]byte{0x100: []byte(fmapSignature), 0xfff8: []byte(fmapSignature)}, ""},
		{"no map for the whole", "EC", map[int][]byte{0x8001: make([]byte, 8), 0x40: ec}, "the map is for 0x800 bytes, the image has 0x10000"},
		{"too many", "FLASH", map[int][]byte{0xa000: bytes.Repeat([]byte(fmapSignature), maxFMAPs)}, "only the first 64 signatures were looked at"},
	} {
		image := chromebook()
		for at, b := range v.at {
			copy(image[at:], b)
		}
		m, err := FMAP(image)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		notes := strings.Join(m.Notes, "\n")
		if m.Device != v.device || !strings.Contains(notes, v.notes) || v.notes == "" && strings.Contains(notes, "another") {
			t.Errorf("%s: %s, %s", v.name, m.Device, notes)
		}
	}
}

func TestFMAPRefuses(t *testing.T) {
	base := fmapBytes("FLASH", 0x1000, area{"A", 0, 0x800, 0}, area{"B", 0x800, 0x800, 0})
	patch := func(at int, b ...byte) []byte {
		c := bytes.Clone(base)
		copy(c[at:], b)
		return c
	}
	for _, v := range []struct {
		name  string
		image []byte
		kind  error
		off   int
	}{
		{"none", make([]byte, 4096), ErrNone, -1},
		{"empty", nil, ErrNone, -1},
		{"version 2", patch(8, 2), ErrSyntax, 8},
		{"no size", patch(18, 0, 0, 0, 0), ErrSyntax, 18},
		{"name without end", patch(22, bytes.Repeat([]byte{'x'}, 32)...), ErrSyntax, 22},
		{"name of control characters", patch(22, 7), ErrSyntax, 22},
		{"no areas", patch(54, 0, 0), ErrSyntax, 54},
		{"65535 areas", patch(54, 0xff, 0xff), ErrLimit, 54},
		{"one area too many", patch(54, 3, 0), ErrSyntax, 54},
		{"area beyond the end", patch(56, 1, 8, 0, 0, 0, 8, 0, 0), ErrRange, 56},
		{"area at 4 GiB", patch(56, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), ErrRange, 56},
		{"area without a name", patch(64, 0), ErrSyntax, 56},
		{"overlap", patch(60, 1, 8), ErrOverlap, 98},
		{"only empty areas", fmapBytes("X", 16, area{"A", 0, 0, 0}), ErrSyntax, 54},
	} {
		m, err := FMAP(v.image)
		if refused(t, v.name, err, v.kind, v.off); m.Parts != nil {
			t.Errorf("%s: parts with the error", v.name)
		}
	}
	for n := range base {
		if _, err := FMAP(base[:n:n]); !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrNone) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
}

func FuzzFMAP(f *testing.F) {
	f.Add(fmapBytes("FLASH", 0x1000, area{"A", 0, 0x800, 0}, area{"B", 0x800, 0x800, 7}))
	f.Add(append([]byte(fmapSignature), fmapBytes("", 64, area{"FMAP", 8, 10, 0xffff}, area{"E", 1, 0, 0})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := FMAP(b); err == nil {
			sound(t, m)
		}
	})
}
