package flashpic

import (
	"fmt"
	"html"
	"io"
	"strings"
	"unicode/utf8"
)

// The drawing's measures, in pixels.
const (
	svgWidth  = 1040
	svgTop    = 92  // first block
	svgLeft   = 118 // of the blocks; addresses stand before it
	svgColumn = 300 // width of a block
	svgRules  = svgLeft + svgColumn + 18
	svgLegend = 766
	svgMin    = 34 // height of the smallest piece
	svgNoted  = 46 // of one with a second line
	svgSpread = 250
	maxBlocks = 40
)

// inks are the colours of a block, its text, and of text in that colour on a
// light and on a dark page. They keep apart for colour-blind readers too.
var inks = [classes]struct{ block, text string }{
	Boot:      {"#173a5e", "#ffffff"},
	Protected: {"#2b6cb0", "#ffffff"},
	Updatable: {"#14806f", "#ffffff"},
	Granted:   {"#7450b8", "#ffffff"},
	Append:    {"#f0b429", "#3a2a00"},
	Writable:  {"#e8742c", "#331500"},
	Hidden:    {"#64707d", "#ffffff"},
	Free:      {"", ""}, // those of the page
}

// SVG draws pic for a page: one file without scripts, fonts or links, legible on
// light and on dark ground. Heights are in proportion, but nothing is thinner
// than its name.
func SVG(w io.Writer, pic *Picture) error {
	d := &drawing{pic: pic.Folded(maxBlocks), total: pic.Totals()}
	d.measure()
	d.open()
	for i := range d.pic.Pieces {
		d.block(i)
	}
	d.frame()
	d.legend()
	d.out.WriteString("</svg>\n")
	_, err := io.WriteString(w, d.out.String())
	return err
}

type drawing struct {
	out    strings.Builder
	pic    *Picture // folded
	total  map[Class]int64
	height []int
	bottom int
}

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(&d.out, format+"\n", args...) }

// measure gives every piece what its text needs, and shares the rest in
// proportion among those that deserve more.
func (d *drawing) measure() {
	pieces := d.pic.Pieces
	d.height = make([]int, len(pieces))
	var total int64
	for i := range pieces {
		d.height[i] = svgMin
		if note(&pieces[i]) != "" {
			d.height[i] = svgNoted
		}
		total += pieces[i].Span.Len
	}
	for i := range pieces {
		d.height[i] += int(float64(svgSpread) * float64(pieces[i].Span.Len) / float64(total))
	}
	d.bottom = svgTop
	for _, h := range d.height {
		d.bottom += h
	}
}

// Colours stand as plain values, in classes, because many viewers know neither
// variables nor media queries; those get the light page.
const svgStyle = `<style>
text{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:13px;fill:#1c2733}
.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:11.5px}
.soft{fill:#5d6b7a}
.small{font-size:11.5px}
.name{font-weight:600;font-size:13.5px}
.title{font-weight:700;font-size:20px}
.end{text-anchor:end}
.page{fill:#ffffff;stroke:#d5dbe3}
.edge{fill:none;stroke:#cbd3dc}
.gap{fill:#f3f5f8;stroke:#b9c3cf;stroke-dasharray:4 4}
@media (prefers-color-scheme:dark){
text{fill:#e6ecf2}
.soft{fill:#9aa8b6}
.page{fill:#141a21;stroke:#323d49}
.edge{stroke:#3a4652}
.gap{fill:#1b232c;stroke:#4a5866}
}
</style>`

func (d *drawing) open() {
	height := max(d.bottom+36, svgTop+8*52+24)
	title := d.pic.Title
	if title == "" {
		title = "Flash map"
	}
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="t d">`,
		svgWidth, height, svgWidth, height)
	d.add(`<title id="t">%s</title>`, html.EscapeString("Flash map of "+title))
	d.add(`<desc id="d">%s</desc>`, html.EscapeString(d.describe()))
	d.add("%s", svgStyle)
	d.add(`<defs><pattern id="h" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
		`<rect width="8" height="8" fill="#64707d"/><rect width="3" height="8" fill="#707c89"/></pattern></defs>`)
	d.add(`<rect x="0.5" y="0.5" width="%d" height="%d" rx="12" class="page"/>`, svgWidth-1, height-1)
	d.add(`<text class="title" x="%d" y="42">%s</text>`, 28, html.EscapeString(clip(title, 60)))
	d.add(`<text class="soft" x="%d" y="64">%s of flash · erase blocks of %s · rules of lifecycle state “%v”</text>`,
		28, Size(d.pic.Size), Size(d.pic.Granule), d.pic.State)
}

// describe is the picture in words, for those who do not see it.
func (d *drawing) describe() string {
	var b strings.Builder
	for i := range d.pic.Pieces {
		x := &d.pic.Pieces[i]
		fmt.Fprintf(&b, "%s at %#x, %s: %v. ", x.label(), x.Span.Off, Size(x.Span.Len), x.Class)
	}
	return strings.TrimSpace(b.String())
}

func (d *drawing) block(i int) {
	x, y := &d.pic.Pieces[i], svgTop
	for _, h := range d.height[:i] {
		y += h
	}
	h, ink := d.height[i], inks[x.Class].text
	d.add(`<rect x="%d" y="%d" width="%d" height="%d" rx="5" %s/>`, svgLeft, y+1, svgColumn, h-2, fillOf(x.Class))
	d.add(`<text class="mono soft end" x="%d" y="%d">%s</text>`, svgLeft-14, y+5, hex(x.Span.Off, d.pic.Size))
	d.add(`<path d="M%d %dh8" class="edge"/>`, svgLeft-10, y+1)
	middle := y + h/2
	text := svgLeft + 16
	if x.Class.Locked() {
		d.lock(text, middle-8, ink)
		text += 24
	}
	on := ` style="fill:` + ink + `"` // above the classes, which follow the page
	if ink == "" {
		on = ""
	}
	d.add(`<text class="name" x="%d" y="%d"%s>%s</text>`, text, middle+5, on, html.EscapeString(clip(x.label(), 24)))
	d.add(`<text class="small end" x="%d" y="%d"%s>%s</text>`, svgLeft+svgColumn-14, middle+4, on, Size(x.Span.Len))
	second := note(x)
	if second != "" {
		middle -= 8
		d.add(`<text class="small soft" x="%d" y="%d">%s</text>`, svgRules, middle+21, html.EscapeString(clip(second, 40)))
	}
	d.add(`<text class="small" x="%d" y="%d">%s</text>`, svgRules, middle+4, html.EscapeString(sentence(x)))
}

func fillOf(c Class) string {
	switch c {
	case Hidden:
		return `fill="url(#h)"`
	case Free:
		return `class="gap"`
	}
	return `fill="` + inks[c].block + `"`
}

// sentence is the rules in the words of the policy.
func sentence(x *Piece) string {
	switch {
	case x.Class == Free:
		return "denied: no region"
	case x.Class == Hidden:
		return strings.TrimSuffix("hidden: "+x.Kind, ": ")
	case x.Count > 1:
		return fmt.Sprintf("%d regions, at most %v", x.Count, x.Class)
	}
	a := x.Access
	if a.Write == a.Erase && a.Read != a.Write {
		return clip(fmt.Sprintf("read %v · write, erase %v", a.Read, a.Write), 44)
	}
	if a.Read == a.Write && a.Read == a.Erase {
		return fmt.Sprintf("read, write, erase %v", a.Read)
	}
	return clip(fmt.Sprintf("read %v · write %v · erase %v", a.Read, a.Write, a.Erase), 44)
}

// note is what else the policy says of a piece.
func note(x *Piece) string { return newRow(x, 1).note }

// lock is a closed padlock of 14 by 16 pixels.
func (d *drawing) lock(x, y int, ink string) {
	d.add(`<g transform="translate(%d %d)"><path d="M3.2 7V4.8a3.8 3.8 0 0 1 7.6 0V7" fill="none" stroke="%s" stroke-width="1.8"/>`+
		`<rect x="1" y="6.6" width="12" height="9" rx="2" fill="%s"/></g>`, x, y, ink, ink)
}

// frame closes the column with the last address.
func (d *drawing) frame() {
	d.add(`<text class="mono soft end" x="%d" y="%d">%s</text>`, svgLeft-14, d.bottom+3, hex(d.pic.Size, d.pic.Size))
	d.add(`<path d="M%d %dh8" class="edge"/>`, svgLeft-10, d.bottom-1)
}

// legend explains the colours and says what share of the flash each has.
func (d *drawing) legend() {
	total, y := d.total, svgTop+10
	d.add(`<path d="M%d %dV%d" class="edge"/>`, svgLegend-22, svgTop, d.bottom)
	for _, c := range Classes() {
		if total[c] == 0 {
			continue
		}
		d.add(`<rect x="%d" y="%d" width="26" height="26" rx="5" %s/>`, svgLegend, y-11, fillOf(c))
		if c.Locked() {
			d.lock(svgLegend+6, y-6, inks[c].text)
		}
		share := 100 * float64(total[c]) / float64(d.pic.Size)
		d.add(`<text class="name" x="%d" y="%d">%v</text>`, svgLegend+38, y, c)
		d.add(`<text class="small soft end" x="%d" y="%d">%s · %.1f %%</text>`, svgWidth-28, y, Size(total[c]), share)
		d.add(`<text class="small soft" x="%d" y="%d">%s</text>`, svgLegend+38, y+16, html.EscapeString(c.About()))
		y += 52
	}
}

// clip shortens s to n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
