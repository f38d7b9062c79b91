package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/policy/policyfile"
)

// imported is what was asked of "policy import".
type imported struct {
	mtdparts, dtb, fmap, layout string
	size, granule               string
	output                      string
	options                     policyfile.ImportOptions
}

func (a *app) importCommand() *cobra.Command {
	q := &imported{}
	c := &cobra.Command{
		Use: "import", Short: "Make a policy from a flash map that the device already has",
		Long: `Reads the partitions that a kernel, a device tree, a firmware image or flashrom
knows, and writes a policy that is as closed as can be: every region may be read,
none written. What was guessed stands on top of the file, a line each.
--writable opens what a host really needs.`,
		Example: `  nanolock policy import --mtdparts "$(cat /proc/cmdline)" --size 16MiB --granule 64KiB
  nanolock policy import --dtb board.dtb --device flash@0 --size 16MiB --granule 64KiB -o board.yaml
  nanolock policy import --fmap bios.bin --granule 4KiB
  nanolock policy import --layout chip.layout --size 8MiB --granule 4KiB --writable data`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error { return a.importPolicy(c, q) },
	}
	f := c.Flags()
	f.StringVar(&q.mtdparts, "mtdparts", "", "the mtdparts of a kernel or of U-Boot, or a whole kernel command line")
	f.StringVar(&q.dtb, "dtb", "", "flattened device tree")
	f.StringVar(&q.fmap, "fmap", "", "firmware image that holds an FMAP, as coreboot writes it")
	f.StringVar(&q.layout, "layout", "", "layout file of flashrom")
	f.StringVar(&q.size, "size", "", "size of the flash, where the map does not say it")
	f.StringVar(&q.granule, "granule", "", "erase block of the flash, where the map does not say it")
	f.StringVar(&q.options.Device, "device", "", "which flash, where the map has several")
	f.StringVar(&q.options.Name, "name", "", "name of the product, for the policy")
	f.StringArrayVar(&q.options.Writable, "writable", nil, "partition that the host may write and erase; repeat for more")
	f.StringVarP(&q.output, "output", "o", "", "write the policy to this file (standard output)")
	return c
}

// source is the kind of map and where it is.
func (q *imported) source() (kind, where string, err error) {
	for _, s := range [][2]string{{"mtdparts", q.mtdparts}, {"dtb", q.dtb}, {"fmap", q.fmap}, {"layout", q.layout}} {
		switch {
		case s[1] == "":
		case kind != "":
			return "", "", usage("name one", "two flash maps: --%s and --%s", kind, s[0])
		default:
			kind, where = s[0], s[1]
		}
	}
	if kind == "" {
		err = usage("see nanolock policy import --help", "no flash map: name one with --mtdparts, --dtb, --fmap or --layout")
	}
	return kind, where, err
}

// read makes the policy.
func (q *imported) read(kind, where string) (*policyfile.Imported, error) {
	switch kind {
	case "mtdparts":
		return policyfile.ImportMTDParts(where, q.options)
	case "fmap":
		b, err := readImage(where)
		if err != nil {
			return nil, err
		}
		return policyfile.ImportFMAP(b, q.options)
	}
	b, err := readFile(where, maxMap)
	if err != nil {
		return nil, err
	}
	if kind == "dtb" {
		return policyfile.ImportDeviceTree(b, q.options)
	}
	return policyfile.ImportLayout(string(b), q.options)
}

func (a *app) importPolicy(c *cobra.Command, q *imported) error {
	kind, where, err := q.source()
	if err != nil {
		return err
	}
	if err := setSize("size", q.size, &q.options.Size); err != nil {
		return err
	}
	if err := setSize("granule", q.granule, &q.options.Granule); err != nil {
		return err
	}
	im, err := q.read(kind, where)
	if err != nil {
		return importError(kind, where, err)
	}
	text := policyfile.Format(im.Policy, im.Notes...)
	if q.output != "" {
		if err := writeFile(q.output, text, q.dtb, q.fmap, q.layout); err != nil {
			return err
		}
	}
	if a.json {
		a.emit(struct {
			document
			Source string   `json:"source"` // mtdparts, dtb, fmap or layout
			Notes  []string `json:"notes"`
			YAML   string   `json:"yaml"`
			Output string   `json:"output,omitempty"`
		}{newDocument(c.CommandPath()), kind, im.Notes, string(text), q.output})
		return nil
	}
	a.printImported(q, im, text)
	return nil
}

// printImported writes the policy, notes and all; what goes to a file is summed
// up, with the notes, since nobody has seen them yet.
func (a *app) printImported(q *imported, im *policyfile.Imported, text []byte) {
	if q.output == "" {
		_, _ = a.out.Write(text)
		return
	}
	for _, n := range im.Notes {
		a.printf("%s %s\n", a.style.yellow(a.style.pick("▲", "!")), n)
	}
	a.printf("%s %s written: %d %s\n", a.style.green(a.style.pick("✓", "ok")), q.output,
		len(im.Policy.Map), plural(len(im.Policy.Map), "region", "regions"))
}

// importError says what to do next.
func importError(kind, where string, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	at := "--" + kind
	if kind != "mtdparts" {
		at = where
	}
	text := err.Error()
	switch {
	case errors.Is(err, policyfile.ErrSize), errors.Is(err, policyfile.ErrDevice), errors.Is(err, policyfile.ErrWritable):
		return badInput(at, err, "") // says it itself
	case strings.Contains(text, "\n"):
		err = fmt.Errorf("%s", strings.ReplaceAll(text, "\n", "; "))
	}
	return badInput(at, err, "correct the map, or write the policy by hand")
}
