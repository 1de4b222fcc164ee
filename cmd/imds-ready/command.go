// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/snapshot"
)

// exitUsage is EX_USAGE of sysexits(3): an unknown command, flag or argument.
const exitUsage = 64

const defaultDirectory = "/run/imds"

// program is one invocation.
type program struct {
	stdout, stderr io.Writer
	console        io.Writer // stdout, where nothing depends on its being written
	exit           int       // what a command that was run came to

	config, directory   string
	logLevel, logFormat string
	json                bool
	ignoreBootID        bool
}

// command is the tree of commands.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "imds-ready",
		Short: "wait until EC2's Instance Metadata Service answers",
		Long: "imds-ready blocks until IMDSv2 answers, under the retry policy of /etc/imds-ready/imds-ready.toml,\n" +
			"writes the metadata to /run/imds/*.json and tells systemd READY=1.",
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return p.checkLogFlags() },
		RunE: func(*cobra.Command, []string) error {
			return errors.New("a command is missing: run, check, wait, get, status, completion or version")
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&p.logLevel, "log-level", "info", "debug, info, warn or error")
	root.PersistentFlags().StringVar(&p.logFormat, "log-format", "auto",
		"auto, journal, text or json; auto: the journal's own protocol when stderr is the journal, else text")
	root.SetHelpCommand(helpCommand(root))
	root.AddCommand(p.runCommand(), p.checkCommand(), p.waitCommand(), p.getCommand(), p.statusCommand(),
		p.completionCommand(), p.versionCommand())
	return root
}

// helpCommand is cobra's, but that an unknown topic is an error.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "help for a command",
		RunE: func(_ *cobra.Command, args []string) error {
			topic, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("no help for %q: it is no command", strings.Join(args, " "))
			}
			return topic.Help()
		},
	}
}

func (p *program) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "wait for IMDS, write the files, say READY=1 (the unit's ExecStart)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := p.logger()
			if err != nil {
				return err
			}
			p.exit = int(p.daemon(c.Context(), log))
			return nil
		},
	}
	p.configFlag(c)
	p.directoryFlag(c, "where the files go")
	return c
}

func (p *program) checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "validate the configuration and show what the policy will do; no request is made",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			exit, err := p.check()
			p.exit = int(exit)
			return err
		},
	}
	p.configFlag(c)
	c.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return c
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p.exit = 0
			_, err := fmt.Fprintln(p.stdout, "imds-ready", version)
			return err
		},
	}
}

func (p *program) configFlag(c *cobra.Command) {
	c.Flags().StringVar(&p.config, "config", "", "read this file and its .d directory only (default /etc/imds-ready/imds-ready.toml and its drop-ins)")
}

func (p *program) directoryFlag(c *cobra.Command, usage string) {
	c.Flags().StringVar(&p.directory, "directory", "", usage+" (default $RUNTIME_DIRECTORY, else "+defaultDirectory+")")
	_ = c.MarkFlagDirname("directory") // for completion; it fails for an unknown flag only
}

// dir is where run writes. systemd may name several directories; ours is the
// first (systemd.exec(5), RuntimeDirectory=).
func (p *program) dir() string {
	return cmp.Or(p.directory, runtimeDirectory(), defaultDirectory)
}

func runtimeDirectory() string {
	first, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	return first
}

// readFrom is where wait, get and status read. A unit that calls them may have a
// RuntimeDirectory= of its own, which is not where the files are: the variable
// counts when a daemon has written there, or where there is no other place.
func (p *program) readFrom() string {
	own := runtimeDirectory()
	if p.directory != "" || own == "" {
		return cmp.Or(p.directory, defaultDirectory)
	}
	_, errOwn := os.Lstat(filepath.Join(own, snapshot.StatusFile))
	_, errDefault := os.Lstat(defaultDirectory)
	if errOwn == nil || errDefault != nil {
		return own
	}
	return defaultDirectory
}
