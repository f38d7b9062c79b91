package ownerfiles_test

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/nvm"
)

// blind is a flash that may be written and not read.
type blind struct{ ownerfiles.Flash }

func (blind) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }

func TestWrite(t *testing.T) {
	p := small(t, 1, "alice")
	old := bytes.Repeat([]byte("old!"), 2*block/4)
	for _, tc := range []struct {
		name  string
		off   int64
		n     int
		pad   bool
		blind bool
		want  error
	}{
		{"a block", 0, block, false, false, nil},
		{"across two", 100, block, false, false, nil},
		{"the end of one", block - 1, 1, false, false, nil},
		{"nothing", 5, 0, false, false, nil},
		{"padded", 0, block + 3, true, false, nil},
		{"a block, blind", block, block, false, true, nil},
		{"padded, blind", 0, 3, true, true, nil},
		{"part of a block, blind", 0, 3, false, true, fs.ErrPermission},
		{"behind the end", 24 * block, 1, false, false, nvm.ErrRange},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := sim.New(sim.Config{Name: "no page limit", Geometry: p.Geometry()})
			must(t, err)
			must(t, f.Poke(old, 0))
			content := bytes.Repeat([]byte("new."), tc.n/4+1)[:tc.n]
			var to ownerfiles.Flash = f
			if tc.blind {
				to = blind{f}
			}
			if err := ownerfiles.Write(to, content, tc.off, tc.pad); !errors.Is(err, tc.want) {
				t.Fatalf("%v, want %v", err, tc.want)
			}
			want := bytes.Clone(old)
			if tc.want == nil {
				if tc.pad {
					for i := range (tc.n + block - 1) / block * block {
						want[i] = 0xFF
					}
				}
				copy(want[tc.off:], content)
			}
			if got := peek(t, f, len(old)); !bytes.Equal(got, want) {
				t.Error("the flash holds something else")
			}
			erased := f.Stats().Erases
			if err := ownerfiles.Write(f, content, tc.off, tc.pad); tc.want == nil && (err != nil || f.Stats().Erases != erased) {
				t.Errorf("the same again: %v, %d erases", err, f.Stats().Erases-erased)
			}
		})
	}
}

func peek(t *testing.T, f *sim.Flash, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	must(t, f.Peek(b, 0))
	return b
}
