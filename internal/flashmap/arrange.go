package flashmap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// item is a partition on its way into a map, with its place in the source.
type item struct {
	Part
	pos int
}

// arrange sorts items and nests each one into the smallest that contains it.
// Sources overlap on purpose: "firmware" over "kernel" and "rootfs" is common in
// mtdparts. Two that overlap without one containing the other are an error, for
// then the bytes they share have two owners. size 0 is an unknown size.
//
// notes tell which nesting the source did not declare itself, and which names
// it uses twice.
func arrange(source string, items []item, size int64) (parts []Part, notes []string, err error) {
	for _, it := range items {
		if err := checkExtent(source, it, size); err != nil {
			return nil, nil, err
		}
	}
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b item) int {
		// Of two that start together the longer contains the shorter; of two
		// alike, the one named first.
		return cmp.Or(cmp.Compare(a.Off, b.Off), cmp.Compare(b.End(), a.End()), cmp.Compare(a.Index, b.Index))
	})
	parents, err := nest(source, items)
	if err != nil {
		return nil, nil, err
	}
	names := make(map[string]bool, len(items))
	for i, it := range items {
		if names[it.Name] {
			notes = append(notes, fmt.Sprintf("more than one partition is called %q", it.Name))
		}
		names[it.Name] = true
		if p := parents[i]; p >= 0 && !declared(items[p].Part, it.Part) {
			notes = append(notes, fmt.Sprintf("%q lies inside %q and was taken as a part of it", it.Name, items[p].Name))
		}
	}
	return tree(items, parents), notes, nil
}

// declared tells whether the source itself puts child under parent.
func declared(parent, child Part) bool {
	return parent.Path != "" && strings.HasPrefix(child.Path, parent.Path+"/")
}

func checkExtent(source string, it item, size int64) error {
	limit, of := MaxSize, "what any device can have"
	if size > 0 {
		limit, of = size, "the size of the device"
	}
	switch {
	case it.Off < 0 || it.Len < 0 || it.Len > limit || it.Off > limit-it.Len:
		return &Error{source, it.pos, ErrRange, fmt.Sprintf("%q at %#x of %#x bytes reaches beyond %#x, %s: shorten it or correct the size",
			it.Name, it.Off, it.Len, limit, of)}
	case it.Off == limit:
		return &Error{source, it.pos, ErrRange, fmt.Sprintf("nothing is left for %q at %#x: remove it or correct the size", it.Name, it.Off)}
	}
	return nil
}

// nest finds for each of the sorted items the innermost one around it, -1 for
// none.
func nest(source string, items []item) ([]int, error) {
	parents := make([]int, len(items))
	var around []int // the open ones, outermost first
	for i, it := range items {
		for len(around) > 0 && items[around[len(around)-1]].End() <= it.Off {
			around = around[:len(around)-1]
		}
		parents[i] = -1
		if len(around) > 0 {
			parents[i] = around[len(around)-1]
			if p := items[parents[i]]; it.End() > p.End() {
				return nil, &Error{source, it.pos, ErrOverlap, fmt.Sprintf(
					"%q [%#x,%#x) and %q [%#x,%#x) share bytes and neither contains the other: correct one of them",
					p.Name, p.Off, p.End(), it.Name, it.Off, it.End())}
			}
		}
		if len(around) == MaxNesting {
			return nil, &Error{source, it.pos, ErrLimit, fmt.Sprintf("%q lies inside more than %d others: flatten the map", it.Name, MaxNesting-1)}
		}
		around = append(around, i)
	}
	return parents, nil
}

// tree moves every item into its parent. An item stands behind its parent, so
// from the back each one is complete when its turn comes.
func tree(items []item, parents []int) (roots []Part) {
	kids := make([][]Part, len(items))
	for i := len(items) - 1; i >= 0; i-- {
		p := items[i].Part
		slices.Reverse(kids[i])
		p.Children = kids[i]
		if parents[i] < 0 {
			roots = append(roots, p)
		} else {
			kids[parents[i]] = append(kids[parents[i]], p)
		}
	}
	slices.Reverse(roots)
	return roots
}
