package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/internal/flashpic"
)

func (a *app) checkCommand() *cobra.Command {
	m := &part{}
	c := &cobra.Command{
		Use: "check FILE", Short: "Tell whether a policy can be enforced",
		Long: `Reads a policy and compiles it, as a lock would at boot. Faults name the line or
the region. What is allowed but unwise is said by "policy lint".`,
		Example: `  nanolock policy check router.yaml
  nanolock policy check router.yaml --program once-page --erase-size 128KiB
  nanolock policy import --fmap bios.bin --granule 4KiB | nanolock policy check -`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return a.check(c, args[0], m) },
	}
	m.flags(c)
	return c
}

func (a *app) check(c *cobra.Command, file string, m *part) error {
	p, _, err := a.load(file, m)
	if f := asFailure(err); err != nil && f.code != exitInput {
		return err
	}
	type report struct {
		document
		File        string    `json:"file"`
		Valid       bool      `json:"valid"`
		Policy      string    `json:"policy,omitempty"`
		Version     uint64    `json:"version,omitempty"`
		Regions     int       `json:"regions"`
		Hidden      int       `json:"hidden"`
		Authorities int       `json:"authorities"`
		Findings    []finding `json:"findings"`
	}
	r := report{document: newDocument(c.CommandPath()), File: file, Valid: err == nil, Findings: []finding{}}
	if err != nil {
		r.Findings = faults(err)
		if a.json {
			a.emit(r)
			return errInvalid
		}
		a.printFindings(file, r.Findings)
		return badInput(file, fmt.Errorf("not a valid policy: %d %s", len(r.Findings), plural(len(r.Findings), "fault", "faults")),
			"a lock would refuse it")
	}
	r.Policy, r.Version, r.Regions, r.Hidden, r.Authorities = p.Name, p.Version, len(p.Map), len(p.Memory.Hidden), len(p.Authorities)
	if a.json {
		a.emit(r)
		return nil
	}
	free := flashpic.New(p, 0).Totals()[flashpic.Free]
	a.printf("%s %s is valid: %d %s, %d hidden, %d %s; %s without a region, denied\n", a.style.green(a.style.pick("✓", "ok")),
		file, r.Regions, plural(r.Regions, "region", "regions"), r.Hidden,
		r.Authorities, plural(r.Authorities, "authority", "authorities"), flashpic.Size(free))
	return nil
}

func (a *app) lintCommand() *cobra.Command {
	m := &part{}
	c := &cobra.Command{
		Use: "lint FILE", Short: "Warn of what a policy allows and its author will regret",
		Long: `Looks for what an attacker will look for: a boot loader that the host may write,
a lone owner key, development keys, erasing without limit. Exit code 1 if there
are findings.`,
		Example: `  nanolock policy lint router.yaml
  nanolock policy lint router.yaml --json | jq -r '.findings[].text'`,
		Args: takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return a.lint(c, args[0], m) },
	}
	m.flags(c)
	return c
}

func (a *app) lint(c *cobra.Command, file string, m *part) error {
	p, t, err := a.load(file, m)
	if err != nil {
		return err
	}
	list := newFindings(p.Lint(t.Geometry()))
	if a.json {
		a.emit(struct {
			document
			File     string    `json:"file"`
			Findings []finding `json:"findings"`
		}{newDocument(c.CommandPath()), file, list})
	} else if len(list) == 0 {
		a.printf("%s %s: nothing to say\n", a.style.green(a.style.pick("✓", "ok")), file)
	} else {
		a.printFindings(file, list)
	}
	if len(list) > 0 {
		return errFindings
	}
	return nil
}
