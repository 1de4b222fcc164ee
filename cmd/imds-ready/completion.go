// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// completionCommand prints what a shell loads to complete commands, flags and the
// keys of get.
func (p *program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print the completion script for a shell",
		Long: "completion prints the script that a shell loads; the packages install all three. For this shell alone:\n" +
			"  bash:  . <(imds-ready completion bash)     (needs the package bash-completion)\n" +
			"  zsh:   . <(imds-ready completion zsh)      (after compinit)\n" +
			"  fish:  imds-ready completion fish | source",
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("completion: name one shell: bash, zsh or fish")
			}
			if !slices.Contains(shells, args[0]) {
				return fmt.Errorf("completion %q: it is bash, zsh or fish", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch root := c.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(p.stdout, true)
			case "zsh":
				return root.GenZshCompletion(p.stdout)
			default:
				return root.GenFishCompletion(p.stdout, true)
			}
		},
	}
}
