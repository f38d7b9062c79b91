package order

import "crypto/sha256"

// hash is that of a node.
type hash = [32]byte

// leafHash and nodeHash are those of RFC 9162 §2.1.1: the first byte keeps a
// node from being taken for a leaf.
func leafHash(payload []byte) hash {
	h := sha256.New()
	h.Write([]byte{0x00})
	h.Write(payload)
	return hash(h.Sum(nil))
}

func nodeHash(left, right hash) hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 0x01
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// tree is the levels of a Merkle tree, leaves first. A last node without a
// neighbour moves up as it is, which gives the tree of RFC 9162 §2.1.1.
type tree [][]hash

func newTree(leaves []hash) tree {
	t := tree{leaves}
	for len(leaves) > 1 {
		up := make([]hash, 0, (len(leaves)+1)/2)
		for i := 0; i+1 < len(leaves); i += 2 {
			up = append(up, nodeHash(leaves[i], leaves[i+1]))
		}
		if len(leaves)%2 == 1 {
			up = append(up, leaves[len(leaves)-1])
		}
		t, leaves = append(t, up), up
	}
	return t
}

func (t tree) root() hash { return t[len(t)-1][0] }

// path is the inclusion path of leaf i (RFC 9162 §2.1.3.1).
func (t tree) path(i int) (p []hash) {
	for _, level := range t[:len(t)-1] {
		if sibling := i ^ 1; sibling < len(level) {
			p = append(p, level[sibling])
		}
		i /= 2
	}
	return p
}

// rootFrom computes the root from a leaf and its path as RFC 9162 §2.1.3.2 does;
// false if a path of that length is none for leaf index of count.
func rootFrom(r hash, index, count uint64, path []hash) (hash, bool) {
	if index >= count {
		return hash{}, false
	}
	fn, sn := index, count-1
	for _, p := range path {
		if sn == 0 {
			return hash{}, false
		}
		if fn&1 == 1 || fn == sn {
			r = nodeHash(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = nodeHash(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return r, sn == 0
}
