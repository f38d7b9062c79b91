package attack_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/nanolock/nanolock/attack"
)

func TestRealDeviceHolds(t *testing.T) {
	rs, err := attack.RunDevice(t.Context(), attack.DeviceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if r.Verdict != attack.Held || r.Tried == 0 {
			t.Errorf("%s: %v, %d tried: %v", r.Name, r.Verdict, r.Tried, r.Breach)
		}
	}
}

func TestDeviceCatalogueIsComplete(t *testing.T) {
	names := map[string]bool{}
	kebab, cwe := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`), regexp.MustCompile(`^CWE-[0-9]+$`)
	for _, a := range attack.Catalogue() {
		names[a.Name] = true
	}
	for _, a := range attack.DeviceCatalogue() {
		if names[a.Name] || !kebab.MatchString(a.Name) || !cwe.MatchString(a.CWE) || a.Title == "" || a.Case == "" || a.Family == "" || a.Against == nil {
			t.Errorf("%+v is incomplete or there twice", a.Attack)
		}
		names[a.Name] = true
	}
	if n := len(attack.DeviceCatalogue()); n < 45 {
		t.Errorf("%d attacks on devices", n)
	}
	if _, ok := attack.FindDevice("order-replayed"); !ok {
		t.Error("order-replayed is gone; names are stable")
	}
	if _, ok := attack.FindDevice("no-such-attack"); ok {
		t.Error("found what does not exist")
	}
}

// odd is a maker of devices that are none.
type odd struct{ how string }

func (o odd) Provision(attack.Parts, []byte) (attack.Device, error) { return o.Open(attack.Parts{}) }

func (o odd) Open(attack.Parts) (attack.Device, error) {
	switch o.how {
	case "panics":
		panic("odd")
	case "hangs":
		time.Sleep(time.Hour)
	}
	return nil, errors.New("odd: no")
}

func TestDevicesThatAreNone(t *testing.T) {
	one, _ := attack.FindDevice("order-replayed")
	for _, how := range []string{"refuses", "hangs", "panics"} {
		rs, err := attack.RunDevice(t.Context(), attack.DeviceConfig{Maker: odd{how}, Attacks: []attack.DeviceAttack{one}, Patience: 100 * time.Millisecond})
		if err != nil || len(rs) != 1 || rs[0].Verdict != attack.Beaten || rs[0].Breach == nil {
			t.Errorf("a device that %s: %+v, %v", how, rs, err)
		}
	}
}

func TestCancelDevices(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	rs, err := attack.RunDevice(ctx, attack.DeviceConfig{Progress: func(done, total int, _ string) {
		if total != len(attack.DeviceCatalogue()) {
			t.Errorf("%d attacks", total)
		}
		if done == 2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(rs) != 2 {
		t.Errorf("cancelled run: %v, %d results", err, len(rs))
	}
}
