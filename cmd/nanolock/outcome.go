package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/internal/flashpic"
)

// attackDocument is the outcome in JSON.
type attackDocument struct {
	document
	Held   bool           `json:"held"`
	Counts map[string]int `json:"counts"` // held, beaten, n/a
	Policy string         `json:"policy"` // where from
	Image  string         `json:"image"`
	Memory string         `json:"memory"`
	Size   int64          `json:"size"`
	Notes  []string       `json:"notes"`
	Took   time.Duration  `json:"took"`
	Report *attack.Report `json:"report"`
}

func newAttackDocument(c *cobra.Command, o *outcome) attackDocument {
	d := attackDocument{document: newDocument(c.CommandPath()), Held: o.report.Held(), Counts: map[string]int{},
		Policy: o.target.policyFrom, Image: o.target.imageFrom, Memory: strings.Join(o.memories, "; then "), Size: int64(len(o.target.image)),
		Notes: append([]string{}, o.target.notes...), Took: o.took, Report: o.report}
	for _, v := range []attack.Verdict{attack.Held, attack.Beaten, attack.NotApplicable} {
		d.Counts[v.String()] = o.report.Count(v)
	}
	return d
}

func (a *app) printOutcome(o *outcome) {
	s, t := a.style, o.target
	name := o.report.Policy
	if name == "" {
		name = "policy"
	}
	a.printf("%s  version %d, %s\n", s.bold(name), o.report.Version, o.report.State)
	a.printf("  policy  %s\n  image   %s, %s\n  memory  %s\n", t.policyFrom, t.imageFrom, flashpic.Size(int64(len(t.image))), strings.Join(o.memories, ";\n          then what did not apply: "))
	for _, n := range t.notes {
		a.printf("  note    %s\n", n)
	}
	a.printf("\n")
	a.printResults(o.report)
	a.printDigests(o.report)
	a.printVerdict(o)
}

// printResults is a line for each attack, under the name of its family.
func (a *app) printResults(rep *attack.Report) {
	s, wide, family := a.style, 0, ""
	for i := range rep.Results {
		wide = max(wide, len(rep.Results[i].Name))
	}
	for i := range rep.Results {
		r := &rep.Results[i]
		if r.Family != family {
			family = r.Family
			a.printf("%s\n", s.bold(family))
		}
		switch r.Verdict {
		case attack.Held:
			a.printf("  %s %s  %s%s\n", s.green(s.pick("✓", "ok")), pad(r.Name, wide), counts(r), s.dim(rules(r.By)))
		case attack.Beaten:
			a.printf("  %s %s  %s  %s\n", s.red(s.pick("✗", "XX")), pad(r.Name, wide), counts(r), s.red("GOT THROUGH"))
		default:
			a.printf("  %s %s  %s\n", s.dim(s.pick("·", "--")), pad(r.Name, wide), s.dim("does not apply: "+r.Why))
		}
	}
	a.printf("\n")
}

func counts(r *attack.Result) string {
	return fmt.Sprintf("%6d tried  %6d refused", r.Tried, r.Refused)
}

// rules lists what refused, the most busy first.
func rules(by map[string]int) string {
	names := slices.SortedFunc(maps.Keys(by), func(x, y string) int {
		if by[x] != by[y] {
			return by[y] - by[x]
		}
		return strings.Compare(x, y)
	})
	for i, n := range names {
		names[i] = strings.TrimPrefix(n, ": ") // a cause without a region
	}
	if len(names) > 2 {
		names = append(names[:2], fmt.Sprintf("%d more", len(names)-2))
	}
	if len(names) == 0 {
		return ""
	}
	return "  " + strings.Join(names, "; ")
}

// printDigests shows that content is what it was, where it has to be.
func (a *app) printDigests(rep *attack.Report) {
	s, wide := a.style, len("region")
	for _, r := range rep.Regions {
		if r.Protected {
			wide = max(wide, len(r.Name))
		}
	}
	a.printf("%s\n", s.bold("SHA-256 of what no host may change, before and after"))
	for _, r := range rep.Regions {
		if !r.Protected {
			continue
		}
		before, after := short(r.Before), short(r.After)
		if r.Before == r.After {
			a.printf("  %s %s  %s = %s\n", s.green(s.pick("✓", "ok")), pad(r.Name, wide), before, after)
		} else {
			a.printf("  %s %s  %s, now %s\n", s.red(s.pick("✗", "XX")), pad(r.Name, wide), before, s.red(after))
		}
	}
	a.printf("\n")
}

func short(d attack.Digest) string { return fmt.Sprintf("%x", d[:8]) }

func (a *app) printVerdict(o *outcome) {
	s, rep := a.style, o.report
	for i := range rep.Results {
		r := &rep.Results[i]
		if r.Verdict != attack.Beaten || r.Breach == nil {
			continue
		}
		a.printf("%s %s: %s %s\n", s.red("GOT THROUGH"), s.bold(r.Name), r.Title, s.dim("("+r.CWE+"; "+r.Case+")"))
		a.printf("  what    %s\n", r.Breach.What)
		if r.Breach.Span.Len > 0 {
			a.printf("  where   %v%s\n", r.Breach.Span, inRegion(r.Breach.Region))
		}
		if r.Breach.Rule != "" {
			a.printf("  rule    %s\n", r.Breach.Rule)
		}
		if r.Breach.Advice != "" {
			a.printf("  change  %s\n", r.Breach.Advice)
		} else {
			a.printf("  change  nothing in the policy: the lock is at fault; please report it\n")
		}
		a.printf("\n")
	}
	tried, refused := 0, 0
	for i := range rep.Results {
		tried, refused = tried+rep.Results[i].Tried, refused+rep.Results[i].Refused
	}
	sum := fmt.Sprintf("%d held, %d got through, %d did not apply; %d accesses and messages tried, %d refused, in %s",
		rep.Count(attack.Held), rep.Count(attack.Beaten), rep.Count(attack.NotApplicable), tried, refused, round(o.took))
	switch {
	case rep.Count(attack.Beaten) > 0:
		a.printf("%s  %s\n", s.red("WEAK"), sum)
	case !rep.Held():
		a.printf("%s  %s\n", s.yellow("NOTHING SHOWN"), sum)
	default:
		a.printf("%s  %s\n", s.green("HELD"), sum)
	}
}

func inRegion(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" in %q", name)
}
