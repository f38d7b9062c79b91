package device_test

import (
	"testing"

	"github.com/nanolock/nanolock/internal/rig"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

// Whoever holds the part in his hand may take the end of the journal away, back to
// what was there in front of the first anchored record.
func TestTruncatedJournal(t *testing.T) {
	memories(t, func(t *testing.T, c rig.Config) {
		r, err := rig.New(c)
		ok(t, err)
		off, n := r.Device.Journal()
		ok(t, r.Lifecycle(policy.Deployed))
		ok(t, r.Device.Close())
		was := make([]byte, n)
		ok(t, r.Flash.Peek(was, off))
		// Truncate it record by record: no beginning of the chain passes.
		unit := max(r.Mem.Geometry().PageSize, r.Mem.Geometry().ProgramSize, 32)
		if unit == 256 {
			unit = 32
		}
		passed := 0
		for cut := n; cut >= 0; cut -= unit {
			img := append([]byte(nil), was...)
			for i := cut; i < n; i++ {
				img[i] = r.Mem.Geometry().Erased
			}
			ok(t, r.Flash.Poke(img, off))
			ok(t, r.Open())
			if s := r.Device.Status(); s.Degraded {
				if s.Health&(order.AnchorAhead|order.VaultLost) == 0 {
					t.Errorf("%d: health %b", cut, s.Health)
				}
			} else if passed++; s.State != policy.Deployed {
				t.Errorf("the first %d bytes of the journal pass: %+v", cut, s)
			}
			ok(t, r.Device.Close())
		}
		if passed == 0 {
			t.Error("not even all of it passes")
		}
	})
}
