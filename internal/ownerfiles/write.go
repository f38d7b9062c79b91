package ownerfiles

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nanolock/nanolock/nvm"
)

// Flash is what Write needs of a handle.
type Flash interface {
	Geometry() nvm.Geometry
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Erase(off, n int64) error
	Sync() error
}

// Write puts content at off by whole erase blocks: what else is in the first and
// last of them stays, if it can be read; with pad it becomes erased. Blocks that
// hold the content already are left alone. Afterwards what can be read is compared.
// f takes programs of a whole erase block, as mapped images do and as sessions for
// known content ask for.
func Write(f Flash, content []byte, off int64, pad bool) error {
	g := f.Geometry()
	end := off + int64(len(content))
	for at := off; at < end; {
		b := g.Block(at)
		next := b.End()
		if b.Len <= 0 || next > g.Size {
			return fmt.Errorf("%w: %d is behind the end of the memory", nvm.ErrRange, at)
		}
		stop := min(end, next)
		if err := writeBlock(f, g, b, content[at-off:stop-off], at-b.Off, pad); err != nil {
			return fmt.Errorf("erase block at %#x: %w", b.Off, err)
		}
		at = next
	}
	return f.Sync()
}

// writeBlock makes one erase block hold part at an offset into it.
func writeBlock(f Flash, g nvm.Geometry, b nvm.Span, part []byte, at int64, pad bool) error {
	old := make([]byte, b.Len)
	_, readErr := f.ReadAt(old, b.Off)
	want := bytes.Repeat([]byte{g.Erased}, int(b.Len))
	if !pad && int64(len(part)) < b.Len {
		if readErr != nil {
			return fmt.Errorf("the rest of it cannot be read, and would be lost: %w", readErr)
		}
		copy(want, old)
	}
	copy(want[at:], part)
	blank := bytes.Repeat([]byte{g.Erased}, int(b.Len))
	switch {
	case readErr == nil && bytes.Equal(old, want):
		return nil
	case readErr == nil && bytes.Equal(old, blank) || g.Program == nvm.Rewrite:
	default:
		if err := f.Erase(b.Off, b.Len); err != nil {
			return err
		}
	}
	if !bytes.Equal(want, blank) || g.Program == nvm.Rewrite {
		if _, err := f.WriteAt(want, b.Off); err != nil {
			return err
		}
	}
	_, err := f.ReadAt(old, b.Off)
	if errors.Is(err, fs.ErrPermission) {
		return nil // whoever may write need not be allowed to read
	}
	if err == nil && !bytes.Equal(old, want) {
		err = errors.New("it reads back as something else")
	}
	return err
}
