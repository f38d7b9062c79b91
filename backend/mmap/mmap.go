// Package mmap makes a file a memory, on Linux: an image of a flash part, a
// partition's dump, or the storage of a device that boots from a file.
//
// # Two ways to read
//
// A mapped file has a trap: whoever truncates the file makes the next look at
// the mapping a fault, and a Go program dies of it. And whoever writes to the
// file changes what was read and verified a moment ago. Open therefore copies a
// file of up to [Options].ShadowLimit bytes into anonymous memory that is sealed
// against any change of size and, from Linux 5.1 on, against any writer but this
// Memory. Reads and [Memory.Bytes] are served from this shadow: they cannot
// fault, they cost a copy and nothing else, and no other process changes them.
// Programs and erases go to the file first, then to the shadow.
//
// A larger file, or any with [Options].Direct, is read where it is, each time
// under a guard that turns a fault into an error; that costs some nanoseconds,
// and [Memory.Bytes] hands out no mapping. Nothing protects such a reader from
// somebody who writes to the file.
//
// # Who else has the file
//
// Open takes a lock (flock: exclusive, or shared for ReadOnly), which keeps out
// all who ask for it, this process included. It is advisory: keep the file in a
// directory that nobody else can write. Who ignores the lock is noticed: a changed
// size, or a removed file, by each program, erase and Sync ([ErrTruncated],
// [ErrRemoved]), a fault by the guard, changed content by [Memory.Verify]. From then on the Memory is failed:
// programs, erases, Sync and Close return that first error for ever. What reads
// do then depends: the shadow goes on serving what was there, and what the
// interrupted program may have done of its bytes; a direct Memory refuses to
// read, since bytes behind a new end of the file read as zero up to the next page.
//
// # Lifetime
//
// Close makes all durable, gives the lock back and takes the writable mappings
// away. The mapping that reads use, that Bytes and Remap handed out, stays until
// the *Memory is garbage: no reader under way, and no holder of a view who also
// holds the *Memory, can fault. A slice alone does not keep the Memory alive; keep
// the *Memory as long as the slice, with runtime.KeepAlive if nothing else does.
//
// On systems other than Linux, Open and Create return an error that wraps
// errors.ErrUnsupported.
package mmap

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"slices"

	"github.com/nanolock/nanolock/nvm"
)

// DefaultShadowLimit is the largest file, in bytes, that is copied into memory
// if Options does not say otherwise: 256 MiB.
const DefaultShadowLimit = int64(256) << 20

// blockSize is the erase block, in bytes, of a file about which nothing is said.
const blockSize = 4096

// maxUnits bounds the table of programmed units of a OncePage file: 128 MiB.
const maxUnits = int64(1) << 30

// Options of Open. nil and the zero Options are valid.
type Options struct {
	// Geometry of the memory; the file must have exactly Size bytes. The zero
	// Geometry is Rewrite in erase blocks of 4 KiB, over the file as it is.
	//
	// ClearBits and OncePage are enforced, for images of flash parts. What a
	// OncePage file holds at Open counts as programmed if it is not erased: a
	// unit that was programmed with the erased value is forgotten by Close.
	Geometry nvm.Geometry

	// ReadOnly opens the file for reading and shares it with other readers.
	// Programs and erases return nvm.ErrReadOnly.
	ReadOnly bool

	// Direct makes no shadow, whatever the size of the file.
	Direct bool

	// ShadowLimit is the largest file, in bytes, that is given a shadow, which
	// costs as much memory. 0 is DefaultShadowLimit.
	ShadowLimit int64
}

// What can be wrong with a file. Errors wrap these, and those of package nvm.
var (
	// ErrLocked: this or another process has the file open.
	ErrLocked = errors.New("mmap: locked by another user of the file")
	// ErrSize: the file is empty, or not of the geometry's size.
	ErrSize = errors.New("mmap: wrong size of the file")
	// ErrNotFile: a directory, a device, a pipe, a socket, or a symbolic link,
	// which is never followed as the last element of the path.
	ErrNotFile = errors.New("mmap: not a regular file")
	// ErrTruncated: the size of the file was changed while it was open.
	ErrTruncated = errors.New("mmap: the size of the file was changed by somebody else")
	// ErrRemoved: the file has no name any more; nothing in it survives.
	ErrRemoved = errors.New("mmap: the file was removed")
	// ErrFault: the system could not provide a page of the file; the disk is
	// full or broken.
	ErrFault = errors.New("mmap: fault in the mapping of the file")
)

// withDefaults returns a copy of o without zeroes. It wraps nvm.ErrGeometry, or
// fs.ErrInvalid.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if c.ShadowLimit < 0 {
		return c, fmt.Errorf("%w: shadow limit %d", fs.ErrInvalid, c.ShadowLimit)
	}
	if c.ShadowLimit == 0 {
		c.ShadowLimit = DefaultShadowLimit
	}
	if reflect.ValueOf(c.Geometry).IsZero() {
		return c, nil
	}
	c.Geometry.Blocks = slices.Clone(c.Geometry.Blocks)
	return c, possible(c.Geometry)
}

// possible tells whether a file can be a memory of geometry g.
func possible(g nvm.Geometry) error {
	if err := g.Validate(); err != nil {
		return err
	}
	switch {
	case g.Size > math.MaxInt:
		return fmt.Errorf("%w: %d bytes are more than this build can map", nvm.ErrGeometry, g.Size)
	case g.BadBlocks:
		return fmt.Errorf("%w: a file has no bad blocks", nvm.ErrGeometry)
	case g.Program == nvm.ClearBits && g.Erased != 0xFF && g.Erased != 0:
		return fmt.Errorf("%w: bits cleared from an erased value of %#02x", nvm.ErrGeometry, g.Erased)
	case g.Program == nvm.OncePage && g.Size/g.ProgramSize > maxUnits:
		return fmt.Errorf("%w: more than %d program units", nvm.ErrGeometry, maxUnits)
	}
	return nil
}

// geometryOf is what a file of size bytes is with the geometry g, zero or not.
func geometryOf(g nvm.Geometry, size int64) (nvm.Geometry, error) {
	if size == 0 {
		return g, fmt.Errorf("%w: it is empty", ErrSize)
	}
	if g.Size == 0 {
		if size%blockSize != 0 {
			return g, fmt.Errorf("%w: %d bytes are not whole blocks of %d", ErrSize, size, blockSize)
		}
		g = nvm.Geometry{Size: size, EraseSize: blockSize, ProgramSize: 1, Program: nvm.Rewrite, Erased: 0xFF}
		return g, possible(g)
	}
	if size != g.Size {
		return g, fmt.Errorf("%w: it has %d bytes, the geometry %d", ErrSize, size, g.Size)
	}
	return g, nil
}
