package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nanolock/nanolock/backend/mmap"
	"github.com/nanolock/nanolock/nvm"
)

// newMapped returns a mapped memory of that geometry: a file.
func newMapped(tb testing.TB, geo nvm.Geometry) memory {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "flash")
	content := make([]byte, geo.Size)
	touch(content)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	m, err := mmap.Open(path, &mmap.Options{Geometry: geo})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = m.Close() })
	return m
}
