package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	image := filepath.Join(t.TempDir(), "flash.bin")
	want := `write settings:   <nil>
write bootloader: nanolock: write denied: region "bootloader" (write: never)
erase bootloader: nanolock: erase denied: region "bootloader" (erase: never)
`
	var out strings.Builder
	guard(image, &out)
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 1<<20 || !bytes.HasPrefix(b[0x40000:], []byte("volume=11\xff")) {
		t.Errorf("settings hold %q", b[0x40000:0x40010])
	}
	if !bytes.Equal(b[:0x40000], bytes.Repeat([]byte{0xFF}, 0x40000)) {
		t.Error("the bootloader changed")
	}
}
