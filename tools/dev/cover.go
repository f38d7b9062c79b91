package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// core are the packages under a mark: the share of statements, in per cent, that
// their own tests have to run. What enumerates power cuts for minutes runs nothing
// that the other tests do not, and is left out.
var core = []struct {
	pkg  string
	mark float64
	skip string
}{
	{".", 95, ""}, {"./nvm", 95, ""}, {"./policy", 95, ""},
	{"./cose", 92, ""}, {"./order", 92, ""},
	{"./vault", 92, "TestEnumeration"},
	{"./device", 92, "TestCuts$|TestFlips|TestWorstHost|TestBusiestHost"},
}

var coverLine = regexp.MustCompile(`coverage: ([\d.]+)% of statements`)

func runCover(root string, _ []string) error {
	var errs []error
	fmt.Printf("%-12s %10s %10s\n", "package", "covered", "mark")
	for _, p := range core {
		errs = append(errs, coverPackage(root, p.pkg, p.mark, p.skip))
	}
	return errors.Join(errs...)
}

func coverPackage(root, pkg string, mark float64, skip string) error {
	profile := filepath.Join(root, ".cache", "cover.out")
	if err := os.MkdirAll(filepath.Dir(profile), 0o755); err != nil {
		return err
	}
	out, err := output(goCmd(root, []string{firmware(root)}, "test", "-coverprofile="+profile, "-skip="+skip, pkg))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	share := 0.0
	if m := coverLine.FindStringSubmatch(out); m != nil {
		if share, err = strconv.ParseFloat(m[1], 64); err != nil {
			return err
		}
	}
	fmt.Printf("%-12s %9.1f%% %9.1f%%\n", pkg, share, mark)
	if share >= mark {
		return nil
	}
	funcs, err := output(goCmd(root, nil, "tool", "cover", "-func="+profile))
	if err != nil {
		return err
	}
	for l := range strings.Lines(funcs) {
		if !strings.HasSuffix(l, "\t100.0%\n") {
			fmt.Print("  ", l)
		}
	}
	return fmt.Errorf("package %s: %.1f %% of its statements are covered, %.0f %% are asked for", pkg, share, mark)
}
