// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// getting is one get.
type getting struct {
	key        string
	list       bool
	fallback   *string // of --default; nil: none
	waits      bool
	wait       time.Duration
	jsonAlways bool
}

func (p *program) getCommand() *cobra.Command {
	var g getting
	var fallback string
	c := &cobra.Command{
		Use:   "get KEY",
		Short: "print one value from the files; no request is made",
		Long: "get prints what IMDS has said in this boot. KEY is a path below meta-data, or identity and below for the\n" +
			"identity document: instance-id, placement/region, tags/instance/Name, identity/accountId, iam/info/Code.\n" +
			"A string is printed as it is, a list one item a line, a directory as JSON.",
		Example: "  imds-ready get instance-id\n" +
			"  imds-ready get tags/instance/Role --default web\n" +
			"  imds-ready get placement --json\n" +
			"  imds-ready get --list network",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeKeys,
		RunE: func(c *cobra.Command, args []string) error {
			g.waits = c.Flags().Changed("wait")
			if c.Flags().Changed("default") {
				g.fallback = &fallback
			}
			if len(args) > 0 {
				g.key = args[0]
			}
			g.jsonAlways = p.json
			if err := g.check(len(args)); err != nil {
				return err
			}
			p.exit = p.get(c.Context(), g)
			return nil
		},
	}
	c.Flags().BoolVar(&p.json, "json", false, "print the value as JSON, whatever it is")
	c.Flags().StringVar(&fallback, "default", "", "print this, with exit code 0, when there is no such key or the gate was decided without IMDS")
	c.Flags().BoolVar(&g.list, "list", false, "print the keys below KEY, or all, one a line; directories end in a slash")
	c.Flags().DurationVar(&g.wait, "wait", 0, "first wait until the gate is decided, this long at most, such as 90s; 0: no limit")
	p.readerFlags(c)
	return c
}

// check finds what is wrong with the command line, before anything is read.
func (g getting) check(args int) error {
	switch {
	case args == 0 && !g.list:
		return errors.New("get: a key is missing: write one such as instance-id, or --list for all of them")
	case g.list && g.fallback != nil:
		return errors.New("get: --list and --default exclude each other: a list has no value to stand in for")
	case g.wait < 0:
		return fmt.Errorf("--wait %v: it is 0, which is no limit, or more", g.wait)
	case args == 0:
		return nil
	}
	if err := snapshot.CheckKey(g.key); err != nil {
		return fmt.Errorf("get: %w", err)
	}
	return nil
}

// get prints a value or a list of keys.
func (p *program) get(ctx context.Context, g getting) int {
	if g.waits {
		if _, code := p.await(ctx, g.wait); code != 0 {
			return code
		}
	}
	v, err := snapshot.Open(p.readFrom(), p.boot())
	if err != nil {
		return p.unreadable("", err)
	}
	if g.list {
		return p.list(v, g)
	}
	value, err := v.LookupJSON(g.key)
	if err != nil {
		return p.absent(v, g, err)
	}
	p.printValue(value, g.jsonAlways)
	return 0
}

// list prints keys.
func (p *program) list(v *snapshot.Values, g getting) int {
	out := bufio.NewWriter(p.stdout)
	before, between, after, empty := "", "\n", "\n", ""
	if g.jsonAlways {
		before, between, after, empty = "[\n  ", ",\n  ", "\n]\n", "[]\n"
	}
	n := 0
	err := v.Walk(g.key, func(key string) error {
		if n++; n == 1 {
			out.WriteString(before)
		} else {
			out.WriteString(between)
		}
		if g.jsonAlways {
			key = string(jsonText(key))
		}
		_, err := out.WriteString(key)
		return err
	})
	switch {
	case err == nil && n == 0 && v.Status().Generation == 0:
		return p.uncollected(v.Status(), "there are no keys: ")
	case err != nil && n == 0:
		return p.absent(v, g, err)
	case n == 0:
		out.WriteString(empty)
	default:
		out.WriteString(after)
	}
	_ = out.Flush() // run sees whether it could be written
	return 0
}

// absent says why there is no value, or prints the one that stands in for it.
func (p *program) absent(v *snapshot.Values, g getting, err error) int {
	st := v.Status()
	e, ok := errors.AsType[*snapshot.KeyError](err)
	nothing := st.Generation == 0
	switch {
	case !ok:
		return p.unreadable("", err)
	case nothing && st.State == snapshot.Waiting:
		return p.uncollected(st, fmt.Sprintf("%q: ", g.key))
	case g.fallback != nil:
		p.printValue(jsonText(*g.fallback), g.jsonAlways)
		return 0
	case nothing:
		return p.uncollected(st, fmt.Sprintf("%q: ", g.key))
	}
	p.tell(err.Error()+didYouMean(v, e), p.advice(e))
	return int(readiness.ExitFailure)
}

// advice is what to do about a key that is not there.
func (p *program) advice(e *snapshot.KeyError) string {
	switch {
	case e.Credentials:
		return "use an AWS SDK or the AWS CLI: they ask IMDS themselves, and again when credentials expire"
	case strings.TrimPrefix(e.Key, "meta-data/") == snapshot.UserDataFile:
		return "with metadata.user_data = true it is in " + p.readFrom() + "/" + snapshot.UserDataFile + ", for the user imds-ready alone"
	case e.Class != "":
		return "`imds-ready status` says what is missing; --default gives a value in its place"
	default:
		return "`imds-ready get --list` prints all keys; --default gives a value in the place of an absent one"
	}
}

// uncollected says that the gate has brought no files, and how it stands.
func (p *program) uncollected(st snapshot.Status, what string) int {
	do := []string{hint(st), "--default gives a value in the place of what could not be had"}
	if st.State == snapshot.Waiting {
		do[1] = "--wait 5m waits for it"
	}
	p.tell(what+"nothing from this boot: the gate of "+p.readFrom()+" "+verdict(st), do...)
	return int(readiness.ExitTempFail)
}

// completeKeys completes keys from the files, a directory at a time. A shell gets
// no error: there is just nothing to complete.
func (p *program) completeKeys(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	v, err := snapshot.Open(p.readFrom(), p.boot())
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	prefix := ""
	if rest, ok := strings.CutPrefix(begun, "meta-data/"); ok {
		prefix, begun = "meta-data/", rest
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	var found []cobra.Completion
	err = v.Walk("", func(key string) error {
		isDirectory := strings.HasSuffix(key, "/")
		switch {
		case isDirectory && strings.HasPrefix(begun, key):
			return nil // it is in there
		case strings.HasPrefix(key, begun):
			found = append(found, prefix+key)
			if isDirectory {
				directive |= cobra.ShellCompDirectiveNoSpace // the key goes on
			}
		}
		if isDirectory {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return found, directive
}
