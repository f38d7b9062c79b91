package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/nvm"
	"github.com/nanolock/nanolock/policy"
)

func (a *app) explainCommand() *cobra.Command {
	q := &question{}
	c := &cobra.Command{
		Use: "explain FILE read|write|erase (REGION | OFF LEN)", Short: "Say whether an access is allowed, which rule says so, and why",
		Long: `Answers for one access what the lock would, and names the rule of each region
that it touches. OFF and LEN are bytes: 65536, 0x10000, 64KiB, 64k. The name of a
region instead of both means all of it.

With --expect the exit code is 1 if the answer is another one.`,
		Example: `  nanolock policy explain router.yaml write 0x20000 4KiB
  nanolock policy explain router.yaml erase firmware --as vendor
  nanolock policy explain router.yaml write bootloader --expect deny`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 3 { // a region's name
				return nil
			}
			return takes("FILE", "read|write|erase", "REGION or OFF", "LEN")(c, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []string{"read", "write", "erase"}, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error { return a.explain(c, q, args) },
	}
	q.part.flags(c)
	c.Flags().StringVar(&q.as, "as", "", "ask for a session of this authority instead of a host")
	c.Flags().StringVar(&q.expect, "expect", "", "allow or deny: exit with 1 if the answer is not that")
	_ = c.RegisterFlagCompletionFunc("expect", fixed("allow", "deny"))
	return c
}

// question is one access as the command line gives it.
type question struct {
	part       part
	as, expect string
	op         nvm.Op
	span       nvm.Span
}

// pieceAnswer is what one region says.
type pieceAnswer struct {
	Region  string `json:"region,omitempty"`
	ID      uint32 `json:"id,omitempty"`
	Off     int64  `json:"off"`
	Len     int64  `json:"len"`
	Rule    string `json:"rule"`
	Verdict string `json:"verdict"` // allow, metered, blank or deny
}

func (p pieceAnswer) span() nvm.Span { return nvm.Span{Off: p.Off, Len: p.Len} }

var verdictNames = map[policy.Verdict]string{
	policy.Deny: "deny", policy.Blank: "blank", policy.Metered: "metered", policy.Allow: "allow",
}

var opNames = map[string]nvm.Op{"read": nvm.Read, "write": nvm.Write, "erase": nvm.Erase}

func (q *question) parse(t *policy.Table, args []string) error {
	op, ok := opNames[args[1]]
	if !ok {
		return usage("say read, write or erase", "unknown operation %q", args[1])
	}
	q.op = op
	if q.expect != "" && q.expect != "allow" && q.expect != "deny" {
		return usage("say allow or deny", "unknown --expect %q", q.expect)
	}
	if q.as != "" && !t.Backs(q.as) {
		return usage("name one of the policy's authorities", "the policy has no authority %q", q.as)
	}
	if len(args) == 3 {
		i := t.Find(args[2])
		if i < 0 {
			return usage("name a region of the policy, or give OFF and LEN", "the policy has no region %q", args[2])
		}
		q.span = t.Info(i).Span
		return nil
	}
	for i, to := range []*int64{&q.span.Off, &q.span.Len} {
		v, err := parseSize(args[2+i])
		if err != nil {
			return usage("write 65536, 0x10000, 64KiB or 64k", "%q is neither an address nor a size", args[2+i])
		}
		*to = v
	}
	return nil
}

// rights is nil for a host, and for an authority a session over everything.
func (q *question) rights(t *policy.Table) *policy.Rights {
	if q.as == "" {
		return nil
	}
	return &policy.Rights{Authority: q.as, Ops: nvm.AllOps, Span: nvm.Span{Len: t.Geometry().Size},
		ProgramBytes: math.MaxInt64, Erases: math.MaxInt64}
}

func (a *app) explain(c *cobra.Command, q *question, args []string) error {
	_, t, err := a.load(args[0], &q.part)
	if err != nil {
		return err
	}
	if err := q.parse(t, args); err != nil {
		return err
	}
	d := t.Explain(q.op, q.span, q.rights(t))
	pieces := q.pieces(t)
	if a.json {
		a.emit(struct {
			document
			File    string        `json:"file"`
			Op      string        `json:"op"`
			Off     int64         `json:"off"`
			Len     int64         `json:"len"`
			As      string        `json:"as,omitempty"`
			State   string        `json:"state"`
			Allow   bool          `json:"allow"`
			Blank   bool          `json:"blank"`
			Metered bool          `json:"metered"`
			Region  string        `json:"region,omitempty"`
			ID      uint32        `json:"id,omitempty"`
			Rule    string        `json:"rule"`
			Pieces  []pieceAnswer `json:"pieces"`
		}{newDocument(c.CommandPath()), args[0], q.op.String(), q.span.Off, q.span.Len, q.as, t.State().String(),
			d.Allow, d.Blank, d.Metered, d.Region, d.ID, d.Rule, pieces})
	} else {
		a.printAnswer(q, t, d, pieces)
	}
	if q.expect != "" && (q.expect == "allow") != d.Allow {
		return errFindings
	}
	return nil
}

// pieces asks each region alone; none where the access itself is impossible.
func (q *question) pieces(t *policy.Table) []pieceAnswer {
	out := []pieceAnswer{}
	if !q.span.In(t.Geometry().Size) || q.op == nvm.Erase && t.Geometry().CheckErase(q.span.Off, q.span.Len) != nil {
		return out
	}
	rights := q.rights(t)
	i := t.Start(q.span.Off)
	for off := q.span.Off; off < q.span.End(); {
		var p policy.Piece
		p, i = t.Piece(i, q.op, off, q.span.End(), rights)
		in := t.Info(p.Entry)
		out = append(out, pieceAnswer{in.Name, in.ID, p.Span.Off, p.Span.Len, in.Why(q.op), verdictNames[p.Verdict]})
		off = p.Span.End()
	}
	return out
}

func (a *app) printAnswer(q *question, t *policy.Table, d policy.Decision, pieces []pieceAnswer) {
	who := "a host"
	if q.as != "" {
		who = "a session of " + strconv.Quote(q.as)
	}
	verdict := a.style.red("denied")
	if d.Allow {
		verdict = a.style.green("allowed")
	}
	a.printf("%s: %v of %v by %s in %v\n", verdict, q.op, q.span, who, t.State())
	if len(pieces) == 0 {
		a.printf("  %s\n", d.Rule)
		return
	}
	const most = 32
	wide := 0
	for _, p := range pieces[:min(most, len(pieces))] {
		wide = max(wide, len(p.span().String()))
	}
	for i, p := range pieces {
		if i == most {
			a.printf("  and %d more pieces; --json lists them\n", len(pieces)-most)
			break
		}
		name := "no region"
		if p.Region != "" {
			name = fmt.Sprintf("%q (id %d)", p.Region, p.ID)
		}
		a.printf("  %s  %-7s  %s: %s\n", pad(p.span().String(), wide), p.Verdict, name, p.Rule)
	}
	switch {
	case d.Blank:
		a.printf("  What is denied here reads as erased.\n")
	case d.Metered:
		a.printf("  A mark, seal, ledger or budget of the running lock has the last word.\n")
	case !d.Allow && len(pieces) > 1:
		a.printf("  One refusal refuses all: nothing is done in part.\n")
	}
}

func formatPercent(part float64) string { return strconv.FormatFloat(100*part, 'f', 1, 64) + " %" }

func round(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 10).String()
		}
	}
	return d.String()
}
