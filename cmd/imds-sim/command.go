// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// options are the flags as they are given.
type options struct {
	listen        []string
	schedule      string
	also          []string
	tree          string
	printTree     bool
	latency       time.Duration
	late          []string
	gone          []string
	changes       []string
	tokenLifetime time.Duration
	basePath      string
	log           string
	urlFile       string
}

const help = `imds-sim serves the EC2 instance metadata of a made-up instance, IMDSv2 only, and
fails as the schedule says. When it listens, it prints the URL of each address on a
line of its own. It runs until SIGTERM or SIGINT. The clock of the schedules, and of
--late, --gone and --change, starts when it begins to listen.

It listens on loopback addresses. On others, such as 169.254.169.254, it listens only
in a network namespace without a default route (unshare --net), so that it is never
mistaken for the real service.

` + imdstest.ScheduleHelp + `
--also adds a schedule that runs beside the main one, for independent faults. For each
connection and request, --schedule is asked first and then each --also; the first one
with a fault for it decides, and only that phase counts it.

--late, --gone and --change change the metadata itself. A path that is late and gone
exists between the two times; if it is gone first, it disappears and comes back.
--change gives a leaf a new body, and adds the leaf if the tree does not have it.

--tree is nested JSON: an object is a directory, a string the body of a leaf, an array
of strings a leaf of lines, and the member "" a listing that is served as it stands.
--print-tree prints the built-in tree in this form.

--log writes a line of JSON for each connection (kind SYN) and each request: at
(seconds since the start), time, kind, path, status (0 if none was sent), addr, token
(whether it carried a valid token; never the token itself), fault. On a socket,
connections that are refused or dropped are not seen.

Exit codes: 0 ended by a signal, 64 usage, 65 --tree is not a tree, 66 --tree cannot be
read, 69 an address cannot be listened on, 73 --log or --url-file cannot be created, 74
writing failed.`

const examples = `  imds-sim --schedule 'refuse:2s,503:1s,ok'
  imds-sim --listen 127.0.0.1:0 --listen '[::1]:0' --schedule 'blackhole@ipv6' --log -
  imds-sim --schedule '429;retry-after=2x3' --also 'hang@meta-data/tags/**x1' \
      --late meta-data/iam=10s --token-lifetime 30s --latency 300us
  imds-sim --change 'meta-data/spot/instance-action=20s={"action":"stop"}' \
      --gone meta-data/spot=40s`

// newCommand returns the command line.
func newCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "imds-sim",
		Short:         "An EC2 instance metadata service that fails on command",
		Long:          help,
		Example:       examples,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fail(exitUsage, "unexpected argument %q: imds-sim takes only flags", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.listen, "listen", []string{"127.0.0.1:1338"}, "`ADDR` to listen on, IP:PORT; port 0 is any free one (repeatable)")
	f.StringVar(&o.schedule, "schedule", "", "`SCHEDULE` of faults; if empty, every answer is correct")
	f.StringArrayVar(&o.also, "also", nil, "another `SCHEDULE` beside the main one (repeatable)")
	f.StringVar(&o.tree, "tree", "", "JSON `FILE` with the metadata, - for standard input; if empty, the built-in tree")
	f.BoolVar(&o.printTree, "print-tree", false, "print the tree as JSON and exit")
	f.DurationVar(&o.latency, "latency", 0, "delay every answer by `D`")
	f.StringArrayVar(&o.late, "late", nil, "the path and everything below it appears D after the start, as `PATH=D` (repeatable)")
	f.StringArrayVar(&o.gone, "gone", nil, "the path and everything below it disappears D after the start, as `PATH=D` (repeatable)")
	f.StringArrayVar(&o.changes, "change", nil, "the body of the leaf is VALUE from D after the start, as `PATH=D=VALUE` (repeatable)")
	f.DurationVar(&o.tokenLifetime, "token-lifetime", 0, "forget tokens after `D`, whatever lifetime the client asked for; 0s is that lifetime")
	f.StringVar(&o.basePath, "base-path", "", "`PATH` before /latest, such as /base")
	f.StringVar(&o.log, "log", "", "`FILE` for the log of requests, which is truncated, - for standard output; if empty, no log")
	f.StringVar(&o.urlFile, "url-file", "", "`FILE` to write the URLs to when it listens")
	return cmd
}

// server returns the simulator that the flags describe.
func (o options) server(stdin io.Reader) (*imdstest.Server, error) {
	tree, err := o.readTree(stdin)
	if err != nil {
		return nil, err
	}
	if o.latency < 0 || o.tokenLifetime < 0 {
		return nil, fail(exitUsage, "--latency %v, --token-lifetime %v: must be 0s or more", o.latency, o.tokenLifetime)
	}
	if o.basePath != "" && (!strings.HasPrefix(o.basePath, "/") || strings.HasSuffix(o.basePath, "/")) {
		return nil, fail(exitUsage, "--base-path %q: must begin with a slash and not end with one, as in /base", o.basePath)
	}
	main, err := imdstest.ParseSchedule(o.schedule)
	if err != nil {
		return nil, fail(exitUsage, "--schedule: %w", err)
	}
	s := imdstest.New(tree, main...)
	for _, also := range o.also {
		phases, err := imdstest.ParseSchedule(also)
		if err != nil {
			return nil, fail(exitUsage, "--also: %w", err)
		}
		s.Also(phases...)
	}
	s.Forget = true // it may run for long, and the log has the same information
	s.Latency, s.TokenLifetime, s.BasePath = o.latency, o.tokenLifetime, o.basePath
	if s.Late, err = parseTimes("late", o.late); err != nil {
		return nil, err
	}
	if s.Gone, err = parseTimes("gone", o.gone); err != nil {
		return nil, err
	}
	s.Changes, err = parseChanges(o.changes)
	return s, err
}

// readTree reads --tree.
func (o options) readTree(stdin io.Reader) (imdstest.Tree, error) {
	r := stdin
	switch o.tree {
	case "":
		return imdstest.DefaultTree(), nil
	case "-":
	default:
		f, err := os.Open(o.tree)
		if err != nil {
			return nil, fail(exitNoInput, "reading --tree: %w", err)
		}
		defer f.Close()
		r = f
	}
	tree, err := imdstest.ParseTree(r)
	if err != nil {
		return nil, fail(exitData, "--tree %s: %w", o.tree, err)
	}
	return tree, nil
}

// parseTimes parses the PATH=D of a flag. The path may contain "=" itself.
func parseTimes(name string, values []string) (map[string]time.Duration, error) {
	times := make(map[string]time.Duration)
	for _, value := range values {
		i := max(strings.LastIndex(value, "="), 0)
		d, err := time.ParseDuration(strings.TrimPrefix(value[i:], "="))
		if i == 0 || err != nil || d < 0 {
			return nil, fail(exitUsage, "--%s %q: must be PATH=DURATION, as in meta-data/tags=5s", name, value)
		}
		times[value[:i]] = d
	}
	return times, nil
}

// parseChanges parses PATH=D=VALUE. The path and the value may contain "="
// themselves: the time is the first part that is a duration.
func parseChanges(values []string) ([]imdstest.Change, error) {
	var changes []imdstest.Change
	for _, value := range values {
		parts := strings.Split(value, "=")
		var at time.Duration
		i := 1 + slices.IndexFunc(parts[1:], func(part string) bool {
			var err error
			at, err = time.ParseDuration(part)
			return err == nil && at >= 0
		})
		if i == 0 || i == len(parts)-1 || parts[0] == "" {
			return nil, fail(exitUsage, "--change %q: must be PATH=DURATION=VALUE, as in meta-data/autoscaling/target-lifecycle-state=5s=Terminated", value)
		}
		changes = append(changes, imdstest.Change{Path: strings.Join(parts[:i], "="), At: at, Body: strings.Join(parts[i+1:], "=")})
	}
	return changes, nil
}

// printTree writes a tree so that ParseTree reads it back.
func printTree(w io.Writer, tree imdstest.Tree) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return fail(exitIO, "printing the tree: %w", err)
	}
	return nil
}
