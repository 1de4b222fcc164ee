// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// match wants all of got to be matched by the regular expression want, final
// line breaks aside.
func match(ts *testscript.TestScript, what, got, want string) {
	got = strings.TrimSuffix(got, "\n")
	re, err := regexp.Compile(`\A(?:` + strings.TrimSuffix(want, "\n") + `)\z`)
	ts.Check(err)
	if !re.MatchString(got) {
		ts.Fatalf("%s are\n%s\nwhich this does not match:\n%s", what, got, want)
	}
}

// cmdSimlog is "simlog [FILE]": the requests so far are these, "KIND PATH STATUS
// FAULT" a line. A last line "..." is any number of further ones. Without FILE
// nothing was asked, and nobody has connected either.
func cmdSimlog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: simlog [FILE]")
	}
	s := worldOf(ts).sim(ts)
	if len(args) == 0 {
		if trace := s.Trace(); len(trace) > 0 {
			ts.Fatalf("the simulator has seen %v", trace)
		}
		return
	}
	var lines []string
	for _, r := range s.Requests() {
		_, line, _ := strings.Cut(r.String(), " ") // the time
		lines = append(lines, line)
	}
	want := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	if last := len(want) - 1; want[last] == "..." {
		want = want[:last]
		lines = lines[:min(last, len(lines))]
	}
	if !slices.Equal(lines, want) {
		ts.Fatalf("the requests are\n%s\nnot\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// cmdAsked is "asked PATH": it waits until the simulator is asked for a path.
func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: asked PATH")
	}
	s := worldOf(ts).sim(ts)
	if !until(patience, func() bool {
		return slices.ContainsFunc(s.Requests(), func(r imdstest.Request) bool { return r.Path == args[0] })
	}) {
		ts.Fatalf("nobody asks for %s: %v", args[0], s.Trace())
	}
}

// cmdUntil is "until FILE REGEXP": it waits until the file has a match.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: until FILE REGEXP")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var last string
	file := ts.MkAbs(args[0])
	if !until(patience, func() bool {
		data, err := os.ReadFile(file)
		last = string(data)
		return err == nil && re.MatchString(last)
	}) {
		ts.Fatalf("%s never has %q:\n%s", args[0], args[1], last)
	}
}

// cmdStatus is "status FILE KEY=VALUE|KEY~REGEXP...": a JSON file has these
// values. A key is dotted; a value is a string as it is, anything else as JSON.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status FILE KEY=VALUE|KEY~REGEXP...")
	}
	var root any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &root))
	for _, arg := range args[1:] {
		at := strings.IndexAny(arg, "=~")
		if at < 0 {
			ts.Fatalf("%s: neither = nor ~ in it", arg)
		}
		got, want := render(lookup(root, arg[:at])), arg[at+1:]
		if arg[at] == '=' {
			want = regexp.QuoteMeta(want)
		}
		re, err := regexp.Compile(`\A(?:` + want + `)\z`)
		ts.Check(err)
		if !re.MatchString(got) {
			ts.Fatalf("%s: %s is %q, want %q\n%s", args[0], arg[:at], got, arg[at+1:], ts.ReadFile(args[0]))
		}
	}
}

// lookup follows a dotted key.
func lookup(v any, key string) any {
	for part := range strings.SplitSeq(key, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[part]
	}
	return v
}

func render(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// cmdModes is "modes DIR FILE": a directory and all that is in it, hidden files
// too, "MODE NAME" a line, are those of FILE.
func cmdModes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: modes DIR FILE")
	}
	dir := ts.MkAbs(args[0])
	entries, err := os.ReadDir(dir)
	ts.Check(err)
	self, err := os.Stat(dir)
	ts.Check(err)
	got := fmt.Sprintf("%04o ./\n", self.Mode().Perm())
	for _, e := range entries {
		info, err := e.Info()
		ts.Check(err)
		if e.Name() == ".lock" && info.Mode() == 0o600 {
			continue // in every directory that a daemon has opened
		}
		got += fmt.Sprintf("%04o %s\n", info.Mode().Perm(), e.Name())
	}
	if want := ts.ReadFile(args[1]); got != want {
		ts.Fatalf("%s has\n%s\nnot\n%s", args[0], got, want)
	}
}

// cmdExpand is "expand FILE": the variables in it are replaced.
func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
