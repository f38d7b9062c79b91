package main

import (
	"strings"
	"unicode/utf8"
)

// style is what the terminal can show.
type style struct {
	color, utf8 bool
	width       int
}

// setStyle looks at standard output and at what was asked for. Colours need a
// terminal, and NO_COLOR, whatever its value, forbids them (no-color.org).
func (a *app) setStyle() error {
	width, tty := terminal(a.out)
	a.style = style{width: 80, utf8: !a.ascii && a.speaksUTF8(tty)}
	if width > 0 {
		a.style.width = width
	}
	switch a.color {
	case "always":
		a.style.color = true
	case "never":
	case "auto":
		a.style.color = tty && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
	default:
		return usage("say --color auto, always or never", "unknown --color %q", a.color)
	}
	return nil
}

// speaksUTF8 believes the locale; what goes into a file is UTF-8 unless the
// locale says otherwise.
func (a *app) speaksUTF8(tty bool) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(a.env(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return !tty
}

func (s style) sgr(code, text string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(t string) string   { return s.sgr("1", t) }
func (s style) dim(t string) string    { return s.sgr("2", t) }
func (s style) red(t string) string    { return s.sgr("1;31", t) }
func (s style) green(t string) string  { return s.sgr("32", t) }
func (s style) yellow(t string) string { return s.sgr("33", t) }

// pick returns what the terminal can show.
func (s style) pick(unicode, ascii string) string {
	if s.utf8 {
		return unicode
	}
	return ascii
}

func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0))
}

func padLeft(s string, n int) string {
	return strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0)) + s
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n && n > 2 {
		return string(r[:n-2]) + ".."
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
