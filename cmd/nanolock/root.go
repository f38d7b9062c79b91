package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// root builds the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "nanolock",
		Short: "Policies, attacks, keys, orders and devices, at a desk",
		Long: `nanolock guards the flash of a device: every read, program and erase passes a
policy, and the policy follows the signed orders of the device's owner. This command
works at a desk, with files. What it attacks or inspects is a copy; provision, status,
order apply and decommission start the device of an image, which writes to it.`,
		Example: `  nanolock attack                                   the catalogue against a built-in example
  nanolock policy import --mtdparts "$(cat /proc/cmdline)" --size 16MiB --granule 64KiB
  nanolock policy lint router.yaml
  nanolock map router.yaml --svg flash-map.svg
  nanolock keygen alice                             a key for an owner, under a passphrase
  nanolock provision --policy router.yaml --image flash.bin --create --owner-key alice.key
  nanolock order new lifecycle --state deployed --status now.json
  nanolock attack --policy router.yaml --image dump.bin`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.setStyle()
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs, // onlyCommands says it better
		RunE:              onlyCommands,
	}
	root.Version, _ = buildVersion()
	root.SetVersionTemplate("nanolock {{.Version}}\n")
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetIn(a.in)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("see "+c.CommandPath()+" --help", "%w", err)
	})
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print one JSON document (see nanolock help json)")
	f.StringVar(&a.color, "color", "auto", "colours: auto, always or never; auto obeys NO_COLOR")
	f.BoolVar(&a.ascii, "ascii", false, "print plain ASCII")
	root.AddGroup(
		&cobra.Group{ID: "work", Title: "Commands:"},
		&cobra.Group{ID: "more", Title: "Also:"},
	)
	add := func(group string, list ...*cobra.Command) {
		for _, c := range list {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("work", a.attackCommand(), a.policyCommand(), a.mapCommand(), a.keygenCommand(), a.keyCommand(),
		a.provisionCommand(), a.statusCommand(), a.orderCommand(), a.reportCommand(), a.inspectCommand(), a.decommissionCommand())
	add("more", a.versionCommand(), a.completionCommand(root))
	root.SetHelpCommandGroupID("more")
	root.AddCommand(exitCodesTopic(), jsonTopic())
	return root
}

// onlyCommands runs what has nothing but subcommands.
func onlyCommands(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	hint := "see " + c.CommandPath() + " --help"
	c.SuggestionsMinimumDistance = 2
	if s := c.SuggestionsFor(args[0]); len(s) > 0 {
		hint = "did you mean " + strings.Join(s, " or ") + "?"
	}
	return usage(hint, "unknown command %q for %q", args[0], c.CommandPath())
}

// takes checks the number of arguments and says which are missing.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("usage: "+c.UseLine(), "%s is missing", strings.Join(names[len(args):], ", "))
		case len(args) > len(names):
			return usage("usage: "+c.UseLine(), "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

func exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Exit codes, the same for every command and in every version:\n\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %3d  %-11s  %s\n", e.code, e.kind, e.text)
	}
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: strings.TrimRight(b.String(), "\n"),
		Example: "  nanolock policy check router.yaml || echo \"exit code $?\""}
}

func jsonTopic() *cobra.Command {
	return &cobra.Command{Use: "json", Short: "What --json prints",
		Example: "  nanolock attack --json | jq .held",
		Long: `With --json a command prints one JSON document on standard output, whatever
happens. Fields keep their names and meaning; new ones may be added.

  all             nanolock (format, 1), command
  on an error     error: {code, kind, where, text, hint}; see nanolock help exit-codes
  policy check    file, valid, policy, regions, hidden, authorities, findings
  policy lint     file, findings: [{where, text, fix}]
  policy plan     flash: [{class, bytes}], ram, boot
  policy explain  allow, blank, metered, rule, region, id, pieces
  policy import   source, yaml, notes, [output]
  map             size, granule, state, pieces, bytes: {class: n}, [svg]
  attack          held, counts, policy, image, memory, size, notes, took, report
  keygen          name, development, suite, id, thumbprints, public, files, protected
  key show        file, name, development, suite, id, thumbprints, public
  provision       one document a line and unit: device, image, policy, version, state,
                  before, seconds, or error, code, hint; --ids: device, image
  status          device, state, epoch, policy, healthy, health: [{name, text, do, bad}],
                  why, sessions, anchor, vault, audit, authorities: [{name, threshold,
                  keys, fresh: {class: {counter, challenge}}}]
  order new       orders: [{file, device, digest}]
  order sign, merge, attach   file, digest, added
  order tbs       file, halves: [{half, alg, bytes}]
  order batch     file, orders, root
  order split     files
  order show      file, form, digest, order, threshold, signers, unknown, missing,
                  verified, why, [count, root, index, orders]
  order apply     file, kind, device, digest, code, state, epoch, [wrote, report]
  report verify   file, verified, good, why, device, state, epoch, policy, seq, uptime,
                  nonce, denied, anchored, health, measurements, [certificate]
  inspect         file, size, vault, policy_from, regions, documents, keys, notes,
                  [state, audit, certificate]
  decommission    as report verify, of the certificate
  attack --list   attacks: [{name, title, cwe, case, family}]
  version         version, go, revision
  completion      shell, script

Sizes and offsets are in bytes, times in nanoseconds, digests SHA-256 in hex.`}
}
