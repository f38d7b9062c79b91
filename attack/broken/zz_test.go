package broken_test

import (
	"testing"
	"time"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/broken"
)

func TestZZ(t *testing.T) {
	for _, a := range attack.DeviceCatalogue() {
		start := time.Now()
		_, _ = attack.RunDevice(t.Context(), attack.DeviceConfig{Maker: broken.SoundDevice().Maker, Attacks: []attack.DeviceAttack{a}})
		if d := time.Since(start); d > 12*time.Millisecond {
			t.Log(a.Name, d.Round(time.Millisecond))
		}
	}
	for _, d := range broken.Devices() {
		start := time.Now()
		rs, _ := attack.RunDevice(t.Context(), attack.DeviceConfig{Maker: d.Maker})
		if w := time.Since(start); w > 1300*time.Millisecond {
			t.Log(d.Name, w.Round(time.Millisecond))
			for _, r := range rs {
				if r.Breach != nil && r.Breach.What == "the device hangs" {
					t.Log("   hangs ", r.Name)
				}
			}
		}
	}
}
