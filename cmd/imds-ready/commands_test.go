// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// cmdSim is "sim [flags] SCHEDULE": it starts a simulator on loopback and makes it
// the endpoint, instead of an earlier one.
func cmdSim(ts *testscript.TestScript, neg bool, args []string) {
	f := flag.NewFlagSet("sim", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	tree := f.String("tree", "", "a JSON file instead of the default tree")
	addr := f.String("addr", "127.0.0.1:0", "the address to listen at")
	base := f.String("base", "", "a base path")
	latency := f.Duration("latency", 0, "of each answer")
	lifetime := f.Duration("lifetime", 0, "of a token")
	without := f.String("without", "", "a path to remove from the tree")
	late, also := map[string]time.Duration{}, [][]imdstest.Phase{}
	gone, changes := map[string]time.Duration{}, []imdstest.Change{}
	f.Func("gone", "PATH=D", func(s string) error {
		path, text, _ := strings.Cut(s, "=")
		d, err := time.ParseDuration(text)
		gone[path] = d
		return err
	})
	f.Func("change", "PATH=D=BODY", func(s string) error {
		path, rest, _ := strings.Cut(s, "=")
		text, body, _ := strings.Cut(rest, "=")
		d, err := time.ParseDuration(text)
		changes = append(changes, imdstest.Change{Path: path, At: d, Body: body})
		return err
	})
	f.Func("late", "PATH=D", func(s string) error {
		path, text, _ := strings.Cut(s, "=")
		d, err := time.ParseDuration(text)
		late[path] = d
		return err
	})
	f.Func("also", "a schedule beside the main one", func(s string) error {
		phases, err := imdstest.ParseSchedule(s)
		also = append(also, phases)
		return err
	})
	ts.Check(f.Parse(args))
	if neg || f.NArg() != 1 {
		ts.Fatalf("usage: sim [flags] SCHEDULE")
	}
	schedule, err := imdstest.ParseSchedule(f.Arg(0))
	ts.Check(err)
	s := imdstest.New(treeOf(ts, *tree).Without(*without), schedule...)
	for _, phases := range also {
		s.Also(phases...)
	}
	s.Gone, s.Changes = gone, changes
	s.Late, s.Latency, s.TokenLifetime, s.BasePath = late, *latency, *lifetime, *base
	url, err := s.Listen(*addr)
	ts.Check(err)
	w := worldOf(ts)
	w.sims = append(w.sims, s)
	ts.Setenv("IMDS_URL", url)
	ts.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
}

// treeOf reads a tree from a file, or returns the default one.
func treeOf(ts *testscript.TestScript, file string) imdstest.Tree {
	if file == "" {
		return imdstest.DefaultTree()
	}
	tree, err := imdstest.ParseTree(strings.NewReader(ts.ReadFile(file)))
	ts.Check(err)
	return tree
}

// cmdExits is "exits HOW ARGS...": it runs imds-ready, which must end with this exit
// code or by the signal of this name.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE|SIGNAL ARGS...")
	}
	w := worldOf(ts)
	p := w.start(ts, fmt.Sprintf("exits%d", len(w.processes)), args[1:])
	w.await(ts, p, args[0], patience)
}

// await compares how a process ends with want, and passes its output to the
// commands stdout and stderr.
func (w *world) await(ts *testscript.TestScript, p *process, want string, within time.Duration) {
	got, err := p.wait(within)
	for _, out := range []struct {
		to   io.Writer
		file string
	}{{ts.Stdout(), p.stdout}, {ts.Stderr(), p.stderr}} {
		text, err := os.ReadFile(out.file)
		ts.Check(err)
		_, err = out.to.Write(text)
		ts.Check(err)
	}
	ts.Check(err)
	if got != want {
		text, err := os.ReadFile(p.stderr)
		ts.Check(err)
		ts.Fatalf("it ended with %s, not %s:\n%s", got, want, text)
	}
}

// cmdBg is "bg NAME ARGS...": it starts imds-ready in the background. $NAME_PID is
// its process; $OUT/NAME.stdout and $OUT/NAME.stderr are its output.
func cmdBg(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: bg NAME ARGS...")
	}
	w := worldOf(ts)
	if w.named == nil {
		w.named = map[string]*process{}
	}
	p := w.start(ts, args[0], args[1:])
	w.named[args[0]] = p
	ts.Setenv(args[0]+"_PID", fmt.Sprint(p.cmd.Process.Pid))
}

// resendEvery is the interval of signal -again. The kernel does not queue a signal
// that is pending already.
const resendEvery = 50 * time.Millisecond

// cmdSignal is "signal [-again] NAME SIGNAL"; -again repeats it until the process
// ends.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	repeat := len(args) > 0 && args[0] == "-again"
	if repeat {
		args = args[1:]
	}
	if neg || len(args) != 2 || w.named[args[0]] == nil || unix.SignalNum(args[1]) == 0 {
		ts.Fatalf("usage: signal [-again] NAME SIGNAL, for a process of bg")
	}
	p, signal := w.named[args[0]], unix.SignalNum(args[1])
	w.killed = w.killed || signal == syscall.SIGKILL
	ts.Check(p.cmd.Process.Signal(signal))
	for repeat {
		if _, err := p.wait(resendEvery); err == nil {
			return
		}
		// The process may have ended after the wait.
		if err := p.cmd.Process.Signal(signal); !errors.Is(err, os.ErrProcessDone) {
			ts.Check(err)
		}
		repeat = time.Since(p.started) < patience
	}
}

// cmdEnds is "ends NAME HOW": the background process ends like this, within the
// time that is allowed after a signal.
func cmdEnds(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if neg || len(args) != 2 || w.named[args[0]] == nil {
		ts.Fatalf("usage: ends NAME CODE|SIGNAL, for a process of bg")
	}
	w.await(ts, w.named[args[0]], args[1], signalLimit+slack)
}

// cmdSimlog is "simlog [FILE]": the requests so far are those of FILE, one "KIND PATH
// STATUS FAULT" per line. A last line "..." stands for any number of further ones.
// Without FILE there was no request and no connection.
func cmdSimlog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: simlog [FILE]")
	}
	s := worldOf(ts).sim(ts)
	if len(args) == 0 {
		if trace := s.Trace(); len(trace) > 0 {
			ts.Fatalf("the simulator received %v", trace)
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

// cmdAsked is "asked PATH": it waits until the simulator receives a request for it.
func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: asked PATH")
	}
	s := worldOf(ts).sim(ts)
	if !until(patience, func() bool {
		return slices.ContainsFunc(s.Requests(), func(r imdstest.Request) bool { return r.Path == args[0] })
	}) {
		ts.Fatalf("no request for %s: %v", args[0], s.Trace())
	}
}

// cmdUntil is "until FILE REGEXP": it waits until the file contains a match.
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
		ts.Fatalf("%s never contains %q:\n%s", args[0], args[1], last)
	}
}

// cmdStatus is "status FILE KEY=VALUE|KEY~REGEXP...": a JSON file contains these
// values. A key is dotted. A string is written as it is, any other value as JSON.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status FILE KEY=VALUE|KEY~REGEXP...")
	}
	var root any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &root))
	for _, arg := range args[1:] {
		at := strings.IndexAny(arg, "=~")
		if at < 0 {
			ts.Fatalf("%s: must contain = or ~", arg)
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

// cmdModes is "modes DIR FILE": FILE lists a directory and everything in it, hidden
// files too, one "MODE NAME" per line.
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
		ts.Fatalf("%s contains\n%s\nnot\n%s", args[0], got, want)
	}
}

// cmdExpand is "expand FILE": it replaces the variables in the file.
func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
