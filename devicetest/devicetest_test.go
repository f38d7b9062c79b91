package devicetest_test

import (
	"errors"
	"testing"

	"github.com/nanolock/nanolock"
	"github.com/nanolock/nanolock/backend/sim"
	"github.com/nanolock/nanolock/devicetest"
	"github.com/nanolock/nanolock/order"
	"github.com/nanolock/nanolock/policy"
)

func TestTenLines(t *testing.T) {
	for _, memory := range []sim.Config{devicetest.NOR(), devicetest.ECCNOR(), devicetest.NAND(), devicetest.File()} {
		t.Run(memory.Name, func(t *testing.T) {
			d := devicetest.New(t, &devicetest.Config{Sim: memory})
			d.Lifecycle(policy.Deployed)
			if err := d.Host().Erase(0, memory.Geometry.EraseSize); !errors.Is(err, nanolock.ErrDenied) {
				t.Errorf("malware erases the bootloader: %v", err)
			}
			grant := d.Sign(order.Vendor, order.Grant, d.Whole("boot"))
			vendor := d.Grant(order.Vendor, d.Whole("boot"))
			if err := vendor.Erase(0, memory.Geometry.EraseSize); err != nil {
				t.Error(err)
			}
			d.Replay(grant)
			d.Cut()
			d.Replay(grant)
			if s := d.Status(); s.Degraded || s.State != policy.Deployed {
				t.Errorf("after a cut: %+v", s)
			}
			if r := d.Report(); r.PolicyVersion != 1 {
				t.Errorf("report of policy version %d", r.PolicyVersion)
			}
			d.Policy(func(p *policy.Policy) { p.Region("settings").Write = policy.Rule{} })
		})
	}
}
