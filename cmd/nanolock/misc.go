package main

import (
	"bytes"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  nanolock version", Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			version, revision := buildVersion()
			if a.json {
				a.emit(struct {
					document
					Version  string `json:"version"`
					Revision string `json:"revision,omitempty"`
					Go       string `json:"go"`
				}{newDocument(c.CommandPath()), version, revision, runtime.Version()})
				return nil
			}
			a.printf("nanolock %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

func buildVersion() (version, revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return info.Main.Version, revision
}

func (a *app) completionCommand(root *cobra.Command) *cobra.Command {
	shells := map[string]func(*bytes.Buffer) error{
		"bash":       func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
		"zsh":        func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
		"fish":       func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
		"powershell": func(b *bytes.Buffer) error { return root.GenPowerShellCompletionWithDesc(b) },
	}
	return &cobra.Command{
		Use: "completion bash|zsh|fish|powershell", Short: "Print a script that completes commands and flags",
		Example: `  nanolock completion bash > /etc/bash_completion.d/nanolock
  nanolock completion zsh > "${fpath[1]}/_nanolock"
  nanolock completion fish > ~/.config/fish/completions/nanolock.fish`,
		Args:      takes("SHELL"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(c *cobra.Command, args []string) error {
			make, ok := shells[args[0]]
			if !ok {
				return usage("say bash, zsh, fish or powershell", "unknown shell %q", args[0])
			}
			var script bytes.Buffer
			if err := make(&script); err != nil {
				return err
			}
			if a.json {
				a.emit(struct {
					document
					Shell  string `json:"shell"`
					Script string `json:"script"`
				}{newDocument("completion"), args[0], script.String()})
				return nil
			}
			_, _ = a.out.Write(script.Bytes())
			return nil
		},
	}
}
