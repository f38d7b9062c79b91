package sim

// tree is a sparse array whose copies share all that neither has changed since:
// clone is one struct, a write copies the path to what it touches. What was
// never written costs nothing, so a chip of 64 MiB starts at zero bytes.
//
// Nodes carry the owner that may change them in place; a clone gives both sides a
// new one, which all trees of one medium share. A tree is guarded by the lock of the Flash it belongs to; nodes that
// two trees share are never written again.
type tree[T any] struct {
	root  *node[T]
	shift uint
	own   *owner
}

const (
	fanBits = 4
	fan     = 1 << fanBits
)

// owner has a size so that two of them never share an address.
type owner struct{ _ byte }

type node[T any] struct {
	own  *owner
	kids []*node[T] // inner nodes
	vals []*leaf[T] // the lowest floor
}

type leaf[T any] struct {
	own *owner
	v   T
}

// newTree is a tree for indexes in [0, n).
func newTree[T any](n int64) tree[T] {
	t := tree[T]{own: new(owner)}
	for n > 1 && (n-1)>>(t.shift+fanBits) != 0 {
		t.shift += fanBits
	}
	return t
}

// clone returns a copy for the owner theirs and makes t itself, now of mine, copy
// before it writes. Neither may own a node yet.
func (t *tree[T]) clone(mine, theirs *owner) tree[T] {
	t.own = mine
	return tree[T]{root: t.root, shift: t.shift, own: theirs}
}

func (t *tree[T]) empty() bool { return t.root == nil }

// get returns the value at i for reading, or nil if it was never written.
func (t *tree[T]) get(i int64) *T {
	n := t.root
	for s := t.shift; n != nil && s > 0; s -= fanBits {
		n = n.kids[i>>s&(fan-1)]
	}
	if n == nil {
		return nil
	}
	if l := n.vals[i&(fan-1)]; l != nil {
		return &l.v
	}
	return nil
}

// mut returns the value at i for writing.
func (t *tree[T]) mut(i int64) *T {
	n := t.bottom(i)
	l := &n.vals[i&(fan-1)]
	switch {
	case *l == nil:
		*l = &leaf[T]{own: t.own}
	case (*l).own != t.own:
		*l = &leaf[T]{t.own, (*l).v}
	}
	return &(*l).v
}

// drop makes the value at i never written again.
func (t *tree[T]) drop(i int64) {
	if t.get(i) != nil {
		t.bottom(i).vals[i&(fan-1)] = nil
	}
}

// bottom returns the lowest node above i, private to t.
func (t *tree[T]) bottom(i int64) *node[T] {
	p := &t.root
	for s := t.shift; ; s -= fanBits {
		*p = t.private(*p, s > 0)
		if s == 0 {
			return *p
		}
		p = &(*p).kids[i>>s&(fan-1)]
	}
}

func (t *tree[T]) private(n *node[T], inner bool) *node[T] {
	switch {
	case n == nil && inner:
		return &node[T]{own: t.own, kids: make([]*node[T], fan)}
	case n == nil:
		return &node[T]{own: t.own, vals: make([]*leaf[T], fan)}
	case n.own == t.own:
		return n
	}
	return &node[T]{t.own, append([]*node[T](nil), n.kids...), append([]*leaf[T](nil), n.vals...)}
}

// each calls f for every value that was written, in order of index.
func (t *tree[T]) each(f func(i int64, v *T)) { t.root.each(0, t.shift, f) }

func (n *node[T]) each(at int64, shift uint, f func(int64, *T)) {
	if n == nil {
		return
	}
	for k, kid := range n.kids {
		kid.each(at|int64(k)<<shift, shift-fanBits, f)
	}
	for k, l := range n.vals {
		if l != nil {
			f(at|int64(k), &l.v)
		}
	}
}
