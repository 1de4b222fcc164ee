// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == netns.Inside {
		Main("bench", "", nil)
	}
	goleak.VerifyTestMain(m)
}

// run runs a benchmark. It returns false if the kernel refuses a network namespace; then it has checked the hint.
func run(t *testing.T, setup report.Setup, args ...string) (string, bool) {
	t.Helper()
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	var stdout strings.Builder
	err := report.Run(t.Context(), "bench", "Title", setup, args, &stdout)
	for what, hint := range map[string]string{
		"making a network namespace":     "run this as root, or allow user namespaces",
		"joining two network namespaces": "", // without ip(8)
	} {
		if err != nil && strings.Contains(err.Error(), what) && strings.HasSuffix(err.Error(), hint) {
			return "", false
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return stdout.String(), true
}

// expect checks that a report has all of some texts.
func expect(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// The benchmarks, with trials that are as few and as short as possible.

func TestStartup(t *testing.T) {
	text, _ := run(t, Startup, "-all", "-n", "1", "-warmup", "0")
	expect(t, text, " 1 + 1 |", " 1 + 94 |", " 1 + 417 |", "\n## the whole tree, at 1ms (", "| start to ready, of the SDK's time",
		"| imds-ready ", "| imds-ready, GOMAXPROCS=64 ", "| SDK, one by one ", "| SDK, 4 at a time ")
}

func TestLag(t *testing.T) {
	text, _ := run(t, Lag(), "-n", "1", "-again", "2", "-shortest", "100ms", "-longest", "200ms")
	expect(t, text, "\n## refuse\n", "\n## blackhole\n", "\n## hang\n", "\n## 503\n", "| SDK, 60 attempts, 1 s cap ", "| SDK, defaults ",
		"| curl, sleep 1 ", "| hang, lag p50 ", "sleep 1; done")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| imds-ready ") && !strings.Contains(line, " 0 of 2 |     0 |") {
			t.Errorf("imds-ready was not ready: %s", line)
		}
	}
}

func TestLate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "late.json")
	text, ok := run(t, Late(), "-n", "1", "-again", "2", "-shortest", "300ms", "-longest", "400ms", "-json", file)
	if !ok {
		return
	}
	expect(t, text, "| imds-ready, eager = false ", "| curl, sleep 1 ", "| late address, lag p90 ")
	var rows []report.Lags
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &rows) != nil || len(rows) != 4 {
		t.Fatalf("%v, rows %s", err, b)
	}
	for i, r := range rows {
		if trials := []int{2, 1, 1, 1}[i]; r.Trials != trials || r.Ready() != trials || r.P50 <= 0 || r.P50 > 5 {
			t.Errorf("%+v, want %d trials that ended well", r, trials)
		}
	}
}

// TestWaiting has more changes of the network in its time than a real network.
func TestWaiting(t *testing.T) {
	text, ok := run(t, Waiting, "-for", "2s")
	if !ok {
		return
	}
	expect(t, text, "\n## refused\n", "\n## 503\n", "| imds-ready ", "| curl, sleep 1 ", "| sleeping and dialling alone ",
		"while the network changes: an address comes and one goes, 10000 times\n", "| CPU time in 2s, refused ")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| connections in") && strings.Contains(line, "NOT MET") {
			t.Errorf("too many connections, or none: %s", line)
		}
	}
}

func TestPackets(t *testing.T) {
	text, ok := run(t, Packets, "-n", "1", "-interfaces", "0")
	if !ok {
		return
	}
	expect(t, text, "| imds-ready, as fast ", "| imds-ready, packets in any one second |    1023 | ")
	if strings.Contains(text, "NOT MET") {
		t.Errorf("a crawl of 90 paths sends too many packets:\n%s", text)
	}
}

func TestInvalidFlags(t *testing.T) {
	for name, b := range map[string]struct {
		setup report.Setup
		args  string
	}{
		"startup": {Startup, "-n 0,-warmup -1"},
		"lag":     {Lag(), "-n 0,-again 0,-parallel 0,-shortest 0s,-shortest 5s"},
		"waiting": {Waiting, "-for 0s"},
		"packets": {Packets, "-n 0,-interfaces -1"},
	} {
		for args := range strings.SplitSeq(b.args, ",") {
			err := report.Run(t.Context(), name, "", b.setup, strings.Fields(args), io.Discard)
			if err == nil || !strings.Contains(err.Error(), "must be") {
				t.Errorf("%s %s: err = %v", name, args, err)
			}
		}
	}
}

// TestInsideRefusesThisNamespace guards that nothing begins outside a namespace of its own.
func TestInsideRefusesThisNamespace(t *testing.T) {
	err := inside(t.Context(), "{}", io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "this is not a network namespace of its own: ") {
		t.Errorf("err = %v", err)
	}
}

// TestTrial judges scripts that end in all ways. IMDS is up after 200 ms.
func TestTrial(t *testing.T) {
	for _, tc := range []struct {
		name, script          string
		notifies, required    bool
		product               string
		gaveUp, stuck, waited bool
		err                   string
	}{
		{name: "gives up", script: "exit 1", gaveUp: true},
		{name: "does not notify", script: "exit 0", notifies: true, gaveUp: true},
		{name: "is stuck", script: "exec sleep 60", stuck: true},
		{name: "is too early", script: "exit 0", err: "before IMDS was up"},
		{name: "waits", script: "exec sleep 0.3", waited: true},
		{name: "fails", script: "echo sorry; exit 3", required: true, err: "exit code 3; it printed:\nsorry"},
		{name: "leaves nothing", script: "exec sleep 0.3", product: "x", err: "no such file"},
	} {
		c := contestant{Name: "shell", Path: "/bin/sh", Args: []string{"-c", tc.script}, Notifies: tc.notifies, Product: tc.product}
		all, _, err := measure(t.Context(), 1, []trial{{
			Scene: tc.name, Contestants: []contestant{c}, Simulator: []string{"-schedule", "503:200ms,ok"}, Outage: 200 * time.Millisecond,
			Limit: 2 * time.Second, Required: tc.required,
		}})
		if tc.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), tc.name+": shell: ") || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: err = %v, want %q", tc.name, err, tc.err)
			}
			continue
		}
		if err != nil || len(all) != 1 || all[0].GaveUp != tc.gaveUp || all[0].Stuck != tc.stuck || (all[0].Lag > 0) != tc.waited {
			t.Errorf("%s: %+v, %v", tc.name, all, err)
		}
	}
}

func TestContestantsTakeTurns(t *testing.T) {
	var names []string
	for _, c := range inTurn([]contestant{{Name: "a"}, {Name: "b"}}, 1, 2) {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, ""); got != "baabba" {
		t.Errorf("order %s, want baabba: the first round that counts runs forwards", got)
	}
}

func TestOutages(t *testing.T) {
	s := sweep{outages: 2, again: 2, contestants: []contestant{{Name: daemon}, {Name: "other"}}, kinds: []kind{{schedule: "503:%v,ok"}}}
	var got []string
	for _, m := range s.trials(2*time.Second, 5*time.Second) {
		got = append(got, m.Contestants[0].Name+" "+m.Simulator[1])
	}
	want := []string{
		"imds-ready 503:2s,ok", "imds-ready 503:3s,ok", "imds-ready 503:4s,ok", "imds-ready 503:5s,ok", "other 503:2s,ok", "other 503:5s,ok",
	}
	if !slices.Equal(got, want) {
		t.Errorf("trials %q, want %q", got, want)
	}
}

// setupOf makes a benchmark that only writes a report.
func setupOf(write func(*report.Report)) report.Setup {
	return func(*flag.FlagSet) func(context.Context, *report.Report) error {
		return func(_ context.Context, r *report.Report) error {
			write(r)
			return nil
		}
	}
}

// missed returns the names of the targets that write misses.
func missed(t *testing.T, write func(*report.Report)) string {
	t.Helper()
	var stdout strings.Builder
	if err := report.Run(t.Context(), "", "", setupOf(write), nil, &stdout); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(stdout.String()) {
		if strings.Contains(line, "| NOT MET |") {
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
			names = append(names, strings.TrimSpace(name))
		}
	}
	return strings.Join(names, "; ")
}

// of returns measurements of a contestant in the standard scene of startup that took so many milliseconds.
func of(name string, ms ...int) (all measurements) {
	for _, n := range ms {
		d := time.Duration(n) * time.Millisecond
		r := process.Result{Exit: d + time.Millisecond, CPU: d / 2, Peak: 9 << 20, Floor: 4 << 20, Notifications: 7}
		all = append(all, measurement{Scene: standard, Contestant: name, Result: r, Done: d, Size: 5 << 20, Requests: sim.Counts{PUTs: 1, GETs: 94}})
	}
	return all
}

func TestStartupReport(t *testing.T) {
	all := append(of(daemon, 30, 90, 40), of(oneByOne, 60, 180, 100)...)
	var stdout strings.Builder
	if err := report.Run(t.Context(), "", "", setupOf(all.reportStartup), nil, &stdout); err != nil {
		t.Fatal(err)
	}
	expect(t, stdout.String(), `
|                 |   median |      p90 | ratio |  to exit |     CPU | peak memory | PUT + GET | notifications |   binary |
| --------------- | -------: | -------: | ----: | -------: | ------: | ----------: | --------: | ------------: | -------: |
| imds-ready      |  40.0 ms |  80.0 ms |  0.50 |  41.0 ms | 20.0 ms |    9.00 MiB |    1 + 94 |             7 | 5.00 MiB |
| SDK, one by one | 100.0 ms | 164.0 ms |  1.00 | 101.0 ms | 50.0 ms |    9.00 MiB |    1 + 94 |             7 | 5.00 MiB |
`)
}

func TestTargets(t *testing.T) {
	base := of(oneByOne, 60, 180, 100)
	large, heavy := of(daemon, 30, 90, 40), of(daemon, 30, 90, 40)
	large[1].Size, heavy[1].Peak = 8<<20+1, 16<<20+1
	lagging := func(gaveUp bool, lag time.Duration) measurements {
		return measurements{{Scene: "late address", Contestant: daemon, Lag: lag, GaveUp: gaveUp}, {Scene: "late address", Contestant: "other", Lag: time.Hour}}
	}
	late := sweep{kinds: []kind{{name: "late address", p90: 50 * time.Millisecond}}, format: ms}
	waiting := func(cpu time.Duration, peak int, stuck bool) measurements {
		r := process.Result{CPU: cpu}
		return measurements{{Scene: refused, Contestant: daemon, Result: r, SYNPeak: peak, Stuck: stuck}, {Scene: refused, Contestant: "other", SYNPeak: 1000}}
	}
	const cpu, rate = "CPU time in 30s, refused", "connections in any one second, refused"
	for _, tc := range []struct {
		name  string
		write func(*report.Report)
		want  string
	}{
		{"startup", func(r *report.Report) { startupTargets(r, append(of(daemon, 30, 90, 40), base...)) }, ""},
		{"slow startup", func(r *report.Report) { startupTargets(r, append(of(daemon, 31, 92, 90), base...)) }, "start to ready, of the SDK's time one by one"},
		{"one large run", func(r *report.Report) { startupTargets(r, append(heavy, base...)) }, "peak memory, the worst run"},
		{"a large program", func(r *report.Report) { startupTargets(r, append(large, base...)) }, "stripped binary"},
		{"soon", func(r *report.Report) { late.report(r, lagging(false, 50*time.Millisecond)) }, ""},
		{"late", func(r *report.Report) { late.report(r, lagging(false, 51*time.Millisecond)) }, "late address, lag p90"},
		{"gave up", func(r *report.Report) { late.report(r, lagging(true, 0)) }, "late address, lag p90"},
		{"frugal", func(r *report.Report) { reportWaiting(r, waiting(50*time.Millisecond, 40, true), 30*time.Second) }, ""},
		{"half of a minute's CPU time", func(r *report.Report) { reportWaiting(r, waiting(51*time.Millisecond, 40, true), 30*time.Second) }, cpu},
		{"a flood", func(r *report.Report) { reportWaiting(r, waiting(0, 41, true), 30*time.Second) }, rate},
		{"not counted", func(r *report.Report) { reportWaiting(r, waiting(0, 0, true), 30*time.Second) }, rate},
		{"ended", func(r *report.Report) { reportWaiting(r, waiting(0, 1, false), 30*time.Second) }, cpu + "; " + rate},
		{"below the limit", func(r *report.Report) {
			reportPackets(r, measurements{{Contestant: daemon, PacketPeak: 1023}, {Contestant: "x", PacketPeak: 5000}})
		}, ""},
		{"at the limit", func(r *report.Report) {
			reportPackets(r, measurements{{Contestant: daemon, PacketPeak: 1024}, {Contestant: daemon}})
		}, "imds-ready, packets in any one second"},
	} {
		if got := missed(t, tc.write); got != tc.want {
			t.Errorf("%s: missed %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestMemoryIsABoundIfTheHarnessHadAsMuch(t *testing.T) {
	all := of("x", 1, 2)
	if got := memory(all); got != "9.00 MiB" {
		t.Errorf("memory %q", got)
	}
	all[0].Floor = 9 << 20
	if got := memory(all); got != "<= 9.00 MiB" {
		t.Errorf("memory %q", got)
	}
}
