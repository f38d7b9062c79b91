package mmap

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/nanolock/nanolock/nvm"
)

// maxSpans bounds what Verify returns.
const maxSpans = 1024

// Verify compares the file with the shadow and returns where they differ: what
// others wrote who ignored the lock. It does not repair, and the Memory goes on.
// A span reaches from the first to the last different byte of 4 KiB, neighbours
// are joined, and beyond 1024 of them the last one covers the rest. Programs may
// run meanwhile. Errors: nvm.ErrClosed, ErrTruncated, ErrRemoved, those of the system,
// and errors.ErrUnsupported without a shadow.
func (m *Memory) Verify() ([]nvm.Span, error) {
	m.life.RLock()
	defer m.life.RUnlock()
	switch {
	case m.res == nil || m.res.file < 0:
		return nil, nvm.ErrClosed
	case m.direct:
		return nil, fmt.Errorf("%w: no shadow to compare with", errors.ErrUnsupported)
	}
	var out []nvm.Span
	buf := make([]byte, piece)
	for off := int64(0); off < m.geo.Size; off += piece {
		s, err := m.compare(buf, off)
		if err != nil {
			return out, err
		}
		if s.Len > 0 {
			out = join(out, s)
		}
	}
	return out, nil
}

// compare returns the bytes of the piece at off that differ.
func (m *Memory) compare(buf []byte, off int64) (nvm.Span, error) {
	p := buf[:min(piece, m.geo.Size-off)]
	m.prog.Lock() // else a program half done would be a difference
	defer m.prog.Unlock()
	if err := m.intact(&m.stat); err != nil {
		return nvm.Span{}, err
	}
	if err := readFull(m.res.file, p, off); err != nil {
		if errors.Is(err, ErrTruncated) {
			err = m.fail(m.named("verify", err))
		}
		return nvm.Span{}, err
	}
	want := m.view[off : off+int64(len(p))]
	if bytes.Equal(p, want) {
		return nvm.Span{}, nil
	}
	i, k := 0, len(p)
	for p[i] == want[i] {
		i++
	}
	for p[k-1] == want[k-1] {
		k--
	}
	return nvm.Span{Off: off + int64(i), Len: int64(k - i)}, nil
}

// join appends s, to the last span if it touches it or the list is long enough.
func join(list []nvm.Span, s nvm.Span) []nvm.Span {
	if k := len(list) - 1; k >= 0 && (list[k].End() == s.Off || len(list) == maxSpans) {
		list[k].Len = s.End() - list[k].Off
		return list
	}
	return append(list, s)
}
