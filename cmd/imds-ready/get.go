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

	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// getOptions are the arguments and the flags of get.
type getOptions struct {
	keys     []string
	list     bool
	fallback *string // of --default, or nil without it
	wait     bool
	timeout  time.Duration // of --wait
}

func (p *program) getCommand() *cobra.Command {
	var o getOptions
	var fallback string
	c := &cobra.Command{
		Use:   "get KEY...",
		Short: "print values from the files",
		Long: `get prints a value that IMDS returned during this boot, from the files of watch
if that is running and watches the path. It makes no request.
KEY is a path below meta-data, or identity/ and a key of the identity document:
instance-id, placement/region, tags/instance/Name, identity/accountId.
It can also be a path or a URL of IMDS, such as /latest/meta-data/mac, or one of
these short names: account-id, az, az-id, network (network.json), private-ip,
public-ip, region, security-group-ids, subnet-id, vpc-id.
A string is printed as it is, a list one item per line, a directory as JSON.
With several keys, each value is printed on one line.`,
		Example: `  imds-ready get instance-id
  imds-ready get region az vpc-id
  imds-ready get tags/instance/Role --default web
  imds-ready get placement --json
  imds-ready get --list network`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: p.completeKeys,
		RunE: func(c *cobra.Command, args []string) error {
			o.wait = c.Flags().Changed("wait")
			if c.Flags().Changed("default") {
				o.fallback = &fallback
			}
			for _, arg := range args {
				o.keys = append(o.keys, pasted(arg))
			}
			if err := o.validate(); err != nil {
				return err
			}
			p.exit = p.get(c.Context(), o)
			return nil
		},
	}
	c.Flags().BoolVar(&p.json, "json", false, "print the value as JSON, whatever its type; several\nvalues as one object")
	c.Flags().StringVar(&fallback, "default", "",
		"print `VALUE` if the key does not exist, or if the gate\nis skipped, or degraded without metadata")
	c.Flags().BoolVar(&o.list, "list", false, "print all keys, or those below KEY, one per line;\ndirectories end with a slash")
	c.Flags().DurationVar(&o.timeout, "wait", 0,
		"first wait up to `DURATION`, such as 90s, until the\ngate is decided (0: no limit)")
	p.readerFlags(c)
	return c
}

// validate checks the command line before any file is read.
func (o getOptions) validate() error {
	switch {
	case len(o.keys) == 0 && !o.list:
		return errors.New("get: missing key: must be a key such as instance-id, or --list for all keys")
	case len(o.keys) > 1 && o.list:
		return errors.New("get: must have one key at most with --list")
	case o.list && o.fallback != nil:
		return errors.New("get: must have --list or --default, not both")
	case o.timeout < 0:
		return fmt.Errorf("invalid --wait %v: must be 0 (no limit) or positive", o.timeout)
	}
	for _, key := range o.keys {
		if strings.Contains(key, "://") {
			return fmt.Errorf("get: invalid URL %q: must be one of IMDS, with /latest/ in it", key)
		}
		if err := snapshot.CheckKey(key); err != nil {
			return fmt.Errorf("get: %w", err)
		}
	}
	return nil
}

// get prints values or a list of keys, and returns the exit code. It prints either
// all values or none.
func (p *program) get(ctx context.Context, o getOptions) int {
	if o.wait {
		if _, code := p.await(ctx, waitLimit{flag: "--wait", timeout: o.timeout}); code != 0 {
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
	values := make([]json.RawMessage, len(o.keys))
	watched := p.watched()
	for i, key := range o.keys {
		if values[i], err = watched.lookup(v, key); errors.Is(err, snapshot.ErrNotWatched) {
			values[i], err = p.lookup(v, key)
		}
		if err == nil {
			continue
		}
		if code := p.reportAbsent(v, o, key, err); code != 0 {
			return code
		}
		values[i] = jsonText(*o.fallback)
	}
	switch {
	case len(values) == 1:
		p.printValue(values[0])
	case p.json:
		object := map[string]json.RawMessage{}
		for i, key := range o.keys {
			object[key] = values[i]
		}
		p.printJSON(object, "  ")
	default:
		for _, value := range values {
			p.printLine(value)
		}
	}
	return 0
}

// watched is the status of a running `imds-ready watch`, or the zero value.
type watched struct {
	snapshot.WatchStatus
	dir string
}

// watched reads the status of `imds-ready watch`. Without it, or if that no longer runs,
// the files of the gate have all values.
func (p *program) watched() watched {
	st, err := snapshot.ReadWatch(p.readDirectory(), p.bootID())
	if err != nil || !st.Alive(!p.ignoreBootID) {
		return watched{}
	}
	return watched{st, p.readDirectory()}
}

// lookup is [program.lookup] in the files of watch.
func (w watched) lookup(v *snapshot.Values, name string) (json.RawMessage, error) {
	if len(w.Paths) == 0 {
		return nil, snapshot.ErrNotWatched
	}
	return w.LookupJSON(w.dir, resolve(v, name))
}

func (p *program) list(v *snapshot.Values, o getOptions) int {
	root := ""
	if len(o.keys) > 0 {
		root = resolve(v, o.keys[0])
	}
	out := bufio.NewWriter(p.stdout)
	before, between, after, empty := "", "\n", "\n", ""
	if p.json {
		before, between, after, empty = "[\n  ", ",\n  ", "\n]\n", "[]\n"
	}
	n := 0
	w := p.watched()
	err := w.Walk(w.dir, v, root, func(key string) error {
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
		return p.reportAbsent(v, o, root, err)
	case n == 0:
		out.WriteString(empty)
	default:
		out.WriteString(after)
	}
	_ = out.Flush() // run sees whether it could be written
	return 0
}

// reportAbsent explains why a key has no value, and returns the exit code: 0 if
// --default stands in for it. A default is only for what this instance does not
// have: a path that could not be fetched may have a value.
func (p *program) reportAbsent(v *snapshot.Values, o getOptions, key string, err error) int {
	st := v.Status()
	e, ok := errors.AsType[*snapshot.KeyError](err)
	inGate := func() bool { // the class is one of the gate's status.json, and not of a file of watch
		_, missing := st.Missing[e.Path]
		_, required := st.Required[e.Path]
		return missing || required
	}
	switch {
	case !ok:
		return p.reportUnreadable("", err)
	case e.Watched && o.fallback != nil:
		return 0
	case e.Watched:
		p.report(e.Error()+": imds-ready watch has asked for it, and it does not exist now", "--default VALUE prints VALUE instead")
		return int(readiness.ExitFailure)
	case e.Class == string(policy.CannotWrite):
		p.report(fmt.Sprintf("%q: imds-ready watch cannot write the file of %s", e.Key, e.Path), "`journalctl -u imds-ready-watch` says why")
		return int(readiness.ExitTempFail)
	case e.Class != "" && !inGate():
		p.report(fmt.Sprintf("%q: the file of %s has no valid value: %s", e.Key, e.Path, e.Class),
			"imds-ready watch keeps what IMDS serves in "+p.readDirectory()+"/"+snapshot.WatchDir+"/"+e.Path)
		return int(readiness.ExitTempFail)
	case st.Generation == 0:
		decided := st.State == snapshot.Skipped || st.State == snapshot.Degraded
		if decided && o.fallback != nil {
			return 0
		}
		return p.reportUncollected(st, fmt.Sprintf("%q", key))
	case e.Class != "", st.MissingMore > 0 && !e.Credentials:
		problem := e.Error()
		if e.Class == "" {
			problem += fmt.Sprintf(", but %d paths that could not be fetched are not named in status.json", st.MissingMore)
		}
		p.report(problem+suggestKeys(v, e),
			"`imds-ready status` lists the missing paths; `systemctl reload imds-ready` requests them again")
		return int(readiness.ExitTempFail)
	case o.fallback != nil:
		return 0
	}
	problem, hint := p.explainAbsent(v, e)
	p.report(problem+suggestKeys(v, e), hint)
	return int(readiness.ExitFailure)
}

// explainAbsent returns the message and the hint for a key that does not exist.
func (p *program) explainAbsent(v *snapshot.Values, e *snapshot.KeyError) (problem, hint string) {
	key := strings.TrimSuffix(strings.TrimPrefix(e.Key, "meta-data/"), "/")
	tag, isTag := strings.CutPrefix(key, tagsKey+"/")
	switch {
	case e.Credentials:
		return e.Error(), "use an AWS SDK or the AWS CLI, which get credentials from IMDS and renew them"
	case key == snapshot.UserDataFile:
		return e.Error(), "with metadata.user_data = true it is in " + p.readDirectory() + "/" + snapshot.UserDataFile +
			", readable by the user imds-ready only"
	case isTag || strings.HasPrefix(tagsKey+"/", key+"/"):
		if _, err := v.LookupJSON(tagsKey); err != nil {
			return e.Error(), "there are no tags at all: they may be switched off in the instance's metadata options " +
				"(InstanceMetadataTags), or left out by metadata.include or metadata.exclude"
		}
		return fmt.Sprintf("this instance has no tag %q", tag),
			"`imds-ready get --list " + tagsKey + "` prints the tags; --default VALUE prints VALUE instead"
	default:
		return e.Error(), "`imds-ready get --list` prints all keys; metadata.include or metadata.exclude may leave it out; " +
			"--default VALUE prints VALUE instead"
	}
}

// tagsKey is the directory of the tags. It exists only if the instance allows tags
// in its metadata.
const tagsKey = "tags/instance"

// reportUncollected explains that no metadata was collected during this boot.
func (p *program) reportUncollected(st snapshot.Status, prefix string) int {
	hint := "--default VALUE prints VALUE instead"
	switch st.State {
	case snapshot.Waiting:
		hint = "--wait 5m waits for it"
	case snapshot.Failed:
		hint = "`systemctl start imds-ready` tries again"
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

// printLine prints the JSON of a value on one line: as JSON, unless it is a string
// without line breaks.
func (p *program) printLine(value json.RawMessage) {
	var text string
	if json.Unmarshal(value, &text) == nil && !strings.ContainsAny(text, "\r\n") {
		fmt.Fprintln(p.stdout, text)
		return
	}
	p.printJSON(value, "")
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
func (p *program) completeKeys(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	v, err := snapshot.Open(p.readDirectory(), p.bootID())
	if err != nil {
		return nil, directive
	}
	short := p.completeShortNames(v, typed)
	prefix := ""
	if rest, ok := strings.CutPrefix(typed, "meta-data/"); ok {
		prefix, typed = "meta-data/", rest
	}
	var found []cobra.Completion
	w := p.watched()
	err = w.Walk(w.dir, v, "", func(key string) error {
		isDirectory := strings.HasSuffix(key, "/")
		if isDirectory && strings.HasPrefix(typed, key) {
			return nil // it is in there
		}
		if rest, ok := strings.CutPrefix(key, typed); ok {
			// The directories above a watched path need not be keys.
			level, _, continues := strings.Cut(rest, "/")
			candidate := prefix + typed + level
			if continues {
				candidate += "/"
				directive |= cobra.ShellCompDirectiveNoSpace
			}
			if len(found) == 0 || found[len(found)-1] != candidate {
				found = append(found, candidate)
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
	return append(found, short...), directive
}
