//go:build !linux

package bench

import (
	"testing"

	"github.com/nanolock/nanolock/nvm"
)

// newMapped: package mmap is for Linux.
func newMapped(tb testing.TB, geo nvm.Geometry) memory { return newRAM(tb, geo) }
