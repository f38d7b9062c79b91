package vault

import "iter"

// All yields the entries that are there, oldest first, the last as it reads now
// (see Head). What is missing between them and was not acknowledged is yielded as
// an error that wraps ErrLost, and so is what the part could not read. Entries may
// be appended meanwhile.
func (a *AuditLog) All() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		type item struct {
			Entry
			err error
		}
		var items []item
		w := walker{emit: func(e Entry, err error) { items = append(items, item{e, err}) }}
		for _, b := range a.begin(&w) {
			if err := a.readInto(&w, b); err != nil {
				items = append(items, item{err: err})
			}
			for _, i := range items {
				if !yield(i.Entry, i.err) {
					return
				}
			}
			items = items[:0]
		}
		w.finish()
		for _, i := range items {
			if !yield(i.Entry, i.err) {
				return
			}
		}
	}
}

// turn is a block and what it begins with.
type turn struct {
	block int
	first uint64
}

func (a *AuditLog) begin(w *walker) (list []turn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.j == nil {
		return nil
	}
	w.known, w.acked = a.o.Known, a.o.Acknowledged
	for _, b := range a.blocks() {
		list = append(list, turn{b, a.first[b]})
	}
	return list
}

func (a *AuditLog) readInto(w *walker, t turn) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.acked = a.o.Acknowledged
	if a.first[t.block] != t.first {
		return nil // acknowledged, and erased since
	}
	m, err := a.j.read(t.block)
	if err == nil {
		a.walk(w, t.block, m)
	}
	return err
}
