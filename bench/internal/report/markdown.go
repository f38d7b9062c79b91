package report

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the tables.
func (r *Results) Markdown(w io.Writer) error {
	left, all := r.NoVerdicts()
	var b strings.Builder
	fmt.Fprintf(&b, "# Measured %s\n\n", r.Date)
	fmt.Fprintf(&b, "%s/%s, %s, %d processors, %s. %d code layouts for each build, %s for each line. ",
		r.GOOS, r.GOARCH, r.CPU, r.CPUs, r.Go, r.Layouts, r.Benchtime)
	fmt.Fprintf(&b, "%d of %d lines had no verdict (A/A beyond 1 ± 0.002) and are left out. ", left, all)
	b.WriteString("Method and words: [README](../README.md).\n")
	r.ratioTable(&b)
	r.addedTable(&b)
	r.callTable(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Results) ratioTable(b *strings.Builder) {
	b.WriteString("\n## Mediated over bare\n\nGeomean over the layouts, its 95 % interval, and the layouts' [least, most].\n\n" +
		"| case | build | ratio | 95 % | layouts | added | over a copy | allocs | reach | |\n|--|--|--:|--|--|--:|--:|--:|--|--|\n")
	r.rows(b, func(c *Case, reach Reach) string {
		if reach.Ratio == 0 {
			return ""
		}
		m, over := c.Metrics["ratio"], "–"
		if s, ok := c.Metrics["over-copy-ns"]; ok {
			over = nanos(s.Mid)
		}
		limit := fmt.Sprintf("≤ %.2f", reach.Ratio)
		if reach.Hi95 > 0 {
			limit += fmt.Sprintf(", 95 %% ≤ %.2f", reach.Hi95)
		}
		if reach.Over > 0 {
			limit += fmt.Sprintf(", copy + %g ns", reach.Over)
		}
		return fmt.Sprintf("**%.3f** | %.3f–%.3f | [%.3f, %.3f] | %s | %s | %g | %s", m.Mid, m.Lo, m.Hi, m.Min, m.Max,
			nanos(c.Metrics["added-ns"].Mid), over, c.Metrics["allocs"].Max, limit)
	})
}

func (r *Results) addedTable(b *strings.Builder) {
	b.WriteString("\n## Added per access\n\nMean over the layouts, its 95 % interval, and the layouts' [least, most]. " +
		"\"Of\" is what the case is compared with: bare memory; for flipped slots the same read before; for 100 000 regions one of 4.\n\n" +
		"| case | build | added | 95 % | layouts | of | allocs | reach | |\n|--|--|--:|--|--|--:|--:|--|--|\n")
	r.rows(b, func(c *Case, reach Reach) string {
		m, ok := c.Metrics["added-ns"]
		if !ok || reach.Ratio != 0 {
			return ""
		}
		limit := "–"
		if reach.Added > 0 {
			limit = fmt.Sprintf("≤ %g ns", reach.Added)
		}
		return fmt.Sprintf("**%s** | %.2f–%.2f | [%.2f, %.2f] | %.1f ns | %g | %s", nanos(m.Mid), m.Lo, m.Hi, m.Min, m.Max,
			c.Metrics["bare-ns"].Mid, c.Metrics["allocs"].Max, limit)
	})
}

func (r *Results) callTable(b *strings.Builder) {
	b.WriteString("\n## Control\n\nWhole calls, unpaired: they depend on how busy the machine was.\n\n" +
		"| case | build | mean | [least, most] | reach | |\n|--|--|--:|--|--|--|\n")
	r.rows(b, func(c *Case, reach Reach) string {
		m, ok := c.Metrics["ns/op"]
		if _, paired := c.Metrics["ratio"]; paired || !ok {
			return ""
		}
		limit := "–"
		if reach.Nanos > 0 {
			limit = "≤ " + duration(reach.Nanos)
		}
		return fmt.Sprintf("**%s** | [%s, %s] | %s", duration(m.Mid), duration(m.Min), duration(m.Max), limit)
	})
}

// rows writes a line for each case for which cells has something to say.
func (r *Results) rows(b *strings.Builder, cells func(*Case, Reach) string) {
	for i := range r.Cases {
		c := &r.Cases[i]
		reach, _ := reachOf(c.Name)
		text := ""
		if c.Layouts > 0 {
			text = cells(c, reach)
		}
		if text == "" {
			continue
		}
		mark := ""
		if reached, known := c.Judge(); known && reached {
			mark = "reached"
		} else if known {
			mark = "**missed**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", reach.What, c.Build, text, mark)
	}
}

func nanos(v float64) string { return fmt.Sprintf("%+.2f ns", v) }

func duration(ns float64) string {
	switch {
	case ns >= 1e6:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	case ns >= 1e3:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return fmt.Sprintf("%.1f ns", ns)
}
