package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanolock/nanolock/attack"
	"github.com/nanolock/nanolock/policy"
)

// assault is what was asked of "attack".
type assault struct {
	part     part
	policy   string
	image    string
	memory   string
	writable []string
	only     []string
	list     bool
	seed     uint64
}

func (a *app) attackCommand() *cobra.Command {
	r := &assault{}
	c := &cobra.Command{
		Use: "attack", Short: "Try to get past a lock, on a copy of an image",
		Long: `Puts a lock with the policy before a copy of the image and runs the catalogue of
attacks against it: as a host with every right a host can have, and from the
side. It prints what was tried, which rule refused it, and the digest of every
protected region before and after. An oracle below the lock decides what got
through; it shares no code with the lock. Exit code 0 only if nothing did.

Then it attacks a whole device: a simulated one, with an owner and orders, whose
messages, flash, power and anchor are in an attacker's hands. For that neither
your policy nor your image is needed.

Without flags the policy and the image of a router are used that are built in.
With an image alone, a policy is made from the flash map found in it, or the
whole image is protected. Your files are only read.`,
		Example: `  nanolock attack
  nanolock attack --policy router.yaml --image dump.bin
  nanolock attack --image bios.bin --memory mmap
  nanolock attack --policy router.yaml --only erase-widening --json
  nanolock attack --list`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			if r.list {
				return a.listAttacks(c)
			}
			return a.attack(c, r)
		},
	}
	f := c.Flags()
	f.StringVar(&r.policy, "policy", "", "policy file; - is standard input (a built-in example, or made from the image)")
	f.StringVar(&r.image, "image", "", "image of the whole flash; it is copied (made up)")
	f.StringVar(&r.memory, "memory", "both", "what the copy lies in: sim, a simulated flash part; mmap, a mapped file (Linux); both: what does not apply to sim, on mmap")
	f.StringSliceVar(&r.writable, "writable", nil, "with an image alone: partition that the host may write; repeat for more")
	f.StringSliceVar(&r.only, "only", nil, "run these attacks only, by name; repeat for more")
	f.BoolVar(&r.list, "list", false, "list the catalogue and attack nothing")
	f.Uint64Var(&r.seed, "seed", 1, "of all that is random")
	r.part.flags(c)
	_ = c.RegisterFlagCompletionFunc("memory", fixed("both", "sim", "mmap"))
	_ = c.RegisterFlagCompletionFunc("only", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return attackNames(), cobra.ShellCompDirectiveNoFileComp
	})
	return c
}

func attackNames() (names []string) {
	for _, x := range attack.Catalogue() {
		names = append(names, x.Name)
	}
	for _, x := range attack.DeviceCatalogue() {
		names = append(names, x.Name)
	}
	return names
}

// chosen are the parts of the two catalogues that were asked for: of attacks on
// the lock, and of those on a device. Neither is nil.
func (r *assault) chosen() (locks []attack.Attack, devices []attack.DeviceAttack, err error) {
	if len(r.only) == 0 {
		return attack.Catalogue(), attack.DeviceCatalogue(), nil
	}
	locks, devices = []attack.Attack{}, []attack.DeviceAttack{}
	for _, name := range r.only {
		if x, ok := attack.Find(name); ok {
			locks = append(locks, x)
		} else if x, ok := attack.FindDevice(name); ok {
			devices = append(devices, x)
		} else {
			return nil, nil, usage("see nanolock attack --list", "no attack is called %q", name)
		}
	}
	return locks, devices, nil
}

// outcome is a run and all that its report needs.
type outcome struct {
	report   *attack.Report
	target   *target
	memories []string
	took     time.Duration
}

// rest is what has not applied so far: on the next memory it may.
func (o *outcome) rest(all []attack.Attack) []attack.Attack {
	if o.report == nil {
		return all
	}
	out := []attack.Attack{} // not nil, which is the whole catalogue
	for _, r := range o.report.Results {
		if r.Verdict == attack.NotApplicable {
			out = append(out, r.Attack)
		}
	}
	return out
}

// add takes over what a run on another memory has shown.
func (o *outcome) add(rep *attack.Report, m *memory) {
	o.memories = append(o.memories, m.about)
	if o.report == nil {
		o.report = rep
		return
	}
	for _, r := range rep.Results {
		i := slices.IndexFunc(o.report.Results, func(x attack.Result) bool { return x.Name == r.Name })
		if i >= 0 && r.Verdict != attack.NotApplicable {
			o.report.Results[i] = r
		}
	}
	for i, r := range rep.Regions {
		if r.Before != r.After {
			o.report.Regions[i] = r
		}
	}
}

func (a *app) attack(c *cobra.Command, r *assault) error {
	attacks, devices, err := r.chosen()
	if err != nil {
		return err
	}
	t, err := a.target(r)
	if err != nil {
		return err
	}
	memories, err := newMemories(r, t)
	if err != nil {
		return err
	}
	st, err := r.part.lifecycle()
	if err != nil {
		return err
	}
	bar := a.newProgress(len(attacks)+len(devices), "opening the copy")
	defer bar.done()
	start := time.Now()
	o := &outcome{target: t}
	for _, m := range memories {
		rep, err := m.run(c.Context(), attack.Config{
			Policy: t.policy, State: st, Attacks: o.rest(attacks), Seed: r.seed, Progress: bar.step,
		})
		if err != nil {
			return runError(err, t)
		}
		o.add(rep, m)
	}
	results, err := attack.RunDevice(c.Context(), attack.DeviceConfig{Attacks: devices, Progress: func(done, _ int, name string) {
		bar.step(len(attacks)+done, len(attacks)+len(devices), name)
	}})
	if err != nil {
		return runError(err, t)
	}
	o.report.Results = append(o.report.Results, results...)
	o.took = time.Since(start)
	bar.done()
	if a.json {
		a.emit(newAttackDocument(c, o))
	} else {
		a.printOutcome(o)
	}
	if !o.report.Held() {
		return errFindings
	}
	return nil
}

// runError tells apart what stopped a run.
func runError(err error, t *target) error {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.Canceled):
		return &failure{exitInterrupted, "", errors.New("interrupted: the copy was given up, your files are as they were"), ""}
	case errors.Is(err, policy.ErrInvalid):
		return badInput(t.policyFrom, err, "see nanolock policy check")
	case errors.Is(err, attack.ErrConfig):
		return badInput(t.policyFrom, err, "")
	}
	return &failure{exitInternal, "", err, "please report it"}
}

func (a *app) listAttacks(c *cobra.Command) error {
	list := attack.Catalogue()
	for _, x := range attack.DeviceCatalogue() {
		list = append(list, x.Attack)
	}
	if a.json {
		a.emit(struct {
			document
			Attacks []attack.Attack `json:"attacks"`
		}{newDocument(c.CommandPath()), list})
		return nil
	}
	wide := len(slices.MaxFunc(attackNames(), func(x, y string) int { return len(x) - len(y) }))
	family := ""
	for _, x := range list {
		if x.Family != family {
			family = x.Family
			a.printf("%s\n", a.style.bold(family))
		}
		a.printf("  %s  %s %s\n", pad(x.Name, wide), x.Title, a.style.dim(strings.TrimSpace(x.CWE+" "+x.Case)))
	}
	a.printf("%d attacks\n", len(list))
	return nil
}
