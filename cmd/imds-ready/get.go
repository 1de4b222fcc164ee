// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// getOptions are the argument and the flags of get.
type getOptions struct {
	key      string
	list     bool
	fallback *string // of --default, or nil without it
	wait     bool
	timeout  time.Duration // of --wait
}

func (p *program) getCommand() *cobra.Command {
	var o getOptions
	var fallback string
	c := &cobra.Command{
		Use:   "get KEY",
		Short: "print one value from the files",
		Long: `get prints a value that IMDS returned during this boot. It makes no request.
KEY is a path below meta-data, or identity/ and a key of the identity document:
instance-id, placement/region, tags/instance/Name, identity/accountId.
A string is printed as it is, a list one item per line, a directory as JSON.`,
		Example: `  imds-ready get instance-id
  imds-ready get tags/instance/Role --default web
  imds-ready get placement --json
  imds-ready get --list network`,
		Args:              func(c *cobra.Command, args []string) error { return noArguments(c, args[min(1, len(args)):]) },
		ValidArgsFunction: p.completeKeys,
		RunE: func(c *cobra.Command, args []string) error {
			o.wait = c.Flags().Changed("wait")
			if c.Flags().Changed("default") {
				o.fallback = &fallback
			}
			if len(args) > 0 {
				o.key = args[0]
			}
			if err := o.validate(len(args) > 0); err != nil {
				return err
			}
			p.exit = p.get(c.Context(), o)
			return nil
		},
	}
	c.Flags().BoolVar(&p.json, "json", false, "print the value as JSON, whatever its type")
	c.Flags().StringVar(&fallback, "default", "",
		"print `VALUE` if the key does not exist, or if the gate\nwas decided without IMDS")
	c.Flags().BoolVar(&o.list, "list", false, "print all keys, or those below KEY, one per line;\ndirectories end with a slash")
	c.Flags().DurationVar(&o.timeout, "wait", 0,
		"first wait up to `DURATION`, such as 90s, until the\ngate is decided (0: no limit)")
	p.readerFlags(c)
	return c
}

// validate checks the command line before any file is read.
func (o getOptions) validate(hasKey bool) error {
	switch {
	case !hasKey && !o.list:
		return errors.New("get: missing key: must be a key such as instance-id, or --list for all keys")
	case o.list && o.fallback != nil:
		return errors.New("get: must have --list or --default, not both")
	case o.timeout < 0:
		return fmt.Errorf("invalid --wait %v: must be 0 (no limit) or positive", o.timeout)
	case !hasKey:
		return nil
	}
	if err := snapshot.CheckKey(o.key); err != nil {
		return fmt.Errorf("get: %w", err)
	}
	return nil
}

// get prints a value or a list of keys, and returns the exit code.
func (p *program) get(ctx context.Context, o getOptions) int {
	if o.wait {
		if _, code := p.await(ctx, o.timeout, "--wait"); code != 0 {
			return code
		}
	}
	v, err := snapshot.Open(p.readDirectory(), p.bootID())
	if err != nil {
		return p.reportUnreadable("", err)
	}
	if o.list {
		return p.list(v, o)
	}
	value, err := v.LookupJSON(o.key)
	if err != nil {
		return p.reportAbsent(v, o, err)
	}
	p.printValue(value)
	return 0
}

func (p *program) list(v *snapshot.Values, o getOptions) int {
	out := bufio.NewWriter(p.stdout)
	before, between, after, empty := "", "\n", "\n", ""
	if p.json {
		before, between, after, empty = "[\n  ", ",\n  ", "\n]\n", "[]\n"
	}
	n := 0
	err := v.Walk(o.key, func(key string) error {
		if n++; n == 1 {
			out.WriteString(before)
		} else {
			out.WriteString(between)
		}
		if p.json {
			key = string(jsonText(key))
		}
		_, err := out.WriteString(key)
		return err
	})
	switch {
	case err == nil && n == 0 && v.Status().Generation == 0:
		return p.reportUncollected(v.Status(), "no keys")
	case err != nil && n == 0:
		return p.reportAbsent(v, o, err)
	case n == 0:
		out.WriteString(empty)
	default:
		out.WriteString(after)
	}
	_ = out.Flush() // run sees whether it could be written
	return 0
}

// reportAbsent explains why there is no value, or prints that of --default.
func (p *program) reportAbsent(v *snapshot.Values, o getOptions, err error) int {
	st := v.Status()
	e, ok := errors.AsType[*snapshot.KeyError](err)
	uncollected := st.Generation == 0
	switch {
	case !ok:
		return p.reportUnreadable("", err)
	case o.fallback != nil && (!uncollected || st.State != snapshot.Waiting):
		p.printValue(jsonText(*o.fallback))
		return 0
	case uncollected:
		return p.reportUncollected(st, fmt.Sprintf("%q", o.key))
	}
	p.report(err.Error()+suggestKeys(v, e), p.absentHint(e))
	return int(readiness.ExitFailure)
}

func (p *program) absentHint(e *snapshot.KeyError) string {
	switch {
	case e.Credentials:
		return "use an AWS SDK or the AWS CLI, which get credentials from IMDS and renew them"
	case strings.TrimPrefix(e.Key, "meta-data/") == snapshot.UserDataFile:
		return "with metadata.user_data = true it is in " + p.readDirectory() + "/" + snapshot.UserDataFile +
			", readable by the user imds-ready only"
	case e.Class != "":
		return "`imds-ready status` lists the missing paths; --default VALUE prints VALUE instead"
	default:
		return "`imds-ready get --list` prints all keys; --default VALUE prints VALUE instead"
	}
}

// reportUncollected explains that no metadata was collected during this boot.
func (p *program) reportUncollected(st snapshot.Status, prefix string) int {
	hint := "--default VALUE prints VALUE instead"
	if st.State == snapshot.Waiting {
		hint = "--wait 5m waits for it"
	}
	p.report(prefix+": no metadata from this boot: "+p.verdict(st), lastHint(st), hint)
	return int(readiness.ExitTempFail)
}

// printValue prints the JSON of a value: a string as it is and a list one item per
// line. Anything else, and with --json everything, is printed as JSON, indented as in
// the files.
func (p *program) printValue(value json.RawMessage) {
	out := bufio.NewWriter(p.stdout)
	defer out.Flush() // run sees whether it could be written
	dec := json.NewDecoder(bytes.NewReader(value))
	if p.json || value[0] != '"' && value[0] != '[' {
		out.Write(value)
		out.WriteByte('\n')
		return
	}
	if value[0] == '[' {
		_, _ = dec.Token() // the bracket
	}
	var item json.RawMessage
	var line bytes.Buffer
	for dec.More() {
		if dec.Decode(&item) != nil {
			return // it was valid when it was read
		}
		switch item[0] {
		case '"':
			var text string
			_ = json.Unmarshal(item, &text)
			out.WriteString(text)
		case '{', '[':
			line.Reset()
			_ = json.Compact(&line, item)
			out.Write(line.Bytes())
		default:
			out.Write(item)
		}
		out.WriteByte('\n')
	}
}

// printJSON prints value as JSON, with <, > and & not escaped.
func (p *program) printJSON(value any, indent string) {
	encoder := json.NewEncoder(p.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	_ = encoder.Encode(value) // every type that is printed can be encoded
}

// jsonText is the JSON of a string, with <, > and & not escaped.
func jsonText(s string) json.RawMessage {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// completeKeys completes keys from the files, one directory level at a time. An
// error would disturb the shell, so there are no candidates then.
func (p *program) completeKeys(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	v, err := snapshot.Open(p.readDirectory(), p.bootID())
	if err != nil || len(args) > 0 {
		return nil, directive
	}
	prefix := ""
	if rest, ok := strings.CutPrefix(typed, "meta-data/"); ok {
		prefix, typed = "meta-data/", rest
	}
	var found []cobra.Completion
	err = v.Walk("", func(key string) error {
		isDirectory := strings.HasSuffix(key, "/")
		switch {
		case isDirectory && strings.HasPrefix(typed, key):
			return nil // it is in there
		case strings.HasPrefix(key, typed):
			found = append(found, prefix+key)
			if isDirectory {
				directive |= cobra.ShellCompDirectiveNoSpace // the key continues
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
