//go:build !race

// Every broken lock meets the whole catalogue: where each access costs ten times
// as much, that would take minutes.

package broken_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/broken"
	"github.com/nanolock/nanolock/attack/internal/worlds"
)

var update = flag.Bool("update", false, "write MATRIX.md")

// scheduled is the attack whose luck depends on the scheduler: which locks it
// beats is not written down, that it beats one is tested.
const scheduled = "revocation-hammer"

// results runs the catalogue on every broken lock. Most of the time an attack on
// concurrency waits, so that more workers than cores pay.
func results(t *testing.T) []map[string]*attack.Breach {
	locks := broken.Locks()
	found := make([]map[string]*attack.Breach, len(locks))
	var all sync.WaitGroup
	next := make(chan int)
	for range 10 {
		all.Go(func() {
			for i := range next {
				found[i] = beaten(t, locks[i])
			}
		})
	}
	for i := range locks {
		next <- i
	}
	close(next)
	all.Wait()
	return found
}

// TestMatrix is the proof of the catalogue: every attack finds a bug, every bug
// is found.
func TestMatrix(t *testing.T) {
	locks, found := broken.Locks(), results(t)
	specific := map[string]bool{} // attacks that beat a lock which withstands most others
	for i, l := range locks {
		if len(found[i]) == 0 {
			t.Errorf("lock %s (%s) loses to no attack", l.Name, l.Bug)
		}
		for name := range found[i] {
			specific[name] = specific[name] || len(found[i]) <= len(attack.Catalogue())/3
		}
	}
	weak := weakPolicies(t)
	for _, names := range weak {
		for _, name := range names {
			specific[name] = true
		}
	}
	for _, a := range attack.Catalogue() {
		if !specific[a.Name] {
			t.Errorf("attack %s (%s) beats no lock but those that nearly all beat: padding", a.Name, a.Title)
		}
	}
	table := matrix(locks, found, weak)
	t.Logf("\n%s", table)
	const file = "MATRIX.md"
	if *update {
		if err := os.WriteFile(file, table, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if was, err := os.ReadFile(file); err != nil || !bytes.Equal(was, table) {
		t.Errorf("%s is not up to date (%v): run go test ./attack/broken -run Matrix -update", file, err)
	}
}

func matrix(locks []broken.Lock, found []map[string]*attack.Breach, weak map[string][]string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Attacks and broken locks\n\n%d attacks, %d locks with one bug each. Every attack beats a lock, every lock loses.\nWritten by `go test ./attack/broken -run Matrix -update`; `%s` depends on the scheduler and is left out.\n", len(attack.Catalogue()), len(locks), scheduled)
	b.WriteString("\n## What each bug loses to\n\n| lock | bug | attacks that beat it |\n|---|---|---|\n")
	by := map[string][]string{}
	for i, l := range locks {
		var names []string
		for _, a := range attack.Catalogue() {
			if found[i][a.Name] != nil && a.Name != scheduled {
				names = append(names, a.Name)
				by[a.Name] = append(by[a.Name], l.Name)
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", l.Name, l.Bug, list(names))
	}
	b.WriteString("\n## What each attack beats\n\n| attack | family | CWE | known from | locks it beats |\n|---|---|---|---|---|\n")
	for _, a := range attack.Catalogue() {
		fmt.Fprintf(&b, "| `%s`: %s | %s | %s | %s | %s |\n", a.Name, a.Title, a.Family, a.CWE, a.Case, list(by[a.Name]))
	}
	b.WriteString("\n## What a sound lock loses to under a weak policy\n\n| policy | attacks that beat it |\n|---|---|\n")
	for _, what := range slices.Sorted(maps.Keys(weak)) {
		fmt.Fprintf(&b, "| %s | %s |\n", what, list(weak[what]))
	}
	return b.Bytes()
}

// weakPolicies runs the catalogue on the sound lock under policies that protect
// too little.
func weakPolicies(t *testing.T) map[string][]string {
	out := map[string][]string{}
	for what, spoil := range worlds.Weak() {
		w := worlds.NOR()
		spoil(w.Policy)
		rep, err := attack.Run(t.Context(), attack.Config{Policy: w.Policy, Open: w.Open, New: broken.Sound().New, Faults: true})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, r := range rep.Results {
			if r.Verdict != attack.Beaten {
				continue
			}
			out[what] = append(out[what], r.Name)
			if r.Breach.Advice == "" || r.Breach.Rule == "" {
				t.Errorf("%s: %s does not say what to change: %v", what, r.Name, r.Breach)
			}
		}
		if len(out[what]) == 0 {
			t.Errorf("%s: no attack succeeds", what)
		}
	}
	return out
}

func list(names []string) string {
	if len(names) <= 6 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%d, among them %s", len(names), strings.Join(names[:4], ", "))
}
