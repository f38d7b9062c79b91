//go:build !linux

package mmap

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/nanolock/nanolock/nvm"
)

var errSystem = fmt.Errorf("mmap: %w on %s", errors.ErrUnsupported, runtime.GOOS)

// Memory is a file as nvm.NVM. On this system there is none, and all methods of
// the zero Memory refuse.
type Memory struct{ _ [0]func() }

var _ nvm.Remapper = (*Memory)(nil)

// Open returns an error that wraps errors.ErrUnsupported.
func Open(path string, o *Options) (*Memory, error) {
	if _, err := o.withDefaults(); err != nil {
		return nil, err
	}
	return nil, errSystem
}

// Create returns an error that wraps errors.ErrUnsupported.
func Create(path string, g nvm.Geometry) error {
	if _, err := geometryOf(g, g.Size); err != nil {
		return err
	}
	return errSystem
}

// ReadAt refuses.
func (*Memory) ReadAt([]byte, int64) (int, error) { return 0, errSystem }

// WriteAt refuses.
func (*Memory) WriteAt([]byte, int64) (int, error) { return 0, errSystem }

// Erase refuses.
func (*Memory) Erase(int64, int64) error { return errSystem }

// Sync refuses.
func (*Memory) Sync() error { return errSystem }

// Close refuses.
func (*Memory) Close() error { return errSystem }

// Geometry is the zero Geometry.
func (*Memory) Geometry() nvm.Geometry { return nvm.Geometry{} }

// Bytes is nil.
func (*Memory) Bytes() []byte { return nil }

// Remap refuses.
func (*Memory) Remap([][2]nvm.Span) ([]byte, error) { return nil, errSystem }

// Verify refuses.
func (*Memory) Verify() ([]nvm.Span, error) { return nil, errSystem }
