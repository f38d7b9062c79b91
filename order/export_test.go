package order

// For tests alone: the tree, the schema and its numbers.

func Root(leaves [][32]byte) [32]byte { return newTree(leaves).root() }

func Path(leaves [][32]byte, i int) [][32]byte { return newTree(leaves).path(i) }

func RootFrom(leaf [32]byte, index, count uint64, path [][32]byte) ([32]byte, bool) {
	return rootFrom(leaf, index, count, path)
}
