package nanolock_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const modulePath = "github.com/nanolock/nanolock"

// A room is one row of the import table: the packages it stands for, its floor,
// and what of ours they may import. An import goes to a lower floor only, or
// stays within the same row.
type room struct {
	pkg   string // "." is the root; "x/..." is x and all below it
	floor int
	may   []string // "*" is everything on the floors below
}

// rooms is policy, not a description: a build that breaks on it is wrong until
// the design says otherwise. A package without a row fails.
var rooms = []room{
	{"nvm", 0, nil},
	{"keystore", 0, nil},
	{"internal/cbor", 0, nil},
	{"internal/testdeps", 0, nil}, // for tests alone

	{"policy", 1, []string{"nvm", "internal/cbor"}},
	{"cose", 1, []string{"internal/cbor"}},
	{"internal/flashmap", 1, nil},
	{"backend/mmap", 1, []string{"nvm"}},
	{"backend/mtd", 1, []string{"nvm"}},
	{"backend/sim", 1, []string{"nvm"}},
	{"nvmtest", 1, []string{"nvm"}},
	{"keystore/keystoretest", 1, []string{"keystore"}},

	{".", 2, []string{"nvm", "policy"}},
	{"policy/policyfile", 2, []string{"policy", "nvm", "internal/flashmap"}},
	{"keystore/soft", 2, []string{"keystore", "cose"}},
	{"keystore/tpm", 2, []string{"keystore", "cose"}},
	{"order", 2, []string{"policy", "keystore", "cose", "internal/cbor"}},
	{"manifest", 2, []string{"cose", "internal/cbor"}},
	{"vault", 2, []string{"nvm", "keystore", "internal/cbor"}},

	// Everything below but policyfile, backends, keystores and test packages.
	{"device", 3, []string{".", "nvm", "policy", "internal/cbor", "keystore", "cose", "order", "manifest", "vault"}},
	{"gate/spinor", 3, []string{".", "nvm"}},
	{"internal/flashpic", 3, []string{"policy", "nvm"}},

	{"gate/serprog", 4, []string{".", "gate/spinor"}},
	{"gate/nbd", 4, []string{".", "gate/spinor"}},
	{"device/hclogger", 4, []string{"device", "order"}},
	{"internal/rig", 4, []string{"*"}}, // a whole device, for devicetest and attack
	{"devicetest", 5, []string{"*"}},
	{"attack", 5, []string{"*"}},
	{"internal/demo", 4, []string{"policy", "policy/policyfile", "nvm"}}, // reads YAML
	{"agent", 4, []string{"order"}},

	// Locks that are broken on purpose: the catalogue has to catch each.
	{"attack/internal/worlds", 2, []string{"policy", "nvm"}},
	{"attack/broken", 6, []string{"attack", ".", "nvm", "policy", "cose", "order", "keystore", "vault", "internal/cbor"}},
	{"internal/ownerfiles", 5, []string{"*"}},                  // what an owner without a server does
	{"internal/keyfile", 5, []string{"cose", "internal/cbor"}}, // keys of people: for commands and examples
	{"fleet/...", 5, []string{"order", "manifest", "policy", "keystore", "cose"}},

	{"cmd/...", 7, []string{"*"}},
	{"examples/...", 7, []string{"*"}},
	{"bench/...", 7, []string{"*"}},
}

// coreStd is what the trusted core may import of the standard library. None of
// it opens, dials, logs, reads a clock or starts a process.
var coreStd = []string{
	"errors", "fmt", "io", "io/fs", "iter", "math", "math/bits", "runtime",
	"slices", "sort", "strconv", "sync", "sync/atomic",
}

// dataStd is what a package that turns bytes into rules needs besides.
var dataStd = []string{"bytes", "cmp", "hash/maphash", "encoding/binary", "maps", "strings", "unicode/utf8"}

// closed lists the packages whose other imports are a closed list: they use
// the standard library alone.
var closed = map[string][]string{
	"nvm":           coreStd,
	".":             coreStd,
	"policy":        slices.Concat(coreStd, dataStd),
	"internal/cbor": slices.Concat(coreStd, dataStd),
	"keystore": slices.Concat(coreStd, dataStd, []string{ // its calls wait, and it joins the halves of a KEM
		"context", "time", "crypto", "crypto/ecdh", "crypto/mlkem", "crypto/sha3"}),
	"order": slices.Concat(coreStd, dataStd, []string{ // it hashes, and has a keystore sign
		"context", "crypto/hmac", "crypto/sha256", "unicode"}),
}

// unsafeIn names the files, or whole packages, that may import unsafe.
var unsafeIn = map[string]string{
	"fast.go":      "the hot path; nanolock_safe builds its twin",
	"backend/mmap": "pages of a mapping",
}

// onlyIn names modules of others that few packages import: what they do has few
// doors, and to replace them only those change.
var onlyIn = map[string][]string{
	// ML-DSA. Keystores sign by cose; what checks them does not.
	"github.com/cloudflare/circl": {"cose", "keystore/keystoretest"},
}

// neverLinked may not be in a device: no package on the floors up to device
// links it, directly or through others.
var neverLinked = []string{"net/http", "database/sql", "yaml"}

// testPackage tells whether pkg is for tests alone.
func testPackage(pkg string) bool {
	return strings.HasSuffix(path.Base(pkg), "test") || pkg == "internal/testdeps"
}

func TestImports(t *testing.T) {
	for _, f := range checkImports(os.DirFS(".")) {
		t.Error(f)
	}
}

// TestDeviceLinks asks the Go tool, which sees through third-party packages.
func TestDeviceLinks(t *testing.T) {
	list := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%v: %v", list, err)
	}
	for line := range strings.Lines(string(out)) {
		deps := strings.Fields(line)
		pkg, _ := ownPackage(deps[0])
		r, ok := roomOf(pkg)
		if !ok || r.floor > 3 || pkg == "policy/policyfile" {
			continue
		}
		for _, dep := range linked(deps[1:]) {
			t.Errorf("%s links %s", pkg, dep)
		}
	}
}

func linked(deps []string) (bad []string) {
	for _, dep := range deps {
		for _, never := range neverLinked {
			if dep == never || strings.HasPrefix(dep, never+"/") || never == "yaml" && strings.Contains(dep, "yaml") {
				bad = append(bad, dep)
			}
		}
	}
	return bad
}

// roomOf finds the row that pkg stands in.
func roomOf(pkg string) (room, bool) {
	for _, r := range rooms {
		tree, isTree := strings.CutSuffix(r.pkg, "/...")
		if pkg == tree || isTree && strings.HasPrefix(pkg, tree+"/") {
			return r, true
		}
	}
	return room{}, false
}

// source is one Go file that is not a test, whatever its build tags.
type source struct {
	file, pkg string
	nested    bool // of another module: it has its own rules, but no C either
	imports   []string
}

// eachSource parses the imports of every such file.
func eachSource(tree fs.FS, do func(source)) error {
	var nested []string
	return fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") ||
				slices.Contains([]string{"testdata", "vendor", "node_modules"}, name)) {
				return fs.SkipDir
			}
			if _, err := fs.Stat(tree, path.Join(p, "go.mod")); err == nil && p != "." {
				nested = append(nested, p+"/")
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		b, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, b, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{file: p, pkg: path.Dir(p)}
		s.nested = slices.ContainsFunc(nested, func(n string) bool { return strings.HasPrefix(p, n) })
		for _, i := range f.Imports {
			imp, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			s.imports = append(s.imports, imp)
		}
		do(s)
		return nil
	})
}

// checkImports returns what in the tree breaks the table.
func checkImports(tree fs.FS) (faults []string) {
	bad := func(s source, f string, a ...any) {
		faults = append(faults, s.file+": "+fmt.Sprintf(f, a...))
	}
	err := eachSource(tree, func(s source) {
		if slices.Contains(s.imports, "C") {
			bad(s, "cgo is not used here")
		}
		if s.nested {
			return
		}
		from, ok := roomOf(s.pkg)
		if !ok {
			bad(s, "package %s has no row in the table of deps_test.go", s.pkg)
			return
		}
		for _, imp := range s.imports {
			if own, ok := ownPackage(imp); ok {
				if why := checkOwn(s.pkg, from, own); why != "" {
					bad(s, "%s", why)
				}
				continue
			}
			if imp == "unsafe" {
				if unsafeIn[s.file] == "" && unsafeIn[s.pkg] == "" {
					bad(s, "imports unsafe")
				}
				continue
			}
			for module, doors := range onlyIn {
				if (imp == module || strings.HasPrefix(imp, module+"/")) && !slices.Contains(doors, s.pkg) {
					bad(s, "imports %s, which %v alone may", imp, doors)
				}
			}
			if std, ok := closed[s.pkg]; ok && !slices.Contains(std, imp) {
				bad(s, "imports %s, which is not on the closed list of %s", imp, s.pkg)
			}
		}
	})
	if err != nil {
		faults = append(faults, err.Error())
	}
	return faults
}

// ownPackage returns the place of an import path in the table's words.
func ownPackage(imp string) (string, bool) {
	if imp == modulePath {
		return ".", true
	}
	return strings.CutPrefix(imp, modulePath+"/")
}

// checkOwn says why a package of room from must not import own, or "".
func checkOwn(pkg string, from room, own string) string {
	to, ok := roomOf(own)
	switch {
	case !ok:
		return fmt.Sprintf("imports %s, which has no row in the table", own)
	case testPackage(own) && !testPackage(pkg):
		return fmt.Sprintf("imports %s, which is for tests", own)
	case to.pkg == from.pkg:
		return ""
	case to.floor >= from.floor:
		return fmt.Sprintf("imports %s: floor %d imports floor %d", own, from.floor, to.floor)
	case !slices.Contains(from.may, "*") && !slices.Contains(from.may, own):
		return fmt.Sprintf("imports %s, which its row does not list", own)
	}
	return ""
}

// The table has to be possible: every import that a row lists goes down.
func TestImportTable(t *testing.T) {
	for _, r := range rooms {
		for _, own := range r.may {
			if own == "*" {
				continue
			}
			to, ok := roomOf(own)
			if !ok || to.floor >= r.floor {
				t.Errorf("row %s lists %s, which is not on a lower floor", r.pkg, own)
			}
		}
	}
}

// The checker has to be able to fail.
func TestImportsCaught(t *testing.T) {
	own := func(p string) string { return modulePath + "/" + p }
	tests := []struct{ file, imports, fault string }{
		{"nvm/a.go", "fmt", ""},
		{"nvm/a.go", "os", "closed list"},
		{"nvm/a.go", own("policy"), "floor 0 imports floor 1"},
		{"policy/a.go", "github.com/other/thing", "closed list"},
		{"policy/a.go", own("nvm"), ""},
		{"cose/a.go", "github.com/cloudflare/circl/sign/mldsa/mldsa65", ""},
		{"manifest/a.go", "github.com/cloudflare/circl/hpke", "alone may"},
		{"keystore/soft/a.go", "github.com/cloudflare/circl/sign/mldsa/mldsa65", "alone may"},
		{"lock.go", own("nvm"), ""},
		{"lock.go", "net", "closed list"},
		{"lock.go", "unsafe", "imports unsafe"},
		{"fast.go", "unsafe", ""},
		{"nvm/fast.go", "unsafe", "imports unsafe"},
		{"backend/mmap/a.go", "unsafe", ""},
		{"vault/a.go", "C", "cgo"},
		{"bench/peers/a.go", "C", "cgo"},
		{"bench/peers/a.go", "github.com/other/thing", ""},
		{"vault/a.go", own("policy"), "does not list"},
		{"vault/a.go", own("nvmtest"), "for tests"},
		{"devicetest/a.go", own("nvmtest"), ""},
		{"vault/a_test.go", own("nvmtest"), ""},
		{"vault/b_windows.go", own("policy"), "does not list"},
		{"fleet/web/a.go", own("fleet"), ""},
		{"fleet/web/a.go", own("device"), "does not list"},
		{"cmd/nanolock/a.go", own("attack/broken"), ""},
		{"cmd/nanolock/a.go", own("devicetest"), "for tests"},
		{"cmd/nanolock/a.go", own("internal/testdeps"), "for tests"},
		{"device/a.go", own("internal/keyfile"), "floor 3 imports floor 5"},
		{"fleet/a.go", own("internal/keyfile"), "floor 5 imports floor 5"},
		{"attack/a.go", own("fleet"), "floor 5 imports floor 5"},
		{"attack/a.go", own("internal/keyfile"), "floor 5 imports floor 5"},
		{"newcomer/a.go", "fmt", "no row"},
		{"order/a.go", own("newcomer"), "no row"},
	}
	for _, tc := range tests {
		tree := fstest.MapFS{
			"go.mod":             {Data: []byte("module " + modulePath)},
			"bench/peers/go.mod": {Data: []byte("module " + modulePath + "/bench/peers")},
			tc.file:              {Data: []byte("//go:build never\n\npackage p\n\nimport _ \"" + tc.imports + "\"\n")},
		}
		got := strings.Join(checkImports(tree), "\n")
		if tc.fault == "" && got != "" || !strings.Contains(got, tc.fault) {
			t.Errorf("%s importing %s: got %q, want %q", tc.file, tc.imports, got, tc.fault)
		}
	}
	if got := linked([]string{"fmt", "net/http/httptrace", "gopkg.in/yaml.v3", "net"}); len(got) != 2 {
		t.Errorf("linked: got %q", got)
	}
}
