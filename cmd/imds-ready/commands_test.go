// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// cmdSim is "sim [flags] SCHEDULE": it starts a simulator on loopback and points
// the daemon to it. A second one takes the place of the first.
func cmdSim(ts *testscript.TestScript, neg bool, args []string) {
	f := flag.NewFlagSet("sim", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	tree := f.String("tree", "", "a JSON file, else the default tree")
	addr := f.String("addr", "127.0.0.1:0", "where it listens")
	base := f.String("base", "", "a base path")
	latency := f.Duration("latency", 0, "of each answer")
	lifetime := f.Duration("lifetime", 0, "of a token")
	without := f.String("without", "", "a path that is not in the tree")
	late, also := map[string]time.Duration{}, [][]imdstest.Phase{}
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
	s.Late, s.Latency, s.TokenLifetime, s.BasePath = late, *latency, *lifetime, *base
	url, err := s.Listen(*addr)
	ts.Check(err)
	w := worldOf(ts)
	w.sims = append(w.sims, s)
	ts.Setenv("IMDS_URL", url)
	ts.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
}

// treeOf is a tree file's, or the default one.
func treeOf(ts *testscript.TestScript, file string) imdstest.Tree {
	if file == "" {
		return imdstest.DefaultTree()
	}
	tree, err := imdstest.ParseTree(strings.NewReader(ts.ReadFile(file)))
	ts.Check(err)
	return tree
}

// cmdExits is "exits HOW ARGS...": imds-ready, run to its end, ends so: with an
// exit code, or killed by a signal of this name.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE|SIGNAL ARGS...")
	}
	w := worldOf(ts)
	p := w.start(ts, fmt.Sprintf("exits%d", len(w.processes)), args[1:])
	w.await(ts, p, args[0], patience)
}

// await holds the end of a process against how it should be, and gives its
// output to the commands stdout and stderr.
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

// cmdBg is "bg NAME ARGS...": imds-ready in the background. $NAME_PID is its
// process, NAME.stdout and NAME.stderr in $OUT its output.
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

// again is how often signal -again sends: a signal that is pending already is
// not kept twice.
const again = 50 * time.Millisecond

// cmdSignal is "signal [-again] NAME SIGNAL"; -again: until the process ends.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	insist := len(args) > 0 && args[0] == "-again"
	if insist {
		args = args[1:]
	}
	if neg || len(args) != 2 || w.named[args[0]] == nil || unix.SignalNum(args[1]) == 0 {
		ts.Fatalf("usage: signal [-again] NAME SIGNAL, for what bg has started")
	}
	p, signal := w.named[args[0]], unix.SignalNum(args[1])
	w.killed = w.killed || signal == syscall.SIGKILL
	ts.Check(p.cmd.Process.Signal(signal))
	for insist {
		if _, err := p.wait(again); err == nil {
			return
		}
		ts.Check(p.cmd.Process.Signal(signal))
		insist = time.Since(p.started) < patience
	}
}

// cmdEnds is "ends NAME HOW": what bg has started ends so, as soon as after a
// signal.
func cmdEnds(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if neg || len(args) != 2 || w.named[args[0]] == nil {
		ts.Fatalf("usage: ends NAME CODE|SIGNAL, for what bg has started")
	}
	w.await(ts, w.named[args[0]], args[1], contractual+slack)
}
