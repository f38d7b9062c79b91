package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/ownerfiles"
	"github.com/nanolock/nanolock/order"
)

func (a *app) orderCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "order", Short: "Write, sign, batch, show and apply orders",
		Long: `An order is what an owner says to one device: a file that "order new" writes,
people sign with "order sign", and "order apply" brings to the device. It is the
same file throughout: unsigned, then with the signatures that it has so far.`,
		Example: `  nanolock order new lifecycle --state deployed --status router-7.json
  nanolock order sign lifecycle-3f0c6d6be2bd1a1b.order --key alice.key
  nanolock order apply lifecycle-3f0c6d6be2bd1a1b.order --image flash.bin`,
		RunE: onlyCommands,
	}
	c.AddCommand(a.orderNewCommand(), a.orderSignCommand(), a.orderMergeCommand(), a.orderTBSCommand(), a.orderAttachCommand(),
		a.orderBatchCommand(), a.orderSplitCommand(), a.orderShowCommand(), a.orderApplyCommand())
	return c
}

// maxOrder bounds an order file in bytes.
const maxOrder = int64(order.MaxMessage)

// readMessage reads an order file, in whatever form.
func readMessage(path string) (*ownerfiles.Message, []byte, error) {
	b, err := readFile(path, maxOrder)
	if err != nil {
		return nil, nil, err
	}
	m, err := ownerfiles.Parse(b)
	if err != nil {
		return nil, nil, deviceFailure(path, err)
	}
	return m, b, nil
}

// orderFiles are files as named, and of folders the .order files in them.
func orderFiles(paths []string) (files []string, err error) {
	return filesIn(paths, ".order")
}

func filesIn(paths []string, ext string) (files []string, err error) {
	for _, path := range paths {
		fi, err := os.Stat(path)
		if err != nil || !fi.IsDir() {
			files = append(files, path) // who reads it says what is wrong
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, ioFailure(path, err, hintFor(err, nil))
		}
		n := len(files)
		for _, e := range entries {
			if filepath.Ext(e.Name()) == ext {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
		if len(files) == n {
			return nil, badInput(path, fmt.Errorf("no %s file is in it", ext), "name a folder that has some")
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// writeNew writes a file that does not exist yet.
func writeNew(path string, content []byte) error {
	if _, err := os.Lstat(path); err == nil {
		return ioFailure(path, errors.New("it exists already"), "name another file with --out, or remove it")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return ioFailure(path, err, hintFor(err, nil))
	}
	return replace(path, content, 0o644)
}

// orderFile is the name of the file of an order.
func orderFile(o *order.Order) string {
	return fmt.Sprintf("%v-%s.order", o.Kind, o.Device.String()[:16])
}

// writeMessage puts an order back where it was, or elsewhere.
func writeMessage(m *ownerfiles.Message, path, out string) (string, error) {
	b, err := m.Bytes()
	if err != nil {
		return "", deviceFailure(path, err)
	}
	if out == "" {
		out = path
	}
	return out, writeFile(out, b)
}
