package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
	"github.com/nanolock/nanolock/policy/policyfile"
)

func (a *app) policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "policy", Short: "Check, lint, plan, explain and import policies",
		Example: `  nanolock policy check router.yaml
  nanolock policy explain router.yaml write bootloader`,
		RunE: onlyCommands,
	}
	c.AddCommand(a.checkCommand(), a.lintCommand(), a.planCommand(), a.explainCommand(), a.importCommand())
	return c
}

// part is the memory that a policy is looked at for: what its file says, or what
// flags say of the real part.
type part struct {
	program, erase, unit string
	state                string
}

// flags adds those that describe the part, and the lifecycle state.
func (m *part) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&m.program, "program", "clear-bits", "what programming does: clear-bits (NOR), once-page (NAND) or rewrite (files)")
	f.StringVar(&m.erase, "erase-size", "", "smallest erase block of the part (the policy's granule)")
	f.StringVar(&m.unit, "program-size", "", "smallest program unit of the part (1; 2KiB for once-page)")
	m.stateFlag(c)
	_ = c.RegisterFlagCompletionFunc("program", fixed("clear-bits", "once-page", "rewrite"))
}

func (m *part) stateFlag(c *cobra.Command) {
	c.Flags().StringVar(&m.state, "state", "deployed", "lifecycle state: manufacturing, deployed, rma or decommissioned")
	_ = c.RegisterFlagCompletionFunc("state", fixed("manufacturing", "deployed", "rma", "decommissioned"))
}

func fixed(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// geometry is the policy's plainest memory, changed by what was asked for.
func (m *part) geometry(p *policy.Policy) (nvm.Geometry, error) {
	g := p.Geometry()
	switch m.program {
	case "", nvm.ClearBits.String():
	case nvm.OncePage.String():
		g.Program, g.ProgramSize = nvm.OncePage, 2048
		if g.EraseSize > 0 {
			g.ProgramSize = min(2048, g.EraseSize)
		}
	case nvm.Rewrite.String():
		g.Program = nvm.Rewrite
	default:
		return g, usage("say clear-bits, once-page or rewrite", "unknown --program %q", m.program)
	}
	if err := setSize("erase-size", m.erase, &g.EraseSize); err != nil {
		return g, err
	}
	if err := setSize("program-size", m.unit, &g.ProgramSize); err != nil {
		return g, err
	}
	return g, nil
}

func setSize(flag, text string, to *int64) error {
	if text == "" {
		return nil
	}
	v, err := parseSize(text)
	if err != nil || v == 0 {
		return usage("write 4096, 0x1000, 4KiB or 16MiB", "--%s: %q is no size", flag, text)
	}
	*to = v
	return nil
}

// parseSize reads a size or an address as policy files write them, and with the
// short suffixes that people type: 64k, 64K, 16M, 1g.
func parseSize(s string) (int64, error) {
	if n := len(s); n > 1 && s[0] != '0' {
		switch s[n-1] {
		case 'k', 'K':
			s = s[:n-1] + "KiB"
		case 'm', 'M':
			s = s[:n-1] + "MiB"
		case 'g', 'G':
			s = s[:n-1] + "GiB"
		}
	}
	return policyfile.ParseSize(s)
}

func (m *part) lifecycle() (policy.State, error) {
	if m.state == "" {
		return policy.Deployed, nil
	}
	st, err := policy.ParseState(m.state)
	if err != nil {
		return 0, usage("say manufacturing, deployed, rma or decommissioned", "unknown --state %q", m.state)
	}
	return st, nil
}

// load reads a policy and compiles it for the part; what is wrong with the file,
// or with its content, is the error.
func (a *app) load(file string, m *part) (*policy.Policy, *policy.Table, error) {
	st, err := m.lifecycle()
	if err != nil {
		return nil, nil, err
	}
	p, err := a.readPolicy(file)
	if err != nil {
		return nil, nil, err
	}
	g, err := m.geometry(p)
	if err != nil {
		return nil, nil, err
	}
	t, err := p.Compile(g, st)
	if err != nil {
		return nil, nil, badInput(file, err, "")
	}
	return p, t, nil
}

// finding is a policy.Finding in JSON.
type finding struct {
	Line  int    `json:"line,omitempty"`
	Where string `json:"where,omitempty"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
}

func newFindings(list []policy.Finding) []finding {
	out := make([]finding, len(list))
	for i, f := range list {
		out[i] = finding{Where: f.Where, Text: f.Text, Fix: f.Fix}
	}
	return out
}

// faults splits an error about a policy file into findings.
func faults(err error) (list []finding) {
	var joined interface{ Unwrap() []error }
	var inv *policy.InvalidError
	var syn *policyfile.Error
	var f *failure
	switch {
	case errors.As(err, &joined):
		for _, e := range joined.Unwrap() {
			list = append(list, faults(e)...)
		}
	case errors.As(err, &inv):
		list = newFindings(inv.Findings)
		if inv.More > 0 {
			list = append(list, finding{Text: fmt.Sprintf("and %d more", inv.More)})
		}
	case errors.As(err, &syn):
		list = []finding{{Line: syn.Line, Text: syn.Text}}
	case errors.As(err, &f): // the file is named in front of each finding
		list = []finding{{Text: f.err.Error(), Fix: f.hint}}
	default:
		list = []finding{{Text: err.Error()}}
	}
	return list
}

// printFindings shows a line for each finding and one for its fix.
func (a *app) printFindings(file string, list []finding) {
	for _, f := range list {
		where := file
		if f.Line > 0 {
			where += fmt.Sprintf(":%d", f.Line)
		}
		if f.Where != "" {
			where += ": " + f.Where
		}
		a.printf("%s %s: %s\n", a.style.yellow(a.style.pick("▲", "!")), a.style.bold(where), f.Text)
		if f.Fix != "" {
			a.printf("  %s %s\n", a.style.dim(a.style.pick("→", "->")), f.Fix)
		}
	}
}
