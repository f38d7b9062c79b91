package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// skipDir tells whether the Go tool would not look into a folder of that name.
func skipDir(name string) bool {
	return name != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) ||
		name == "testdata" || name == "node_modules" || name == "vendor"
}

// goFiles lists the Go files of the tree below root, nested modules included.
func goFiles(root string) ([]string, error) {
	return walk(root, func(name string) bool { return strings.HasSuffix(name, ".go") })
}

// modules lists the folders with a go.mod, the root first.
func modules(root string) ([]string, error) {
	files, err := walk(root, func(name string) bool { return name == "go.mod" })
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, f := range files {
		dirs = append(dirs, filepath.Dir(f))
	}
	slices.Sort(dirs)
	return dirs, nil
}

func walk(root string, want func(name string) bool) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if path != root && skipDir(d.Name()) {
				return fs.SkipDir
			}
		case want(d.Name()):
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

// A goPackage is a package as a pattern for the Go tool inside its module.
type goPackage struct{ module, pattern string }

// packagesWith lists the packages of which a test file matches re. Reading is
// cheap; the exact targets are then asked of "go test -list", which knows tags.
func packagesWith(root string, re *regexp.Regexp) ([]goPackage, error) {
	mods, err := modules(root)
	if err != nil {
		return nil, err
	}
	files, err := goFiles(root)
	if err != nil {
		return nil, err
	}
	var found []goPackage
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if !re.Match(b) {
			continue
		}
		p := locate(mods, filepath.Dir(f))
		if !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	return found, nil
}

// locate finds the innermost module that holds dir.
func locate(mods []string, dir string) goPackage {
	best := ""
	for _, m := range mods {
		if (dir == m || strings.HasPrefix(dir, m+string(filepath.Separator))) && len(m) > len(best) {
			best = m
		}
	}
	rel, err := filepath.Rel(best, dir)
	if err != nil || rel == "." {
		return goPackage{best, "."}
	}
	return goPackage{best, "./" + filepath.ToSlash(rel)}
}

// name shortens an absolute folder for a reader.
func name(root, dir string) string {
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return dir
	}
	return rel
}
