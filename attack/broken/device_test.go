//go:build !race

package broken_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/broken"
)

// overrun runs all attacks on a device and tells which succeeded.
func overrun(t *testing.T, d broken.Device) map[string]*attack.Breach {
	rs, err := attack.RunDevice(t.Context(), attack.DeviceConfig{Maker: d.Maker})
	if err != nil {
		t.Errorf("%s: %v", d.Name, err)
	}
	out := map[string]*attack.Breach{}
	for _, r := range rs {
		if r.Verdict == attack.Beaten {
			out[r.Name] = r.Breach
		}
	}
	return out
}

func TestSoundDeviceHolds(t *testing.T) {
	for name, b := range overrun(t, broken.SoundDevice()) {
		t.Errorf("%s: %v", name, b)
	}
}

func TestDevicesAreDistinct(t *testing.T) {
	names, bugs := map[string]bool{}, map[string]bool{}
	for _, d := range broken.Devices() {
		if d.Maker == nil || names[d.Name] || bugs[d.Bug] {
			t.Errorf("device %q (%s) is there twice, or empty", d.Name, d.Bug)
		}
		names[d.Name], bugs[d.Bug] = true, true
	}
	if len(names) < 40 {
		t.Errorf("%d broken devices", len(names))
	}
}

// TestDeviceMatrix is the proof of the catalogue of attacks on devices: every
// attack finds a bug, every bug is found.
func TestDeviceMatrix(t *testing.T) {
	devices := broken.Devices()
	found := make([]map[string]*attack.Breach, len(devices))
	var all sync.WaitGroup
	next := make(chan int)
	for range 2 {
		all.Go(func() {
			for i := range next {
				found[i] = overrun(t, devices[i])
			}
		})
	}
	for i := range devices {
		next <- i
	}
	close(next)
	all.Wait()
	specific, rows := map[string]bool{}, map[string]string{}
	for i, d := range devices {
		var names []string
		for _, a := range attack.DeviceCatalogue() {
			if found[i][a.Name] != nil {
				names = append(names, a.Name)
				specific[a.Name] = specific[a.Name] || len(found[i]) <= len(attack.DeviceCatalogue())/3
			}
		}
		if len(names) == 0 {
			t.Errorf("device %s (%s) loses to no attack", d.Name, d.Bug)
		}
		if twin, ok := rows[fmt.Sprint(names)]; ok {
			t.Logf("%s loses to the same attacks as %s: %v", d.Name, twin, names)
		}
		rows[fmt.Sprint(names)] = d.Name
	}
	for _, a := range attack.DeviceCatalogue() {
		if !specific[a.Name] {
			t.Errorf("attack %s (%s) beats no device but those that nearly all beat: padding", a.Name, a.Title)
		}
	}
	table := deviceMatrix(devices, found)
	const file = "DEVICES.md"
	if *update {
		if err := os.WriteFile(file, table, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if was, err := os.ReadFile(file); err != nil || !bytes.Equal(was, table) {
		t.Errorf("%s is not up to date (%v): run go test ./attack/broken -run Matrix -update", file, err)
		for line := range bytes.Lines(table) {
			if !bytes.Contains(was, line) {
				t.Errorf("now: %s", line)
			}
		}
	}
}

func deviceMatrix(devices []broken.Device, found []map[string]*attack.Breach) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Attacks and broken devices\n\n%d attacks, %d devices with one bug each. Every attack beats a device, every device loses; the real one holds.\nWritten by `go test ./attack/broken -run Matrix -update`.\n", len(attack.DeviceCatalogue()), len(devices))
	b.WriteString("\n## What each bug loses to\n\n| device | bug | attacks that beat it |\n|---|---|---|\n")
	by := map[string][]string{}
	for i, d := range devices {
		var names []string
		for _, a := range attack.DeviceCatalogue() {
			if found[i][a.Name] != nil {
				names = append(names, a.Name)
				by[a.Name] = append(by[a.Name], d.Name)
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d.Name, d.Bug, list(names))
	}
	b.WriteString("\n## What each attack beats\n\n| attack | family | CWE | known from | devices it beats |\n|---|---|---|---|---|\n")
	for _, a := range attack.DeviceCatalogue() {
		fmt.Fprintf(&b, "| `%s`: %s | %s | %s | %s | %s |\n", a.Name, a.Title, a.Family, a.CWE, a.Case, list(slices.Clone(by[a.Name])))
	}
	return b.Bytes()
}
