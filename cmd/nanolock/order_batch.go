package main

import (
	"encoding/hex"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/ownerfiles"
)

func (a *app) orderBatchCommand() *cobra.Command {
	out := ""
	c := &cobra.Command{
		Use: "batch ORDER...", Short: "Make one file to be signed for many orders of the owner",
		Long: `Makes of unsigned orders of the owner one small file that is signed once: with
"order sign" by everybody who has to. "order split" makes of it, and of the same
orders again, what each device gets. A folder stands for the .order files in it.

Whoever signs a batch signs all its orders: "order show BATCH ORDER..." tells what
they are, and that they are these.`,
		Example: `  nanolock order batch orders --out january.batch
  nanolock order show january.batch orders
  nanolock order sign january.batch --key alice.key`,
		Args: atLeast("ORDER", 1),
		RunE: func(c *cobra.Command, args []string) error { return a.orderBatch(c, args, out) },
	}
	c.Flags().StringVar(&out, "out", "", "file for the batch")
	return c
}

// readBatch makes the batch of orders in files.
func readBatch(paths []string) (*ownerfiles.Batch, error) {
	files, err := orderFiles(paths)
	if err != nil {
		return nil, err
	}
	var list []*ownerfiles.Message
	for _, path := range files {
		m, _, err := readMessage(path)
		if err != nil {
			return nil, err
		}
		if m.Batch() || m.Signed() {
			return nil, deviceFailure(path, ownerfiles.ErrSigned)
		}
		list = append(list, m)
	}
	b, err := ownerfiles.NewBatch(list)
	if err != nil {
		return nil, deviceFailure("", err)
	}
	return b, nil
}

func (a *app) orderBatch(c *cobra.Command, paths []string, out string) error {
	if out == "" {
		return usage("say --out FILE.batch", "a file for the batch is missing")
	}
	b, err := readBatch(paths)
	if err != nil {
		return err
	}
	m, err := b.Message()
	if err != nil {
		return deviceFailure("", err)
	}
	if err := writeNew(out, m.Payload); err != nil {
		return err
	}
	if a.json {
		a.emit(struct {
			document
			File   string `json:"file"`
			Orders int    `json:"orders"`
			Root   string `json:"root"`
		}{newDocument(c.CommandPath()), out, len(b.Orders()), hex.EncodeToString(m.Root[:])})
		return nil
	}
	a.printf("%s %s  %v, root %x\n", a.style.green(a.style.pick("✓", "ok")), out, m, m.Root)
	return nil
}

func (a *app) orderSplitCommand() *cobra.Command {
	out := ""
	c := &cobra.Command{
		Use: "split BATCH ORDER...", Short: "Make of a signed batch what each device gets",
		Long: `Takes a batch that was signed and the same unsigned orders again, and writes for
each what its device takes.`,
		Example: `  nanolock order split january.batch orders --out signed
  nanolock provision --policy router.yaml --dir units --order signed`,
		Args: atLeast("BATCH or ORDER", 2),
		RunE: func(c *cobra.Command, args []string) error { return a.orderSplit(c, args[0], args[1:], out) },
	}
	c.Flags().StringVar(&out, "out", "", "folder for the signed orders; it must exist")
	_ = c.MarkFlagDirname("out")
	return c
}

func (a *app) orderSplit(c *cobra.Command, batch string, paths []string, out string) error {
	if !isDir(out) {
		return usage("say --out FOLDER, one that exists", "a folder for the signed orders is missing")
	}
	signed, _, err := readMessage(batch)
	if err != nil {
		return err
	}
	b, err := readBatch(paths)
	if err != nil {
		return err
	}
	var files []string
	bar := a.newProgress(len(b.Orders()), "splitting")
	defer bar.done()
	for i, m := range b.Orders() {
		if err := c.Context().Err(); err != nil {
			return err
		}
		leaf, err := b.Leaf(signed, i)
		if err != nil {
			return deviceFailure(batch, err)
		}
		path := filepath.Join(out, orderFile(m.Order))
		if err := writeNew(path, leaf); err != nil {
			return err
		}
		files = append(files, path)
		bar.step(i+1, len(b.Orders()), filepath.Base(path))
	}
	bar.done()
	if a.json {
		a.emit(struct {
			document
			Files []string `json:"files"`
		}{newDocument(c.CommandPath()), files})
		return nil
	}
	a.printf("%s %d orders in %s\n", a.style.green(a.style.pick("✓", "ok")), len(files), out)
	return nil
}
