// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// exitUsage is EX_USAGE of sysexits(3): an unknown command, flag or argument.
const exitUsage = 64

const defaultDirectory = "/run/imds"

// program is one invocation.
type program struct {
	stdout, stderr io.Writer
	console        io.Writer // stdout without the check for write errors
	exit           int       // the exit code of the command

	config, directory   string
	logLevel, logFormat string
	json                bool
	ignoreBootID        bool
}

// command returns the tree of commands.
func (p *program) command() *cobra.Command {
	showVersion := false
	root := &cobra.Command{
		Use:   "imds-ready",
		Short: "wait until EC2's Instance Metadata Service answers",
		Long: `imds-ready blocks until IMDSv2 answers, under the retry policy in
/etc/imds-ready/imds-ready.toml. Then it writes the metadata to /run/imds/*.json
and sends READY=1 to systemd.`,
		Args:                       noArguments,
		SuggestionsMinimumDistance: 2,
		SilenceErrors:              true,
		SilenceUsage:               true,
		RunE: func(*cobra.Command, []string) error {
			if !showVersion {
				return errors.New("missing command: must be run, refresh, watch, check, probe, wait, get, status, completion or version")
			}
			p.printVersion()
			return nil
		},
	}
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if !c.HasParent() { // a mistyped command is the cause of an unknown flag after it
			if other := noArguments(c, c.Flags().Args()); other != nil {
				return other
			}
		}
		return explainFlag(c, err)
	})
	root.SetHelpCommand(helpCommand(root))
	root.AddCommand(p.runCommand(), p.refreshCommand(), p.watchCommand(), p.checkCommand(), p.probeCommand(), p.waitCommand(),
		p.getCommand(), p.statusCommand(), p.completionCommand(), p.versionCommand())
	return root
}

// explainFlag adds the remedy to an error about a flag: a similar flag, or the form of
// a value.
func explainFlag(c *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var similar []string
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if name := e.GetSpecifiedName(); len(name) <= maxCompared && words.Distance(name, f.Name) <= 2 || name == f.Name[:1] {
				similar = append(similar, "--"+f.Name)
			}
		})
		return fmt.Errorf("%w%s", err, didYouMean(similar))
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		must := map[string]string{"duration": "a duration with a unit (ms, s, m, h), such as 90s", "bool": "true or false"}
		if must := must[e.GetFlag().Value.Type()]; must != "" {
			return fmt.Errorf("invalid --%s %q: must be %s", e.GetFlag().Name, e.GetValue(), must)
		}
	}
	return err
}

// noArguments is cobra.NoArgs with better messages.
func noArguments(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasParent():
		return fmt.Errorf("%s: unexpected argument %q", c.Name(), args[0])
	default:
		return unknownCommand(c, args[0])
	}
}

func unknownCommand(root *cobra.Command, name string) error {
	var similar []string
	if name != "" { // the empty name is a prefix of all
		similar = root.SuggestionsFor(name)
	}
	return fmt.Errorf("unknown command %q%s", name, didYouMean(similar))
}

// didYouMean is the end of a message that suggests names, if there are any.
func didYouMean(names []string) string {
	last := len(names) - 1
	switch {
	case last < 0:
		return ""
	case last == 0:
		return ": did you mean " + names[0] + "?"
	default:
		return ": did you mean " + strings.Join(names[:last], ", ") + " or " + names[last] + "?"
	}
}

// helpCommand behaves like cobra's, except that an unknown topic is an error.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "help for a command",
		RunE: func(_ *cobra.Command, args []string) error {
			topic, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, strings.Join(args, " "))
			}
			return topic.Help()
		},
	}
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  noArguments,
		Run:   func(*cobra.Command, []string) { p.printVersion() },
	}
}

func (p *program) printVersion() { fmt.Fprintln(p.stdout, "imds-ready", version) }

// completionCommand prints the scripts that complete commands, flags and the keys
// of get.
func (p *program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print the completion script for a shell",
		Long: `completion prints the script that a shell loads. The packages install all three.
To load it in the current shell only:
  bash:  . <(imds-ready completion bash)   (needs the package bash-completion)
  zsh:   . <(imds-ready completion zsh)    (after compinit)
  fish:  imds-ready completion fish | source`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && slices.Contains(shells, args[0]) {
				return nil
			}
			return fmt.Errorf("completion: invalid shell %q: must be bash, zsh or fish", strings.Join(args, " "))
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

func (p *program) configFlag(c *cobra.Command) {
	c.Flags().StringVar(&p.config, "config", "",
		"read `FILE` and FILE.d/*.toml instead of\n/etc/imds-ready/imds-ready.toml and its drop-ins")
}

func (p *program) directoryFlag(c *cobra.Command, use string) {
	c.Flags().StringVar(&p.directory, "directory", "",
		use+" `DIR`\n(default $RUNTIME_DIRECTORY or else "+defaultDirectory+")")
	_ = c.MarkFlagDirname("directory") // for completion; it fails for an unknown flag only
}

// readerFlags adds the flags of wait, get and status, which read the files and
// never the configuration, so that any user can run them.
func (p *program) readerFlags(c *cobra.Command) {
	p.directoryFlag(c, "read the files in")
	c.Flags().BoolVar(&p.ignoreBootID, "ignore-boot-id", false,
		"accept files of another boot, and do not look for\nthe daemon's process: for containers that see the\nfiles of the host")
}

// writeDirectory is where run, refresh and watch write. systemd may name several directories; ours
// is the first (systemd.exec(5), RuntimeDirectory=).
func (p *program) writeDirectory() string {
	return cmp.Or(p.directory, runtimeDirectory(), defaultDirectory)
}

func runtimeDirectory() string {
	first, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	return first
}

// readDirectory is where wait, get and status read. A unit that calls them may
// have a RuntimeDirectory= of its own, which does not contain the files, so the
// variable counts only if the daemon wrote there, or if the default directory
// does not exist.
func (p *program) readDirectory() string {
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

// bootID names the boot whose files are accepted.
func (p *program) bootID() string {
	if p.ignoreBootID {
		return snapshot.AnyBoot
	}
	return snapshot.BootID()
}

// report prints a problem and then the hints that are not empty, one a line. A
// status quotes text of a server, so all of it is cleaned for the terminal.
func (p *program) report(problem string, hints ...string) {
	fmt.Fprintln(p.stderr, "imds-ready: "+words.OneLine(problem))
	for _, hint := range hints {
		if hint != "" {
			fmt.Fprintln(p.stderr, "imds-ready: hint: "+words.OneLine(hint))
		}
	}
}

// reportUnreadable explains why a file could not be read, and returns the exit
// code. prefix begins the message, and may be empty. More hints follow that for the
// error.
func (p *program) reportUnreadable(prefix string, err error, more ...string) int {
	code, hint := p.remedy(err)
	if code == readiness.ExitTempFail && !errors.Is(err, snapshot.ErrReplaced) {
		prefix += "no status from this boot: "
	}
	p.report(prefix+err.Error(), append([]string{hint}, more...)...)
	return int(code)
}

// remedy returns the exit code and the hint for an error of package snapshot.
func (p *program) remedy(err error) (readiness.Exit, string) {
	switch dir := p.readDirectory(); {
	case errors.Is(err, snapshot.ErrLaterSchema):
		return readiness.ExitProtocol, "update this imds-ready to the version that wrote the file, or a later one"
	case errors.Is(err, snapshot.ErrNotOurs):
		return readiness.ExitProtocol, "find out which program writes to " + dir +
			"; `systemctl restart imds-ready` writes the files again, --directory selects another directory"
	case errors.Is(err, fs.ErrPermission):
		return readiness.ExitNoPerm, "run it as a user who can read " + dir +
			"; imds-ready creates the directory with mode 0755 and its public files with mode 0644"
	case errors.Is(err, snapshot.ErrReplaced):
		return readiness.ExitTempFail, "`imds-ready wait` waits until the gate is decided, as --wait does for get"
	case errors.Is(err, snapshot.ErrOtherBoot):
		return readiness.ExitTempFail, "`systemctl start imds-ready` writes new files; " +
			"in a container that sees the host's files, use --ignore-boot-id"
	case errors.Is(err, fs.ErrNotExist):
		return readiness.ExitTempFail, "see `systemctl status imds-ready`; `imds-ready wait` waits for the file; " +
			"--directory selects another directory"
	default:
		return readiness.ExitNoPerm, "make sure that " + dir + " is a readable directory; --directory selects another one"
	}
}
