package flashpic

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// row is one line of the table, in plain text.
type row struct {
	class Class
	col   [7]string // address, size, name, class, read, write, erase
	note  string
}

// table lists the pieces. Columns are as wide as their content.
func (t *text) table() {
	pic := t.pic
	if !t.o.All {
		pic = pic.Folded(maxRows)
	}
	rows := make([]row, 0, len(pic.Pieces)+1)
	head := row{class: classes, col: [7]string{"address", "size", "region", "class", "read", "write", "erase"}}
	rows = append(rows, head)
	for i := range pic.Pieces {
		rows = append(rows, newRow(&pic.Pieces[i], pic.Size))
	}
	var width [7]int
	for _, r := range rows {
		for i, c := range r.col {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	if t.nameWidth(width) < min(width[2], 16) {
		width[3] = 0 // the colour and the legend say it as well
		for i := range rows {
			rows[i].dropClass()
			width[4] = max(width[4], utf8.RuneCountInString(rows[i].col[4]))
		}
	}
	width[2] = min(width[2], t.nameWidth(width))
	for _, r := range rows {
		t.row(r, width)
	}
	if len(pic.Pieces) < len(t.pic.Pieces) {
		t.line("%s", t.paint("2", fmt.Sprintf("%d regions, areas and gaps are folded into %d lines; --all lists them.",
			len(t.pic.Pieces), len(pic.Pieces))))
	}
	t.line("")
}

// nameWidth is what the other columns leave for names.
func (t *text) nameWidth(width [7]int) int {
	left := t.o.Width - 2
	for i, w := range width {
		if i != 2 && w > 0 {
			left -= 2 + w
		}
	}
	return max(left, 10)
}

// dropClass keeps what only the class says.
func (r *row) dropClass() {
	if r.class == Hidden {
		r.col[4] = r.col[3]
	}
	r.col[3] = ""
}

func newRow(x *Piece, size int64) row {
	rules := x.rules()
	r := row{class: x.Class, col: [7]string{
		hex(x.Span.Off, size), Size(x.Span.Len), x.label(), x.Class.String(), rules[0], rules[1], rules[2],
	}}
	if x.Kind != "" {
		r.col[3] += " " + x.Kind
	}
	var notes []string
	if x.Boot && x.Class != Boot {
		notes = append(notes, "runs before the system")
	}
	if x.Slot != "" {
		notes = append(notes, "second slot: "+x.Slot)
	}
	if w := x.Wear; w.Erases > 0 && w.PerHours > 0 {
		notes = append(notes, fmt.Sprintf("at most %d erases in %d h", w.Erases, w.PerHours))
	} else if w.Erases > 0 {
		notes = append(notes, fmt.Sprintf("at most %d erases", w.Erases))
	}
	r.note = strings.Join(notes, ", ")
	return r
}

func (t *text) row(r row, width [7]int) {
	cells := slices.Clone(r.col[:])
	cells[2] = t.cut(cells[2], width[2])
	for i := range cells {
		pad := strings.Repeat(" ", max(width[i]-utf8.RuneCountInString(cells[i]), 0))
		if i == 1 {
			cells[i] = pad + cells[i] // sizes stand right
		} else {
			cells[i] += pad
		}
	}
	swatch := "  "
	if r.class < classes {
		cells[0] = t.paint("2", cells[0])
		cells[3] = t.paint(pens[r.class].fore, cells[3])
		swatch = t.swatch(r.class) + " "
	} else {
		for i := range cells {
			cells[i] = t.paint("2", cells[i])
		}
	}
	if width[3] == 0 {
		cells = slices.Delete(cells, 3, 4)
	}
	t.line("%s  %s  %s%s", cells[0], cells[1], swatch, strings.Join(cells[2:], "  "))
	if r.note != "" {
		indent := strings.Repeat(" ", width[0]+2+width[1]+2+2)
		t.line("%s%s", indent, t.paint("2", t.cut(r.note, max(t.o.Width-len(indent), 20))))
	}
}

func (t *text) swatch(c Class) string {
	if t.o.Color {
		if t.o.UTF8 && c != Free {
			return t.paint(pens[c].fore, "█")
		}
		return t.paint(pens[c].back, t.fill(c, 1))
	}
	return t.fill(c, 1)
}

// cut shortens s to n characters.
func (t *text) cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	if t.o.UTF8 {
		return string(r[:n-1]) + "…"
	}
	return string(r[:n-2]) + ".."
}

// legend says what the classes mean and how much of the flash each has.
func (t *text) legend() {
	total := t.pic.Totals()
	for _, c := range Classes() {
		if total[c] == 0 {
			continue
		}
		name := c.String()
		t.line("%s %s%9s %s  %s", t.swatch(c), t.paint(pens[c].fore, fmt.Sprintf("%-10s", name)), Size(total[c]),
			t.paint("2", fmt.Sprintf("%5.1f %%", 100*float64(total[c])/float64(t.pic.Size))), c.About())
	}
}
