package report

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// The plot stands on a light card of its own, so that it reads the same on a
// light page and on a dark one.
const (
	plotWidth, plotHeight = 980, 500
	plotTop, plotBottom   = 112, 420
	leftFrom, leftTo      = 70, 470
	rightFrom, rightTo    = 720, 910
)

const plotStyle = `<style>
text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2937;font-size:13px}
.title{font-size:19px;font-weight:600}.head{font-size:14px;font-weight:600}.soft{fill:#5b6472;font-size:12px}
.end{text-anchor:end}.mid{text-anchor:middle}.num{font-size:12px;font-weight:600}
.grid{stroke:#e3e7ee;stroke-width:1}.one{stroke:#374151;stroke-width:1.5}.reach{stroke:#b4233c;stroke-width:2;stroke-dasharray:6 4}
.reachtext{fill:#b4233c;font-size:12px}
.halo{paint-order:stroke;stroke:#fbfcfe;stroke-width:4px;stroke-linejoin:round}
.fast{stroke:#1d63d1;fill:#1d63d1}.safe{stroke:#b86200;fill:#b86200}.thin{stroke-width:1.5}.thick{stroke-width:5;stroke-linecap:round}
text.fast,text.safe{stroke:#fbfcfe}
</style>`

// svg collects elements.
type svg struct{ strings.Builder }

func (s *svg) text(x, y float64, class, format string, a ...any) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, escape(fmt.Sprintf(format, a...)))
}

func (s *svg) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

// dot is a circle for the fast build and a diamond for the safe one: the colours
// are not all that tells them apart.
func (s *svg) dot(x, y float64, build string) {
	if build == "safe" {
		fmt.Fprintf(s, `<path d="M%.1f %.1fl6.5 6.5l-6.5 6.5l-6.5 -6.5z" class="safe"/>`+"\n", x, y-6.5)
		return
	}
	fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="5.5" class="fast"/>`+"\n", x, y)
}

func escape(t string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(t)
}

// SVG writes the plot that the project's front page shows.
func (r *Results) SVG(w io.Writer) error {
	var s svg
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Cost of mediation">`+"\n",
		plotWidth, plotHeight, plotWidth, plotHeight)
	s.WriteString(plotStyle)
	fmt.Fprintf(&s, `<rect x="0.5" y="0.5" width="%d" height="%d" rx="10" fill="#fbfcfe" stroke="#d5dae3"/>`+"\n", plotWidth-1, plotHeight-1)
	s.text(28, 40, "title", "What mediation costs")
	s.legend()
	r.ratios(&s)
	r.shares(&s)
	left, all := r.NoVerdicts()
	s.text(28, plotHeight-15, "soft", "Measured %s, %s/%s, %s; %d code layouts of each build, paired 50 µs blocks in shuffled order; %d of %d lines without a verdict left out.",
		r.Date, r.GOOS, r.GOARCH, r.Go, r.Layouts, left, all)
	s.WriteString("</svg>\n")
	_, err := io.WriteString(w, s.String())
	return err
}

func (s *svg) legend() {
	const y = 36
	s.dot(430, y, "fast")
	s.text(442, y+4, "", "default build")
	s.dot(550, y, "safe")
	s.text(562, y+4, "", "nanolock_safe (no unsafe)")
	s.line(745, y, 775, y, "fast thick")
	s.text(783, y+4, "soft", "95 %%")
	s.line(822, y, 852, y, "fast thin")
	s.text(860, y+4, "soft", "all layouts")
}

// ratios draws mediated over bare for reads of three sizes.
func (r *Results) ratios(s *svg) {
	s.text(28, 78, "head", "Host read of a mapped memory, time relative to bare")
	s.text(28, 96, "soft", "1.00 is the same memory without a lock")
	reaches := Reaches[:3]
	lo, hi := r.ratioRange(reaches)
	at := func(v float64) float64 { return plotBottom - (v-lo)/(hi-lo)*(plotBottom-plotTop) }
	for v := lo; v < hi+1e-9; v += tick(hi - lo) {
		class := "grid"
		if math.Abs(v-1) < 1e-9 {
			class = "one"
		}
		s.line(leftFrom, at(v), leftTo, at(v), class)
		s.text(leftFrom-10, at(v)+4, "end soft", "%.2f", v)
	}
	step := float64(leftTo-leftFrom) / float64(len(reaches))
	for i, reach := range reaches {
		x := leftFrom + step*float64(i)
		s.line(x+8, at(reach.Ratio), x+step-8, at(reach.Ratio), "reach")
		s.text(x+step/2, plotBottom+24, "mid", "%s", [...]string{"16 B", "256 B", "4 KiB"}[i])
		s.text(x+step/2, plotBottom+42, "mid reachtext", "reach %.2f", reach.Ratio)
		for j, build := range Builds {
			r.ratio(s, build, reach.Case, x+step*(0.19+0.43*float64(j)), at)
		}
	}
}

func (r *Results) ratio(s *svg, build, name string, x float64, at func(float64) float64) {
	c := r.Case(build, name)
	if c == nil || c.Layouts == 0 {
		return
	}
	m := c.Metrics["ratio"]
	s.line(x, at(m.Min), x, at(m.Max), build+" thin")
	s.line(x-5, at(m.Min), x+5, at(m.Min), build+" thin")
	s.line(x-5, at(m.Max), x+5, at(m.Max), build+" thin")
	s.line(x, at(m.Lo), x, at(m.Hi), build+" thick")
	s.dot(x, at(m.Mid), build)
	s.text(x+11, at(m.Mid)+4, "num halo "+build, "%.3f", m.Mid)
}

// ratioRange rounds outward to what is drawn.
func (r *Results) ratioRange(reaches []Reach) (lo, hi float64) {
	lo, hi = 0.95, 1.05
	for _, reach := range reaches {
		hi = max(hi, reach.Ratio)
		for _, build := range Builds {
			if c := r.Case(build, reach.Case); c != nil && c.Layouts > 0 {
				m := c.Metrics["ratio"]
				lo, hi = min(lo, m.Min, m.Lo), max(hi, m.Max, m.Hi)
			}
		}
	}
	t := tick(hi - lo)
	return math.Floor(lo/t+1e-9) * t, math.Ceil(hi/t+0.4) * t
}

// tick leaves a handful of lines.
func tick(width float64) float64 {
	for _, t := range []float64{0.02, 0.05, 0.1, 0.2, 0.5} {
		if width/t <= 10 {
			return t
		}
	}
	return 1
}

// shareRows are the cases of the right half.
var shareRows = []string{
	"Read/memory=opaque/size=16", "Read/memory=opaque/size=256", "Read/memory=opaque/size=4096",
	"Flipped/memory=mapped/size=16", "Flipped/memory=opaque/size=16", "Regions/regions=100000/size=16",
	"View/size=4096", "Write/memory=ram/size=16", "Write/memory=ram/size=4096",
}

// shares draws added time as a share of its reach, so that a read of 2 ns and a
// program of 25 ns fit on one scale.
func (r *Results) shares(s *svg) {
	s.text(510, 78, "head", "Nanoseconds added per access, against their reach")
	s.text(510, 96, "soft", "the dashed line is the reach; zero is bare")
	least, most := r.shareRange()
	at := func(v float64) float64 {
		return rightFrom + (max(least, min(v, most))-least)/(most-least)*(rightTo-rightFrom)
	}
	s.line(at(0), plotTop, at(0), plotBottom, "one")
	s.line(at(1), plotTop, at(1), plotBottom, "reach")
	s.text(at(0), plotBottom+24, "mid soft", "0")
	s.text(at(1), plotBottom+24, "mid reachtext", "reach")
	step := float64(plotBottom-plotTop) / float64(len(shareRows))
	for i, name := range shareRows {
		reach, _ := reachOf(name)
		y := plotTop + step*(float64(i)+0.5)
		s.text(rightFrom-14, y+4, "end", "%s", reach.What)
		for j, build := range Builds {
			r.share(s, build, reach, y+float64(14*j-7), at)
		}
		s.text(plotWidth-16, y+4, "end reachtext", "%g ns", reach.Added)
	}
}

// shareRange holds all the middles, within reason: what lies beyond is drawn at
// the edge.
func (r *Results) shareRange() (least, most float64) {
	least, most = -0.1, 1.25
	for _, name := range shareRows {
		reach, _ := reachOf(name)
		for _, build := range Builds {
			if c := r.Case(build, name); c != nil && c.Layouts > 0 {
				v := c.Metrics["added-ns"].Mid / reach.Added
				least, most = max(-1, min(least, v-0.1)), min(3, max(most, v+0.1))
			}
		}
	}
	return least, most
}

func (r *Results) share(s *svg, build string, reach Reach, y float64, at func(float64) float64) {
	c := r.Case(build, reach.Case)
	if c == nil || c.Layouts == 0 {
		return
	}
	m, of := c.Metrics["added-ns"], reach.Added
	s.line(at(m.Min/of), y, at(m.Max/of), y, build+" thin")
	s.line(at(m.Lo/of), y, at(m.Hi/of), y, build+" thick")
	s.dot(at(m.Mid/of), y, build)
	if at(m.Mid/of) == rightTo { // further out than the plot goes
		s.text(rightTo-12, y+4, "end num halo "+build, "%+.1f ns", m.Mid)
	}
}
