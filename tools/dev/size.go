package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// runSize prints what the core costs a small device: a program that refers to
// every exported function and method of it, less an empty program. That is an
// upper bound; the linker drops what a real program does not call.
func runSize(root string, _ []string) error {
	tmp, err := os.MkdirTemp("", "nanolock-size")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	src, err := everything(root)
	if err != nil {
		return err
	}
	programs := []struct{ name, src string }{
		{"empty", "package main\n\nfunc main() {}\n"},
		{"hello", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n"},
		{"core", src},
	}
	fmt.Printf("%-24s %10s %10s %10s\n", "linux/mipsle softfloat", "stripped", "gzip -9", "xz -9")
	all := map[string][]int{}
	for _, p := range programs {
		path, err := program(root, tmp, p.name, p.src)
		if err != nil {
			return err
		}
		if all[p.name], err = sizes(path); err != nil {
			return err
		}
		printSizes(p.name, all[p.name], nil)
	}
	printSizes("core less empty", all["core"], all["empty"])
	// Most programs print something; then fmt is not the core's cost.
	printSizes("core less hello", all["core"], all["hello"])
	return nil
}

func printSizes(name string, n, less []int) {
	fmt.Printf("%-24s", name)
	for i, v := range n {
		if less != nil {
			v -= less[i]
		}
		fmt.Printf(" %10d", v)
	}
	fmt.Println()
}

// program builds src as a main package of this module. The file exists only in
// an overlay, so nothing is written into the tree.
func program(root, tmp, name, src string) (string, error) {
	file, bin := filepath.Join(tmp, name+".go"), filepath.Join(tmp, name)
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(root, "internal", "size", name, "main.go"): file},
	})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(file+".json", overlay, 0o600); err != nil {
		return "", err
	}
	env := []string{"GOOS=linux", "GOARCH=mipsle", "GOMIPS=softfloat", "CGO_ENABLED=0"}
	_, err = output(goCmd(root, env, "build", "-trimpath", "-ldflags=-s -w", "-overlay="+file+".json",
		"-o", bin, "./internal/size/"+name))
	return bin, err
}

// sizes returns the bytes of a file as it is, by gzip and, if installed, by xz.
func sizes(path string) ([]int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var gz bytes.Buffer
	w, err := gzip.NewWriterLevel(&gz, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	n := []int{len(b), gz.Len()}
	if xz, err := exec.LookPath("xz"); err == nil {
		out, err := exec.Command(xz, "-9", "-k", "-c", path).Output()
		if err != nil {
			return nil, err
		}
		n = append(n, len(out))
	}
	return n, nil
}

// everything writes a program that keeps the linker from dropping any exported
// function or method of the core. Generic ones have no value to refer to.
func everything(root string) (string, error) {
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = "linux", "mipsle", false
	var imports, refs strings.Builder
	for i, dir := range []string{".", "./nvm", "./policy"} {
		p, err := ctx.ImportDir(filepath.Join(root, dir), 0)
		if err != nil {
			return "", err
		}
		alias := fmt.Sprintf("p%d", i)
		path := strings.TrimSuffix(modulePath+"/"+strings.TrimPrefix(strings.TrimPrefix(dir, "."), "/"), "/")
		n := refs.Len()
		for _, f := range p.GoFiles {
			if err := exports(filepath.Join(root, dir, f), alias, &refs); err != nil {
				return "", err
			}
		}
		if refs.Len() > n {
			fmt.Fprintf(&imports, "\t%s %q\n", alias, path)
		}
	}
	return fmt.Sprintf("package main\n\nimport (\n%s)\n\nvar Keep = []any{\n%s}\n\nfunc main() {\n\tfor _, k := range Keep {\n\t\tif k == nil {\n\t\t\tpanic(k)\n\t\t}\n\t}\n}\n",
		imports.String(), refs.String()), nil
}

// exports writes one reference for each exported function and method of a file.
func exports(path, alias string, w *strings.Builder) error {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || !fn.Name.IsExported() || fn.Type.TypeParams != nil {
			continue
		}
		if fn.Recv == nil {
			fmt.Fprintf(w, "\t%s.%s,\n", alias, fn.Name.Name)
			continue
		}
		typ := fn.Recv.List[0].Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		if id, ok := typ.(*ast.Ident); ok && id.IsExported() {
			fmt.Fprintf(w, "\t(*%s.%s).%s,\n", alias, id.Name, fn.Name.Name)
		}
	}
	return nil
}
