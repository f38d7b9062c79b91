package nanolock_test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	maxFileLines = 600 // a newcomer should find the room in a file
	maxFuncLines = 100
)

// documented are the packages of which every exported name has a comment.
var documented = []string{".", "nvm", "policy", "cose", "attack", "nvmtest", "backend/...", "keystore/...", "vault", "order", "device/...", "devicetest"}

var licence = regexp.MustCompile(`(?i)\bcopyright\b|SPDX-License-Identifier|licensed under`)

func TestDocs(t *testing.T) {
	faults, longest := checkDocs(os.DirFS("."))
	for _, f := range faults {
		t.Error(f)
	}
	t.Logf("longest files: %s", strings.Join(longest, ", "))
}

// A folder is the parsed files of one package, tests left out.
type folder struct {
	fset  *token.FileSet
	files map[string]*ast.File
	lines map[string]int
}

// checkDocs returns every package and exported name that does not explain
// itself, every file and function that is too long, and the longest files.
func checkDocs(tree fs.FS) (faults, longest []string) {
	type file struct {
		name  string
		lines int
	}
	var all []file
	folders := map[string]*folder{}
	err := eachSource(tree, func(s source) {
		b, err := fs.ReadFile(tree, s.file)
		if err != nil {
			faults = append(faults, err.Error())
			return
		}
		p := folders[s.pkg]
		if p == nil {
			p = &folder{token.NewFileSet(), map[string]*ast.File{}, map[string]int{}}
			folders[s.pkg] = p
		}
		f, err := parser.ParseFile(p.fset, s.file, b, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			faults = append(faults, err.Error())
			return
		}
		p.files[s.file], p.lines[s.file] = f, bytes.Count(b, []byte("\n"))
	})
	if err != nil {
		faults = append(faults, err.Error())
	}
	for pkg, p := range folders {
		for name, n := range p.lines {
			all = append(all, file{name, n})
		}
		faults = append(faults, p.lengths()...)
		faults = append(faults, p.packageDoc(pkg)...)
		if hasDocRule(pkg) {
			faults = append(faults, p.names()...)
		}
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Or(b.lines-a.lines, strings.Compare(a.name, b.name)) })
	for _, f := range all[:min(len(all), 5)] {
		longest = append(longest, fmt.Sprintf("%s %d", f.name, f.lines))
	}
	slices.Sort(faults)
	return slices.Compact(faults), longest
}

func hasDocRule(pkg string) bool {
	return slices.ContainsFunc(documented, func(d string) bool {
		tree, isTree := strings.CutSuffix(d, "/...")
		return pkg == tree || isTree && strings.HasPrefix(pkg, tree+"/")
	})
}

func (p *folder) lengths() (faults []string) {
	for name, f := range p.files {
		if ast.IsGenerated(f) {
			continue
		}
		if n := p.lines[name]; n > maxFileLines {
			faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d", name, n, maxFileLines))
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := p.fset.Position(fn.End()).Line - p.fset.Position(fn.Pos()).Line + 1; n > maxFuncLines {
				faults = append(faults, fmt.Sprintf("%s: %s has %d lines, more than %d", name, fn.Name.Name, n, maxFuncLines))
			}
		}
	}
	return faults
}

func (p *folder) packageDoc(pkg string) (faults []string) {
	found := false
	for name, f := range p.files {
		if f.Doc == nil {
			continue
		}
		if licence.MatchString(f.Doc.Text()) {
			faults = append(faults, name+": the package comment is the licence")
		}
		found = true
	}
	if !found {
		faults = append(faults, "package "+pkg+" has no comment")
	}
	return faults
}

// names reads the syntax of each file rather than the package as built, so
// that files of other systems and build tags count as well.
func (p *folder) names() (faults []string) {
	for name, f := range p.files {
		miss := func(what string) { faults = append(faults, name+": "+what+" has no comment") }
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d.Recv) {
					miss(d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					undocumented(d, s, miss)
				}
			}
		}
	}
	return faults
}

// exportedReceiver tells whether a method shows in the documentation.
func exportedReceiver(recv *ast.FieldList) bool {
	if recv == nil {
		return true
	}
	t := recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// undocumented: a group's comment speaks for its values, not for its types.
func undocumented(d *ast.GenDecl, s ast.Spec, miss func(string)) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		alone := !d.Lparen.IsValid() && d.Doc != nil
		if s.Name.IsExported() && !alone && s.Doc == nil && s.Comment == nil {
			miss(s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				miss(n.Name)
			}
		}
	}
}

// The checker has to be able to fail.
func TestDocsCaught(t *testing.T) {
	long := strings.Repeat("\n", maxFuncLines)
	tests := []struct{ name, src, fault string }{
		{"good", "// Package nvm is.\npackage nvm\n\n// F does.\nfunc F() {}\n", ""},
		{"silent", "package nvm\n", "package nvm has no comment"},
		{"licence", "// Copyright of somebody.\npackage nvm\n", "is the licence"},
		{"function", "// Package nvm is.\npackage nvm\n\nfunc F() {}\n", "F has no comment"},
		{"method of another file's type", "// Package nvm is.\npackage nvm\n\nfunc (T) M() {}\n", "M has no comment"},
		{"type", "// Package nvm is.\npackage nvm\n\ntype T int\n", "T has no comment"},
		{"value", "// Package nvm is.\npackage nvm\n\nvar V int\n", "V has no comment"},
		{"group", "// Package nvm is.\npackage nvm\n\n// Some.\nvar (\n\tV int\n\tW int\n)\n", ""},
		{"line comment", "// Package nvm is.\npackage nvm\n\nvar (\n\tV int // one\n)\n", ""},
		{"unexported", "// Package nvm is.\npackage nvm\n\nfunc f() {}\n", ""},
		{"long function", "// Package nvm is.\npackage nvm\n\nfunc f() {" + long + "}\n", "f has 101 lines"},
		{"long file", "// Package nvm is.\npackage nvm\n" + strings.Repeat("\n", maxFileLines), "a.go has 602 lines"},
		{"generated", "// Code generated by hand. DO NOT EDIT.\n\n// Package nvm is.\npackage nvm\n" + strings.Repeat("\n", maxFileLines), ""},
	}
	for _, tc := range tests {
		faults, _ := checkDocs(fstest.MapFS{"nvm/a.go": {Data: []byte(tc.src)}})
		got := strings.Join(faults, "\n")
		if tc.fault == "" && got != "" || !strings.Contains(got, tc.fault) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.fault)
		}
	}
}
