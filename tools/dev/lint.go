package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func runLint(root string, _ []string) error {
	bin := filepath.Join(root, ".cache", "bin")
	// One build for all: exit codes come through, and a second run is instant.
	build := goCmd(filepath.Join(root, "tools"), nil, "build", "-o", bin+string(filepath.Separator), "tool")
	if err := show(os.Stdout, build); err != nil {
		return err
	}
	mods, err := modules(root)
	if err != nil {
		return err
	}
	errs := []error{gofmt(root), vet(root)}
	for _, m := range mods {
		errs = append(errs, tool(m, filepath.Join(bin, "staticcheck"), "./..."))
	}
	errs = append(errs, tool(root, filepath.Join(bin, "staticcheck"), "-tags=nanolock_safe", "."))
	for _, m := range mods {
		errs = append(errs, vulncheck(root, m, filepath.Join(bin, "govulncheck")))
	}
	return errors.Join(errs...)
}

// gofmt fails on files that it would change.
func gofmt(root string) error {
	files, err := goFiles(root)
	if err != nil || len(files) == 0 {
		return err
	}
	out, err := output(exec.Command("gofmt", append([]string{"-l"}, files...)...))
	if err != nil {
		return err
	}
	if out != "" {
		return fmt.Errorf("gofmt would change:\n%s", strings.TrimSpace(out))
	}
	return nil
}

func vet(root string) error {
	mods, err := modules(root)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range mods {
		errs = append(errs, show(os.Stdout, goCmd(m, nil, "vet", "./...")))
	}
	errs = append(errs, show(os.Stdout, goCmd(root, nil, "vet", "-tags=nanolock_safe", ".")))
	return errors.Join(errs...)
}

func tool(dir, path string, args ...string) error {
	c := exec.Command(path, args...)
	c.Dir, c.Env = dir, append(os.Environ(), "GOWORK=off", "PWD="+dir)
	return show(os.Stdout, c)
}

// vulncheck fails on a known vulnerability that module code reaches. The
// database is on the network: a machine that cannot reach it is told so and
// goes on, because that says nothing about the code. GOVULNDB names another
// database, for instance a local copy (file://...).
func vulncheck(root, module, path string) error {
	args := []string{"./..."}
	if db := os.Getenv("GOVULNDB"); db != "" {
		args = []string{"-db=" + db, "./..."}
	}
	c := exec.Command(path, args...)
	c.Dir, c.Env = module, append(os.Environ(), "GOWORK=off", "PWD="+module)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	switch err := c.Run(); {
	case err == nil:
		fmt.Printf("govulncheck %s: nothing known\n", name(root, module))
		return nil
	case databaseUnreachable(out.String()):
		fmt.Printf("govulncheck %s: NOT CHECKED, the vulnerability database cannot be reached\n", name(root, module))
		return nil
	default:
		return fmt.Errorf("govulncheck %s: %w\n%s", name(root, module), err, out.String())
	}
}

// databaseUnreachable tells a database that did not answer from a finding and
// from any other failure; the words are govulncheck's.
func databaseUnreachable(out string) bool {
	return strings.HasPrefix(out, "govulncheck: fetching vulnerabilities: ") &&
		!strings.Contains(out, "Vulnerability #")
}
