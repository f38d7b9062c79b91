package soft_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nanolock/nanolock/keystore"
	"github.com/nanolock/nanolock/keystore/soft"
)

// What a new latch holds is on the medium before it takes the name, and the name
// is before Set returns.
func TestSetOrder(t *testing.T) {
	var ops []string
	k, err := soft.Open(create(t), soft.Fail(&soft.Config{}, func(op string) error {
		if slices.Contains([]string{"write", "sync", "rename", "sync folder"}, op) {
			ops = append(ops, op)
		}
		return nil
	}))
	must(t, err)
	must(t, k.Latch().Set(ctx, keystore.Record{Root: [32]byte{1}, Epoch: 2}))
	if want := []string{"write", "sync", "rename", "sync folder"}; !slices.Equal(ops, want) {
		t.Errorf("%v, want %v", ops, want)
	}
}

// A latch that cannot be read may be an owner's: Create leaves it, whatever it is.
func TestCreateOverUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path+".latch", []byte("damaged"), 0o600))
	if k, err := soft.Create(path, nil); k != nil || !errors.Is(err, keystore.ErrExists) {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path + ".latch"); err != nil || string(b) != "damaged" {
		t.Errorf("%q, %v", b, err)
	}
}
