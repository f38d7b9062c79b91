package broken_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/attack/broken"
	"github.com/nanolock/nanolock/attack/internal/worlds"
)

var update = flag.Bool("update", false, "write MATRIX.md")

// beaten are the attacks that succeed on l in some world.
func beaten(t *testing.T, l broken.Lock) map[string]*attack.Breach {
	out := map[string]*attack.Breach{}
	for _, w := range worlds.All() {
		rep, err := attack.Run(t.Context(), attack.Config{Policy: w.Policy, Open: w.Open, New: l.New, Faults: true})
		if err != nil {
			t.Errorf("%s in %s: %v", l.Name, w.Name, err)
			continue
		}
		for _, r := range rep.Results {
			if r.Verdict == attack.Beaten && out[r.Name] == nil {
				out[r.Name] = r.Breach
			}
		}
	}
	return out
}

func TestSoundHolds(t *testing.T) {
	for name, b := range beaten(t, broken.Sound()) {
		t.Errorf("%s: %v", name, b)
	}
}

// TestMatrix is the proof of the catalogue: every attack finds a bug, every bug
// is found.
func TestMatrix(t *testing.T) {
	locks := broken.Locks()
	found := make([]map[string]*attack.Breach, len(locks))
	var all sync.WaitGroup
	next := make(chan int)
	for range 2 {
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
	by := map[string][]string{}
	for i, l := range locks {
		if len(found[i]) == 0 {
			t.Errorf("lock %s (%s) loses to no attack", l.Name, l.Bug)
		}
		for name := range found[i] {
			by[name] = append(by[name], l.Name)
		}
	}
	for _, a := range attack.Catalogue() {
		if len(by[a.Name]) == 0 {
			t.Errorf("attack %s (%s) beats no lock: padding", a.Name, a.Title)
		}
	}
	table := matrix(locks, found)
	t.Logf("\n%s", table)
	compare(t, table)
}

func compare(t *testing.T, table []byte) {
	const file = "MATRIX.md"
	if *update {
		if err := os.WriteFile(file, table, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(was, table) {
		t.Errorf("%s is not up to date (%v): run go test ./attack/broken -run Matrix -update", file, err)
	}
}

func matrix(locks []broken.Lock, found []map[string]*attack.Breach) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d %d\n", len(locks), len(attack.Catalogue()))
	for i, l := range locks {
		fmt.Fprintf(&b, "%s: %d:", l.Name, len(found[i]))
		if len(found[i]) < 8 {
			for n := range found[i] {
				fmt.Fprintf(&b, " %s", n)
			}
		}
		fmt.Fprintln(&b)
	}
	return b.Bytes()
}
