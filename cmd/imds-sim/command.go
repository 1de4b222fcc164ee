// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"os"
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
	tokenLifetime time.Duration
	basePath      string
	log           string
	urlFile       string
}

const help = `imds-sim serves the EC2 instance metadata of a made-up instance, IMDSv2 only, and
fails as the schedule says. It prints one line for each address, its URL, once
it listens, and runs until SIGTERM or SIGINT. The clock of the schedules starts
when it begins to listen.

It listens on loopback addresses; on others, such as 169.254.169.254, only in a
network namespace without a default route (unshare --net), so that nobody takes
it for the real service.

` + imdstest.ScheduleHelp + `
--also adds a schedule that runs beside the main one, for independent faults. An
event is put to --schedule, then to each --also; the first with a fault for it
decides, and only that phase counts it.

--tree is nested JSON: an object is a directory, a string the body of a leaf, an
array of strings a leaf of lines, the member "" a listing verbatim. --print-tree
shows the built-in tree in this form.

--log writes a line of JSON for each connection (kind SYN) and each request: at
(seconds since the start), time, kind, path, status (0: none sent), addr, token
(a valid one was there; never the token itself), fault. On a socket, connections
that are refused or dropped are not seen.

Exit codes: 0 ended by a signal, 64 usage, 65 --tree is no tree, 66 --tree cannot
be read, 69 an address cannot be listened on, 73 --log or --url-file cannot be
made, 74 writing failed.`

const examples = `  imds-sim --schedule 'refuse:2s,503:1s,ok'
  imds-sim --listen 127.0.0.1:0 --listen '[::1]:0' --schedule 'blackhole@ipv6' --log -
  imds-sim --schedule '429;retry-after=2x3' --also 'hang@meta-data/tags/**x1' \
      --late meta-data/iam=10s --token-lifetime 30s --latency 300us`

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
				return fail(exitUsage, "unexpected argument %q: there are flags only", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.listen, "listen", []string{"127.0.0.1:1338"}, "`ADDR` to listen on, IP:PORT; port 0: any (repeatable)")
	f.StringVar(&o.schedule, "schedule", "", "`SCHEDULE` of faults; empty: everything is ok")
	f.StringArrayVar(&o.also, "also", nil, "another `SCHEDULE` beside the main one (repeatable)")
	f.StringVar(&o.tree, "tree", "", "JSON `FILE` with the metadata, - for standard input; empty: the built-in tree")
	f.BoolVar(&o.printTree, "print-tree", false, "print the tree as JSON and exit")
	f.DurationVar(&o.latency, "latency", 0, "`D`: how long every answer takes")
	f.StringArrayVar(&o.late, "late", nil, "`PATH=D`: the path, and what is below it, appears D after the start (repeatable)")
	f.DurationVar(&o.tokenLifetime, "token-lifetime", 0, "`D`: forget tokens after this time, whatever was told; 0s: as told")
	f.StringVar(&o.basePath, "base-path", "", "`PATH` that stands before /latest, such as /base")
	f.StringVar(&o.log, "log", "", "`FILE` for the log of requests, written anew, - for standard output; empty: none")
	f.StringVar(&o.urlFile, "url-file", "", "`FILE` to write the URLs to once it listens")
	return cmd
}

// server makes the simulator that the flags describe.
func (o options) server(stdin io.Reader) (*imdstest.Server, error) {
	tree, err := o.readTree(stdin)
	if err != nil {
		return nil, err
	}
	if o.latency < 0 || o.tokenLifetime < 0 {
		return nil, fail(exitUsage, "--latency %v, --token-lifetime %v: 0s or more are legal", o.latency, o.tokenLifetime)
	}
	if o.basePath != "" && (!strings.HasPrefix(o.basePath, "/") || strings.HasSuffix(o.basePath, "/")) {
		return nil, fail(exitUsage, "--base-path %q: begin with a slash and end with none, as in /base", o.basePath)
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
	s.Forget = true // it may run for long, and the log has it all
	s.Latency, s.TokenLifetime, s.BasePath = o.latency, o.tokenLifetime, o.basePath
	s.Late, err = parseLate(o.late)
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
		defer f.Close() // read only: nothing is lost
		r = f
	}
	tree, err := imdstest.ParseTree(r)
	if err != nil {
		return nil, fail(exitData, "--tree %s: %w", o.tree, err)
	}
	return tree, nil
}

// parseLate reads PATH=D. The path may have a "=" itself, the duration has none.
func parseLate(flags []string) (map[string]time.Duration, error) {
	late := make(map[string]time.Duration)
	for _, flag := range flags {
		i := max(strings.LastIndex(flag, "="), 0)
		d, err := time.ParseDuration(strings.TrimPrefix(flag[i:], "="))
		if i == 0 || err != nil || d < 0 {
			return nil, fail(exitUsage, "--late %q: write PATH=DURATION, as in meta-data/tags=5s", flag)
		}
		late[flag[:i]] = d
	}
	return late, nil
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
