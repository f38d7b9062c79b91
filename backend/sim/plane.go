package sim

const chunkSize = 512

type chunk [chunkSize]byte

// plane is one byte per place, zero where nothing was ever written.
type plane struct{ tree[chunk] }

func newPlane(n int64) plane { return plane{newTree[chunk]((n + chunkSize - 1) / chunkSize)} }

func (p *plane) clone(mine, theirs *owner) plane { return plane{p.tree.clone(mine, theirs)} }

// pieces cuts [off, off+n) at the borders of chunks.
func pieces(off, n int64, f func(index, lo, hi, at int64)) {
	for at := int64(0); at < n; {
		lo := (off + at) % chunkSize
		hi := min(chunkSize, lo+n-at)
		f((off+at)/chunkSize, lo, hi, at)
		at += hi - lo
	}
}

// read fills dst with the bytes at off.
func (p *plane) read(dst []byte, off int64) {
	if p.empty() {
		clear(dst)
		return
	}
	for len(dst) > 0 {
		lo := off % chunkSize
		n := min(int64(len(dst)), chunkSize-lo)
		if c := p.get(off / chunkSize); c != nil {
			copy(dst, c[lo:lo+n])
		} else {
			clear(dst[:n])
		}
		dst, off = dst[n:], off+n
	}
}

// at returns the byte at off.
func (p *plane) at(off int64) byte {
	if c := p.get(off / chunkSize); c != nil {
		return c[off%chunkSize]
	}
	return 0
}

// set puts src at off; zeros are not stored where nothing was.
func (p *plane) set(off int64, src []byte) {
	pieces(off, int64(len(src)), func(i, lo, hi, at int64) {
		part := src[at : at+hi-lo]
		if old := p.get(i); old == nil && zero(part) || old != nil && string(old[lo:hi]) == string(part) {
			return
		}
		copy(p.mut(i)[lo:hi], part)
	})
}

// put sets one byte.
func (p *plane) put(off int64, b byte) { p.set(off, []byte{b}) }

// wipe zeroes [off, off+n) and gives whole chunks back.
func (p *plane) wipe(off, n int64) {
	if p.empty() {
		return
	}
	pieces(off, n, func(i, lo, hi, _ int64) {
		switch c := p.get(i); {
		case c == nil:
		case hi-lo == chunkSize:
			p.drop(i)
		case !zero(c[lo:hi]):
			clear(p.mut(i)[lo:hi])
		}
	})
}

var zeros chunk

// zero tells whether p is all zero.
func zero(p []byte) bool {
	for len(p) > chunkSize {
		if string(p[:chunkSize]) != string(zeros[:]) {
			return false
		}
		p = p[chunkSize:]
	}
	return string(p) == string(zeros[:len(p)])
}

// zero tells whether [off, off+n) is all zero.
func (p *plane) zero(off, n int64) bool {
	if p.empty() {
		return true
	}
	for n > 0 {
		lo := off % chunkSize
		k := min(n, chunkSize-lo)
		if c := p.get(off / chunkSize); c != nil && !zero(c[lo:lo+k]) {
			return false
		}
		off, n = off+k, n-k
	}
	return true
}
