package sim

import (
	"bytes"
	"testing"
)

// TestUnstable: where Unstable says no, all worlds read the same; and it says yes
// wherever two of them differ.
func TestUnstable(t *testing.T) {
	loose, firm := 0, 0
	for _, name := range tornParts {
		program, erased := stage(t, name, nil)
		for _, o := range []*Operation{program, erased} {
			for torn := range o.Torn(Full) {
				f := torn.Flash()
				a, b := make([]byte, f.Geometry().Size), make([]byte, f.Geometry().Size)
				f.SetWorld(AllProgrammed)
				n, errA := f.ReadAt(a, 0)
				f.SetWorld(AllErased)
				m, errB := f.ReadAt(b, 0)
				differ := n != m || (errA == nil) != (errB == nil) || !bytes.Equal(a[:min(n, m)], b[:min(n, m)])
				if differ && !f.Unstable() {
					t.Errorf("%s %s: worlds differ, and it is not unstable", name, torn.ID)
				}
				if f.Unstable() {
					loose++
				} else {
					firm++
				}
			}
		}
	}
	if loose == 0 || firm == 0 {
		t.Errorf("%d unstable states, %d others", loose, firm)
	}
}
