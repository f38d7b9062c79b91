package order

import "slices"

// For tests alone: the tree, the schema and its numbers.

func Root(leaves [][32]byte) [32]byte { return newTree(leaves).root() }

func Path(leaves [][32]byte, i int) [][32]byte { return newTree(leaves).path(i) }

func RootFrom(leaf [32]byte, index, count uint64, path [][32]byte) ([32]byte, bool) {
	return rootFrom(leaf, index, count, path)
}

// Object is one map of the schema.
type Object struct {
	Name string
	Keys []Key
}

// Key is one key of it.
type Key struct {
	Number   int64
	Name     string
	Optional bool
}

// Schema is what docs/wire/*.cddl have to say of maps.
func Schema() (list []Object) {
	for _, o := range append(objects, &deliveredObject) {
		x := Object{Name: o.name}
		for i, name := range o.fields[1:] {
			key := int64(i + 1)
			x.Keys = append(x.Keys, Key{key, name, !slices.Contains(o.required, key)})
		}
		list = append(list, x)
	}
	r := Object{Name: "report"}
	for _, c := range claimNames {
		r.Keys = append(r.Keys, Key{c.key, c.name, c.optional})
	}
	return append(list, r)
}
