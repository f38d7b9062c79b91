package main

import (
	"fmt"
	"io"
	"strings"
)

// progress is a bar on standard error, where that is a terminal.
type progress struct {
	w     io.Writer // nil = no bar
	style style
	width int
}

func (a *app) newProgress(total int, first string) *progress {
	width, tty := terminal(a.err)
	if !tty || a.env("TERM") == "dumb" {
		return &progress{}
	}
	p := &progress{w: a.err, width: max(width, 40), style: a.style}
	p.step(0, total, first)
	return p
}

// step draws the bar with what has just been done.
func (p *progress) step(done, total int, name string) {
	if p.w == nil || total <= 0 {
		return
	}
	const cells = 28
	full := cells * done / total
	bar := strings.Repeat(p.style.pick("█", "#"), full) + strings.Repeat(p.style.pick("░", "."), cells-full)
	text := fmt.Sprintf("%s %*d/%d  %s", bar, len(fmt.Sprint(total)), done, total, name)
	fmt.Fprintf(p.w, "\r\x1b[K%s", cut(text, p.width-1))
}

// done takes the bar away.
func (p *progress) done() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
