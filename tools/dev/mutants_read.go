package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A mutant is the shipped source with one bug in it, and the test that must fail
// over it.
type mutant struct {
	name, class string
	dir, about  string // the package of its table, and the table's first comment
	pkg, test   string // what must fail: "./vault", "TestX/y"
	edits       []edit
	at          string // file:line of its table
}

// An edit replaces whole lines of a file, which is relative to the root.
type edit struct{ file, old, new string }

// readMutants reads the tables of a folder: *.txt, in order of name. A table is a
// list of fields and hunks; a line that begins with # says something to people, the
// first of them what the table is about.
//
//	package: vault
//
//	mutant: the epoch is not compared
//	class: a stale marker of an earlier round is believed
//	file: scan.go
//	kill: TestForgeries
//	-	return r, h.epoch == j.epoch && equalTags(...)
//	+	return r, equalTags(...)
//
// package is where the files and tests of all that follow are; "kill: ./dir TestX"
// names a test elsewhere. Lines of a hunk begin with a space, - or +, as in a
// diff, and what is left of those without + must be in the file exactly once. @@
// or another file: begins another hunk.
func readMutants(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		return nil, cmp.Or(err, fmt.Errorf("no tables of mutants in %s", dir))
	}
	var all []mutant
	seen := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		list, err := parseMutants(filepath.Base(f), string(b))
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if at, ok := seen[m.name]; ok {
				return nil, fmt.Errorf("%s: mutant %q is there already, at %s", m.at, m.name, at)
			}
			seen[m.name] = m.at
		}
		all = append(all, list...)
	}
	return all, nil
}

// table is one that is being read.
type table struct {
	pkg, about string
	file       string // of the next hunk
	cut        bool   // the next line of a hunk begins another one
	list       []mutant
}

func parseMutants(file, text string) ([]mutant, error) {
	var t table
	n := 0
	for line := range strings.Lines(text) {
		n++
		at := fmt.Sprintf("%s:%d", file, n)
		if err := t.line(strings.TrimSuffix(line, "\n"), at); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	var errs []error
	for _, m := range t.list {
		errs = append(errs, m.complete())
	}
	return t.list, errors.Join(errs...)
}

func (t *table) line(s, at string) error {
	key, value, _ := strings.Cut(s, ": ")
	switch {
	case s == "" || s[0] == '#':
		t.about = cmp.Or(t.about, strings.TrimPrefix(s, "# "))
		return nil
	case key == "package":
		t.pkg = value
		return nil
	case key == "mutant":
		t.list = append(t.list, mutant{name: value, at: at, dir: t.pkg, about: t.about})
		t.file = ""
		return nil
	case len(t.list) == 0:
		return errors.New("in front of the first mutant")
	}
	m := &t.list[len(t.list)-1]
	switch {
	case key == "class":
		m.class = value
	case key == "kill":
		if m.pkg, m.test = inModule(t.pkg), value; strings.HasPrefix(value, ".") {
			m.pkg, m.test, _ = strings.Cut(value, " ")
		}
	case key == "file":
		t.file, t.cut = path.Join(t.pkg, value), true
	case s == "@@":
		t.cut = true
	case strings.IndexByte(" +-", s[0]) >= 0 && t.file != "":
		if t.cut {
			m.edits = append(m.edits, edit{file: t.file})
			t.cut = false
		}
		m.edits[len(m.edits)-1].add(s[0], s[1:]+"\n")
	default:
		return fmt.Errorf("%q is neither a field nor a line of a hunk", s)
	}
	return nil
}

// inModule is a folder as the Go tool wants to hear it.
func inModule(dir string) string {
	if dir == "." {
		return dir
	}
	return "./" + dir
}

func (e *edit) add(kind byte, line string) {
	if kind != '+' {
		e.old += line
	}
	if kind != '-' {
		e.new += line
	}
}

func (m *mutant) complete() error {
	if m.name == "" || m.class == "" || m.test == "" || len(m.edits) == 0 {
		return fmt.Errorf("%s: mutant %q wants a name, a class, kill and a hunk", m.at, m.name)
	}
	for _, e := range m.edits {
		if e.old == "" || e.old == e.new {
			return fmt.Errorf("%s: mutant %q has a hunk that says not where, or changes nothing", m.at, m.name)
		}
	}
	return nil
}

// files lists what m changes.
func (m *mutant) files() (list []string) {
	for _, e := range m.edits {
		if !slices.Contains(list, e.file) {
			list = append(list, e.file)
		}
	}
	return list
}

// apply returns the files of m with the bug in them, by name.
func (m *mutant) apply(root string) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range m.edits {
		if _, ok := out[e.file]; !ok {
			b, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, fmt.Errorf("mutant %q no longer applies: %w", m.name, err)
			}
			out[e.file] = string(b)
		}
		text, n := replaceLines(out[e.file], e.old, e.new)
		if n != 1 {
			return nil, fmt.Errorf("mutant %q no longer applies: %s has %d places like\n%s(%s)", m.name, e.file, n, e.old, m.at)
		}
		out[e.file] = text
	}
	return out, nil
}

// replaceLines replaces whole lines, and says how often they are there.
func replaceLines(text, old, now string) (string, int) {
	text, old = "\n"+text, "\n"+old
	n, first := 0, -1
	for from := 0; ; n++ {
		i := strings.Index(text[from:], old)
		if i < 0 {
			break
		}
		if from += i + 1; first < 0 {
			first = from
		}
	}
	if n != 1 {
		return "", n
	}
	return text[1:first] + now + text[first+len(old)-1:], 1
}
