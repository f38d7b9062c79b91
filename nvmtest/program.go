package nvmtest

import (
	"bytes"
	"errors"
	"io"
	"testing/iotest"

	"github.com/nanolock/nanolock/nvm"
)

// checkProgramErased: erased bytes take any value, and the neighbours, erased or
// not, stay as they are.
func checkProgramErased(e *env) error {
	b, u := e.first(), e.unit()
	if err := e.erase(b); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	behind := int64(0)
	for i, at := range []int64{0, u, b.Len / 2 / u * u, b.Len - u} {
		if at < behind || at+u > b.Len {
			continue
		}
		behind = at + u
		p := e.pattern(at, u, uint64(10+i))
		if err := e.program(p, b.Off+at); err != nil {
			return err
		}
		im.put(p, b.Off+at)
		if err := im.differ(sProgram, "after a program of %d bytes at %#x", u, b.Off+at); err != nil {
			return err
		}
	}
	return e.longProgram(b)
}

// longProgram programs as much as one program may.
func (e *env) longProgram(b nvm.Span) error {
	if err := e.erase(b); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	n := b.Len
	if e.geo.PageSize > 0 {
		n = e.geo.PageSize
	}
	p := e.pattern(b.Off, n, 14)
	if err := e.program(p, b.Off); err != nil {
		return err
	}
	im.put(p, b.Off)
	return im.differ(sProgram, "after a program of %d bytes at %#x", n, b.Off)
}

// checkProgramClass: what a second program does.
func checkProgramClass(e *env) error {
	if e.geo.Program == nvm.OncePage {
		return e.checkOnce()
	}
	sentence := sClear
	combine := func(old, new byte) byte { return old & new }
	switch {
	case e.geo.Program == nvm.Rewrite:
		sentence, combine = sRewrite, func(_, new byte) byte { return new }
	case e.geo.Erased == 0:
		combine = func(old, new byte) byte { return old | new }
	case e.geo.Erased != 0xFF:
		return nil // the contract does not say
	}
	b, u := e.first(), e.unit()
	if err := e.erase(b); err != nil {
		return err
	}
	im, err := e.snap()
	if err != nil {
		return err
	}
	// Every pair of old and new nibbles is among these.
	old := bytes.Repeat([]byte{e.geo.Erased}, int(u))
	at := b.Off + b.Len - u
	for round := range uint64(40) {
		p := e.pattern(at, u, 20+round)
		switch round {
		case 1:
			p = bytes.Repeat([]byte{e.geo.Erased}, int(u)) // sets no bit back
		case 39:
			p = bytes.Repeat([]byte{^e.geo.Erased}, int(u))
		}
		if err := e.program(p, at); err != nil {
			return err
		}
		for i := range old {
			old[i] = combine(old[i], p[i])
		}
		im.put(old, at)
		if err := im.differ(sentence, "after program %d of %d bytes at %#x", round+1, u, at); err != nil {
			return err
		}
	}
	return nil
}

// checkOnce: a second program is an error and changes nothing, the next unit and
// a unit erased again can be programmed.
func (e *env) checkOnce() error {
	b, u := e.first(), e.unit()
	for round := range uint64(2) {
		if err := e.erase(b); err != nil {
			return err
		}
		im, err := e.snap()
		if err != nil {
			return err
		}
		for at := b.Off; at < b.Off+min(3*u, b.Len); at += u {
			p := e.pattern(at, u, 70+round)
			if err := e.program(p, at); err != nil {
				return err
			}
			im.put(p, at)
			for _, q := range [][]byte{e.pattern(at, u, 80+round), p, bytes.Repeat([]byte{^e.geo.Erased}, int(u))} {
				if n, err := e.mem.WriteAt(q, at); n != 0 || !errors.Is(err, nvm.ErrProgrammed) {
					return broke(sOnce, "second WriteAt(%d bytes, %#x) = %d, %v; want 0, %v", u, at, n, err, nvm.ErrProgrammed)
				}
			}
			if err := im.differ(sOnce, "after a second program at %#x", at); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkAddresses: no two places of the memory are one. Markers at distances of
// powers of two find an address that is cut short.
func checkAddresses(e *env) error {
	marks := []nvm.Span{e.first(), e.finish()}
	for d := e.geo.EraseSize; d < e.geo.Size; d *= 2 {
		for _, w := range e.work {
			if d >= w.Off && d < w.End() {
				marks = append(marks, e.geo.Block(d))
			}
		}
	}
	done := map[int64]bool{}
	for _, m := range marks {
		if done[m.Off] {
			continue
		}
		done[m.Off] = true
		if err := e.erase(m); err != nil {
			return err
		}
		if err := e.program(e.pattern(m.Off, e.unit(), 90), m.Off); err != nil {
			return err
		}
	}
	for _, m := range marks {
		got, err := e.get(nvm.Span{Off: m.Off, Len: e.unit()})
		if err != nil {
			return err
		}
		if !bytes.Equal(got, e.pattern(m.Off, e.unit(), 90)) {
			return broke(sProgram, "what was programmed at %#x changed when another block was erased or programmed", m.Off)
		}
	}
	return nil
}

// checkRetain: p is the caller's again when WriteAt and ReadAt return, and
// WriteAt leaves it as it is.
func checkRetain(e *env) error {
	b := e.first()
	if err := e.erase(b); err != nil {
		return err
	}
	n := min(b.Len, max(e.geo.PageSize, e.unit()))
	want := e.pattern(b.Off, n, 95)
	p := bytes.Clone(want)
	if err := e.program(p, b.Off); err != nil {
		return err
	}
	if !bytes.Equal(p, want) {
		return broke(sModify, "WriteAt changed its argument")
	}
	for i := range p {
		p[i] = ^p[i]
	}
	if err := e.mem.Sync(); err != nil {
		return broke(sSync, "Sync() = %v", err)
	}
	got, err := e.get(nvm.Span{Off: b.Off, Len: n})
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return broke(sRetain, "changing p after WriteAt returned changed the memory")
	}
	if err := e.erase(b); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return broke(sRetain, "an erase changed what ReadAt had returned")
	}
	return nil
}

// checkReader runs the tests of package iotest over a part of the memory.
func checkReader(e *env) error {
	for _, b := range []nvm.Span{e.first(), e.finish()} {
		if err := e.fill(b, 97); err != nil {
			return err
		}
		s := nvm.Span{Off: b.End() - min(b.Len, 3000), Len: min(b.Len, 3000)}
		want := e.pattern(b.Off, b.Len, 97)[s.Off-b.Off:]
		if err := iotest.TestReader(io.NewSectionReader(e.mem, s.Off, s.Len), want); err != nil {
			return broke(sReadAt, "iotest.TestReader over %v: %v", s, err)
		}
	}
	return nil
}
