package attack_test

import (
	"regexp"
	"testing"

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
