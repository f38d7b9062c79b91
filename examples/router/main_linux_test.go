package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	image := filepath.Join(t.TempDir(), "flash.bin")
	var out strings.Builder
	if err := run(image, &out); err != nil {
		t.Fatal(err)
	}
	done, refused := 0, 0
	for line := range strings.Lines(out.String()) {
		malware, denied := strings.HasPrefix(line, "malware"), strings.Contains(line, "denied")
		switch {
		case strings.HasPrefix(line, "note"):
			continue
		case malware != denied:
			t.Errorf("wrong answer: %s", line)
		case denied:
			refused++
		default:
			done++
		}
	}
	if done != 5 || refused != 6 {
		t.Errorf("%d done, %d refused:\n%s", done, refused, out.String())
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	for off, want := range map[int]string{
		0x00000: "U-Boot 2024.01\xff", 0x30000: "bootdelay=1\xff", 0x40000: "calibration\xff",
		0x50000: "kernel\xff", 0x250000: "hsqs root", 0xc50000: "config wifi-iface\xff",
	} {
		if !bytes.HasPrefix(b[off:], []byte(want)) {
			t.Errorf("%#x holds %q, want %q", off, b[off:off+16], want)
		}
	}
}
