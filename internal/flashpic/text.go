package flashpic

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// TextOptions say what the terminal can do. The zero value is the plainest one.
type TextOptions struct {
	Width int  // columns; 0 = 80
	Color bool // ANSI, 256 colours
	UTF8  bool
	All   bool // a line for each region, however many
}

// Lines of a table beyond which it is folded.
const maxRows = 48

// Text draws pic for a terminal.
func Text(w io.Writer, pic *Picture, o TextOptions) error {
	if o.Width <= 0 {
		o.Width = 80
	}
	o.Width = min(max(o.Width, 40), 120)
	t := &text{pic: pic, o: o}
	t.title()
	t.bar()
	t.table()
	t.legend()
	_, err := io.WriteString(w, t.out.String())
	return err
}

type text struct {
	out strings.Builder
	pic *Picture
	o   TextOptions
}

// line writes a line without blanks at its end.
func (t *text) line(format string, args ...any) {
	t.out.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	t.out.WriteByte('\n')
}

// Pens: an ANSI background with its ink, the same as a foreground, and fills for
// terminals without colour and without UTF-8.
var pens = [classes]struct {
	back, fore string
	fill       rune
	ascii      byte
}{
	Boot:      {"48;5;24;38;5;231", "38;5;31", '█', '#'},
	Protected: {"48;5;32;38;5;231", "38;5;39", '▓', '='},
	Updatable: {"48;5;36;38;5;16", "38;5;36", '▒', '%'},
	Granted:   {"48;5;97;38;5;231", "38;5;140", '▚', '$'},
	Append:    {"48;5;178;38;5;16", "38;5;178", '░', '+'},
	Writable:  {"48;5;208;38;5;16", "38;5;208", '·', '.'},
	Hidden:    {"48;5;240;38;5;231", "38;5;246", '╱', 'x'},
	Free:      {"2", "2", ' ', ' '},
}

func (t *text) paint(sgr, s string) string {
	if !t.o.Color || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

func (t *text) fill(c Class, n int) string {
	switch {
	case t.o.Color && c == Free && t.o.UTF8:
		return strings.Repeat("┄", n)
	case t.o.Color:
		return strings.Repeat(" ", n)
	case t.o.UTF8:
		return strings.Repeat(string(pens[c].fill), n)
	}
	return strings.Repeat(string(rune(pens[c].ascii)), n)
}

func (t *text) title() {
	name := t.pic.Title
	if name == "" {
		name = "flash"
	}
	t.line("%s  %s, erase blocks of %s, rules of %v", t.paint("1", name), Size(t.pic.Size), Size(t.pic.Granule), t.pic.State)
	t.line("")
}

// bar is the flash on one line: the pieces to scale, with the name in each that
// is wide enough, under the addresses.
func (t *text) bar() {
	n := t.o.Width - 2
	pic := t.pic.Folded(n / 2)
	cells := shares(weights(pic.Pieces), n)
	t.scale(pic, cells, n)
	edge := func(s string) string { return t.paint("2", s) }
	side := "|"
	if t.o.UTF8 {
		side = "│"
	}
	for row := range 3 {
		var b strings.Builder
		for i := range pic.Pieces {
			b.WriteString(t.segment(&pic.Pieces[i], cells[i], row == 1))
		}
		t.line("%s%s%s", edge(side), b.String(), edge(side))
	}
	t.line("")
}

// segment is one row of one piece.
func (t *text) segment(x *Piece, n int, named bool) string {
	back := pens[x.Class].back
	name := x.Name
	if x.Count > 1 {
		name = fmt.Sprintf("%d regions", x.Count)
	}
	// The first cell is darker, so that neighbours of one class stay two.
	first, rest := t.fill(x.Class, min(n, 1)), max(n-1, 0)
	if t.o.Color && t.o.UTF8 && x.Class != Free && n > 0 {
		first = "▏"
	}
	if !named || name == "" || utf8.RuneCountInString(name)+2 > rest {
		return t.paint(back, first+t.fill(x.Class, rest))
	}
	label := " " + name + " "
	pad := rest - utf8.RuneCountInString(label)
	return t.paint(back, first+t.fill(x.Class, pad/2)+label+t.fill(x.Class, pad-pad/2))
}

// scale writes addresses above the bar, at the very places that they have in it.
func (t *text) scale(pic *Picture, cells []int, n int) {
	labels := []rune(strings.Repeat(" ", n+2))
	ticks := []rune(strings.Repeat("-", n+2))
	mark, free := '+', 0
	if t.o.UTF8 {
		ticks, mark = []rune(strings.Repeat("─", n+2)), '┬'
	}
	for i := range 5 {
		addr := pic.Size / 4 * int64(i)
		if i == 4 {
			addr = pic.Size
		}
		at := min(1+cellOf(pic.Pieces, cells, addr), n+1)
		if i == 0 {
			at = 0
		}
		text := hex(addr, pic.Size)
		from := min(at, n+2-len(text))
		if from < free {
			continue
		}
		ticks[at] = mark
		copy(labels[from:], []rune(text))
		free = from + len(text) + 2
	}
	t.line("%s", t.paint("2", string(labels)))
	t.line("%s", t.paint("2", string(ticks)))
}

// hex writes addresses of one flash with equally many digits.
func hex(addr, size int64) string {
	return fmt.Sprintf("0x%0*x", len(fmt.Sprintf("%x", size-1)), addr)
}
