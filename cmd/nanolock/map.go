package main

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/flashpic"
	"github.com/nanolock/nanolock/policy"
)

// drawing is what was asked of "map".
type drawing struct {
	part  part
	svg   string
	all   bool
	width int
}

func (a *app) mapCommand() *cobra.Command {
	d := &drawing{}
	c := &cobra.Command{
		Use: "map FILE", Short: "Draw the flash as a policy sees it, in the terminal or as SVG",
		Example: `  nanolock map router.yaml
  nanolock map router.yaml --svg flash-map.svg
  nanolock map router.yaml --state manufacturing`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if d.width < 0 {
				return usage("give columns, such as 100", "--width %d makes no sense", d.width)
			}
			if d.svg == "-" && a.json {
				return usage("name a file for the SVG", "--json and --svg - both want standard output")
			}
			p, t, err := a.load(args[0], &d.part)
			if err != nil {
				return err
			}
			return a.draw(c, args[0], d, flashpic.New(p, t.State()), p)
		},
	}
	d.part.stateFlag(c)
	c.Flags().StringVar(&d.svg, "svg", "", "write an SVG to this file; - is standard output")
	c.Flags().BoolVar(&d.all, "all", false, "list every region, however many there are")
	c.Flags().IntVar(&d.width, "width", 0, "columns (those of the terminal, or 80)")
	return c
}

func (a *app) draw(c *cobra.Command, file string, d *drawing, pic *flashpic.Picture, p *policy.Policy) error {
	var svg bytes.Buffer
	if d.svg != "" {
		if err := flashpic.SVG(&svg, pic); err != nil {
			return err
		}
	}
	if d.svg == "-" {
		_, _ = a.out.Write(svg.Bytes())
		return nil
	}
	if d.svg != "" {
		if err := writeFile(d.svg, svg.Bytes(), file); err != nil {
			return err
		}
	}
	switch {
	case a.json:
		a.emit(newMapDocument(c, file, d, pic))
	case d.svg != "":
		a.printf("%s %s written: %d %s, %s\n", a.style.green(a.style.pick("✓", "ok")), d.svg,
			len(p.Map), plural(len(p.Map), "region", "regions"), flashpic.Size(p.Memory.Size))
	default:
		width := d.width
		if width == 0 {
			width = a.style.width
		}
		o := flashpic.TextOptions{Width: width, Color: a.style.color, UTF8: a.style.utf8, All: d.all}
		_ = flashpic.Text(a.out, pic, o) // a.out remembers
	}
	return nil
}

// mapPiece is a region, a hidden area or a gap.
type mapPiece struct {
	Name  string `json:"name,omitempty"`
	ID    uint32 `json:"id,omitempty"`
	Off   int64  `json:"off"`
	Len   int64  `json:"len"`
	Class string `json:"class"`
	Kind  string `json:"kind,omitempty"`
	Boot  bool   `json:"boot,omitempty"`
	Slot  string `json:"slot,omitempty"`
	Read  string `json:"read"`
	Write string `json:"write"`
	Erase string `json:"erase"`
}

type mapDocument struct {
	document
	File    string           `json:"file"`
	Policy  string           `json:"policy,omitempty"`
	Size    int64            `json:"size"`
	Granule int64            `json:"granule"`
	State   string           `json:"state"`
	Pieces  []mapPiece       `json:"pieces"`
	Bytes   map[string]int64 `json:"bytes"`
	SVG     string           `json:"svg,omitempty"`
}

func newMapDocument(c *cobra.Command, file string, d *drawing, pic *flashpic.Picture) mapDocument {
	m := mapDocument{document: newDocument(c.CommandPath()), File: file, Policy: pic.Title, Size: pic.Size,
		Granule: pic.Granule, State: pic.State.String(), Bytes: map[string]int64{}, SVG: d.svg}
	for _, x := range pic.Pieces {
		m.Pieces = append(m.Pieces, mapPiece{x.Name, x.ID, x.Span.Off, x.Span.Len, x.Class.String(), x.Kind, x.Boot, x.Slot,
			x.Access.Read.String(), x.Access.Write.String(), x.Access.Erase.String()})
	}
	for k, n := range pic.Totals() {
		m.Bytes[k.String()] = n
	}
	return m
}
