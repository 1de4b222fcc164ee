// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
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

// TestBenchmarks runs all benchmarks with few and short trials. It also accepts a kernel that refuses a namespace, and a machine
// without ip(8).
func TestBenchmarks(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	file := filepath.Join(t.TempDir(), "late.json")
	for _, tc := range []struct {
		name, args string
		setup      report.Setup
		wants      string
	}{
		{"startup", "-all -n 1 -warmup 0", Startup, " 1 + 1 | 1 + 94 | 1 + 417 |\n## the whole tree, at 1ms (| imds-ready, GOMAXPROCS=64 "},
		{"lag", "-n 1 -again 2 -shortest 100ms -longest 200ms", Lag(), "## refuse\n|## blackhole\n|## hang\n|## 503\n|## refuse, IPv6 silent\n|cloud-init|hang, lag p50 |hang, lag p90, that of the tuned SDK | 0 of 2 |curl, sleep 1 "},
		{"late", "-n 1 -again 2 -shortest 300ms -longest 400ms -json " + file, Late(), "imds-ready, eager = false |late address, lag p90, of the SDK's time for the tree | 0 of 2 "},
		{"waiting", "-for 2s", Waiting, "CPU time in 2s, refused, a third of the curl loop's |connections in any one second, 503 |sleeping and dialling alone |goes, 10000 times\n"},
		{"refresh", "-n 1", Refresh, "| refresh  |refresh --now |SDK, one by one |files that are touched besides status.json |       0 |       0 | met |bytes in the log"},
		{"watch", "-for 6s -interval 1s", Watch, "| watch |share of one core |peak memory |from a change to its file, the interval and 100 ms | 1.10 s |"},
		{"packets", "-n 1 -interfaces 0", Packets, "imds-ready, as fast |imds-ready, packets in any one second |    1023 | met |"},
	} {
		var stdout strings.Builder
		err := report.Run(t.Context(), tc.name, "Title", tc.setup, strings.Fields(tc.args), &stdout)
		if err != nil && (strings.HasSuffix(err.Error(), "or allow user namespaces") || strings.Contains(err.Error(), "joining two network namespaces") || strings.Contains(err.Error(), `"ip": executable file not found`)) {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		for want := range strings.SplitSeq(tc.wants, "|") {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%s: no %q in\n%s", tc.name, want, stdout.String())
			}
		}
		for line := range strings.Lines(stdout.String()) {
			if strings.Contains(line, " in any one second") && strings.Contains(line, "NOT MET") {
				t.Errorf("%s: too many connections or packets, or none: %s", tc.name, line)
			}
		}
		if b, err := os.ReadFile(file); err == nil && (strings.Count(string(b), `"trials": 1`) != 3 || strings.Contains(string(b), `"p50_seconds": 0,`)) {
			t.Errorf("%s: the lags are %s", tc.name, b)
		}
	}
}

func TestInvalidFlags(t *testing.T) {
	for args, setup := range map[string]report.Setup{
		"-n 0": Startup, "-warmup -1": Startup, "-n 0 ": Lag(), "-again 0": Lag(), "-parallel 0": Lag(), "-shortest 0s": Late(),
		"-shortest 5s": Late(), "-for 0s": Waiting, "-n  0": Packets, "-n 00": Refresh, "-for 2s": Watch, "-interval 1ms": Watch, "-interfaces -1": Packets,
	} {
		if err := report.Run(t.Context(), "", "", setup, strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), "must be") {
			t.Errorf("%s: err = %v", args, err)
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

// TestTrial runs scripts that end in all ways. IMDS is up after 200 ms.
func TestTrial(t *testing.T) {
	for _, tc := range []struct {
		name, script          string
		notifies, required    bool
		gaveUp, stuck, waited bool
		err                   string
	}{
		{name: "gives up", script: "exit 1", gaveUp: true},
		{name: "does not notify", script: "exit 0", notifies: true, gaveUp: true},
		{name: "is stuck", script: "exec sleep 60", stuck: true},
		{name: "is too early", script: "exit 0", err: "before IMDS was up"},
		{name: "waits", script: "sleep 0.3; touch {dir}/product", waited: true},
		{name: "fails", script: "echo sorry; exit 3", required: true, err: "exit code 3; it printed:\nsorry"},
		{name: "leaves nothing", script: "exec sleep 0.3", err: "no such file"},
	} {
		c := contestant{Name: "shell", Path: "/bin/sh", Args: []string{"-c", tc.script}, Notifies: tc.notifies, Product: "product"}
		all, _, err := measure(t.Context(), 1, []trial{{
			Scene: tc.name, Contestants: []contestant{c}, Simulator: []string{"-schedule", "503:200ms,ok"}, Outage: 200 * time.Millisecond,
			Limit: 2 * time.Second, Required: tc.required,
		}})
		if (err == nil) != (tc.err == "") || err != nil && (!strings.HasPrefix(err.Error(), tc.name+": shell: ") || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%s: err = %v, want %q", tc.name, err, tc.err)
		}
		if err == nil && (len(all) != 1 || all[0].GaveUp != tc.gaveUp || all[0].Stuck != tc.stuck || (all[0].Lag > 0) != tc.waited) {
			t.Errorf("%s: %+v", tc.name, all)
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
	s := sweep{outages: 2, again: 2, contestants: []contestant{{Name: daemon}, {Name: "other"}}, kinds: []kind{{name: "503"}}}
	var got []string
	for _, m := range s.trials(2*time.Second, 5*time.Second) {
		got = append(got, m.Contestants[0].Name+" "+m.Simulator[1])
	}
	dual := sweep{outages: 1, again: 1, kinds: []kind{{name: "dual", dual: true}}}.trials(2*time.Second, 2*time.Second)
	if args := strings.Join(dual[0].Simulator, " "); len(dual) != 1 || !dual[0].Network.Both || !strings.HasSuffix(args, "-schedule refuse@ipv4:2s,ok -schedule blackhole@ipv6") {
		t.Errorf("with both families: %+v", dual)
	}
	const want = "imds-ready 503:2s,ok; imds-ready 503:3s,ok; imds-ready 503:4s,ok; imds-ready 503:5s,ok; other 503:2s,ok; other 503:5s,ok"
	if got := strings.Join(got, "; "); got != want {
		t.Errorf("trials %s, want %s", got, want)
	}
}

// written returns the report that a function writes.
func written(t *testing.T, write func(*report.Report)) string {
	t.Helper()
	var stdout strings.Builder
	err := report.Run(t.Context(), "", "", func(*flag.FlagSet) func(context.Context, *report.Report) error {
		return func(_ context.Context, r *report.Report) error {
			write(r)
			return nil
		}
	}, nil, &stdout)
	if err != nil {
		t.Fatal(err)
	}
	return stdout.String()
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
	all[0].Floor = 9 << 20 // makes a peak of as much an upper bound
	const want = `
|                 |   median |      p90 | ratio |  to exit |     CPU | peak memory | PUT + GET | notifications |   binary |
| --------------- | -------: | -------: | ----: | -------: | ------: | ----------: | --------: | ------------: | -------: |
| imds-ready      |  40.0 ms |  80.0 ms |  0.50 |  41.0 ms | 20.0 ms | <= 9.00 MiB |    1 + 94 |             7 | 5.00 MiB |
| SDK, one by one | 100.0 ms | 164.0 ms |  1.00 | 101.0 ms | 50.0 ms |    9.00 MiB |    1 + 94 |             7 | 5.00 MiB |
`
	if got := written(t, all.reportStartup); !strings.HasSuffix(got, want) {
		t.Errorf("report:\n%s\nwant:\n%s", got, want)
	}
}

func TestTargets(t *testing.T) {
	base := of(oneByOne, 60, 180, 100)
	large, heavy := of(daemon, 30, 90, 40), of(daemon, 30, 90, 40)
	large[1].Size, heavy[1].Peak = 8<<20+1, 16<<20+1
	lagging := func(gaveUp bool, lag time.Duration) measurements {
		return measurements{{Scene: "late address", Contestant: daemon, Lag: lag, GaveUp: gaveUp}, {Scene: "late address", Contestant: "other", Lag: time.Hour}}
	}
	late := sweep{kinds: []kind{{name: "late address", p90: 50 * time.Millisecond}}, format: ms}
	crawled := sweep{kinds: []kind{{name: "late address", ofCrawl: 0.9}}, format: ms}
	after := func(lag time.Duration) measurements {
		return append(lagging(false, lag), measurement{Scene: imdsUp, Contestant: oneByOne, Done: 100 * time.Millisecond})
	}
	hanging := sweep{kinds: []kind{{name: "late address", ahead: true}}, format: ms}
	beside := func(lag, tuned time.Duration) measurements {
		return append(lagging(false, lag), measurement{Scene: "late address", Contestant: patientSDK.Name, Lag: tuned})
	}
	waiting := func(cpu time.Duration, peak int, stuck bool) measurements {
		r := process.Result{CPU: cpu}
		return measurements{
			{Scene: refused, Contestant: daemon, Result: r, SYNPeak: peak, Stuck: stuck},
			{Scene: refused, Contestant: "other", SYNPeak: 1000},
			{Scene: refused, Contestant: curl.Name, Result: process.Result{CPU: 300 * time.Millisecond}},
			{Scene: refused, Contestant: dialing, Result: process.Result{CPU: 20 * time.Millisecond}},
		}
	}
	crawl := func(name string, peak, packets int) measurement {
		return measurement{Contestant: name, PacketPeak: peak, Packets: packets, Requests: sim.Counts{GETs: 10}}
	}
	refreshed := func(ms, peak int) measurements {
		m := measurement{Contestant: politeRefresh, Result: process.Result{CPU: time.Duration(ms) * time.Millisecond}, Requests: sim.Counts{Peak: peak}}
		hurried := m
		hurried.Contestant, hurried.CPU, hurried.Requests.Peak = refreshNow, time.Second, 95
		sdk := measurement{Contestant: oneByOne, Result: process.Result{CPU: 100 * time.Millisecond}}
		return measurements{m, hurried, sdk}
	}
	const loops, bare, rate = "CPU time in 30s, refused, a third of the curl loop's", "CPU time in 30s, refused, four times that of " + dialing, "connections in any one second, refused"
	for _, tc := range []struct {
		name  string
		write func(*report.Report)
		want  string
	}{
		{"startup", func(r *report.Report) { startupTargets(r, append(of(daemon, 30, 90, 40), base...)) }, ""},
		{"slow startup", func(r *report.Report) { startupTargets(r, append(of(daemon, 31, 92, 90), base...)) }, standard + ", of the SDK's time one by one"},
		{"one large run", func(r *report.Report) { startupTargets(r, append(heavy, base...)) }, "peak memory, the worst run"},
		{"a large program", func(r *report.Report) { startupTargets(r, append(large, base...)) }, "stripped binary"},
		{"soon", func(r *report.Report) { late.report(r, lagging(false, 50*time.Millisecond)) }, ""},
		{"late", func(r *report.Report) { late.report(r, lagging(false, 51*time.Millisecond)) }, "late address, lag p90"},
		{"gave up", func(r *report.Report) { late.report(r, lagging(true, 0)) }, "late address, lag p90"},
		{"after nine tenths of a crawl", func(r *report.Report) { crawled.report(r, after(90*time.Millisecond)) }, ""},
		{"after a whole crawl", func(r *report.Report) { crawled.report(r, after(91*time.Millisecond)) }, "late address, lag p90, of the SDK's time for the tree"},
		{"level with the SDK", func(r *report.Report) { hanging.report(r, beside(time.Second, time.Second)) }, ""},
		{"behind the SDK", func(r *report.Report) { hanging.report(r, beside(time.Second+1, time.Second)) }, "late address, lag p50, that of the tuned SDK; late address, lag p90, that of the tuned SDK"},
		{"frugal", func(r *report.Report) { reportWaiting(r, waiting(80*time.Millisecond, 40, true), 30*time.Second) }, ""},
		{"more than four dialers", func(r *report.Report) { reportWaiting(r, waiting(81*time.Millisecond, 40, true), 30*time.Second) }, bare},
		{"more than a third of a loop", func(r *report.Report) { reportWaiting(r, waiting(101*time.Millisecond, 40, true), 30*time.Second) }, loops + "; " + bare},
		{"a flood", func(r *report.Report) { reportWaiting(r, waiting(0, 41, true), 30*time.Second) }, rate},
		{"not counted", func(r *report.Report) { reportWaiting(r, waiting(0, 0, true), 30*time.Second) }, rate},
		{"ended", func(r *report.Report) { reportWaiting(r, waiting(0, 1, false), 30*time.Second) }, loops + "; " + bare + "; " + rate},
		{"below the limit", func(r *report.Report) {
			reportPackets(r, measurements{crawl(daemon, 1023, 36), crawl("x", 5000, 36)})
		}, ""},
		{"at the limit", func(r *report.Report) {
			reportPackets(r, measurements{crawl(daemon, 1024, 36), crawl(daemon, 1, 36)})
		}, "imds-ready, packets in any one second"},
		{"at the limit if it is fast", func(r *report.Report) {
			reportPackets(r, measurements{crawl(daemon, 1023, 36), crawl(daemon+", fast", 1024, 36)})
		}, "imds-ready, fast, packets in any one second"},
		{"many packets a request", func(r *report.Report) { reportPackets(r, measurements{crawl(daemon, 1, 37)}) }, "imds-ready, packets a request"},
		{"the document at the SDK's speed", func(r *report.Report) {
			startupTargets(r, measurements{{Scene: standardDocument, Contestant: daemon, Done: 7}, {Scene: standardDocument, Contestant: oneByOne, Done: 7}})
		}, ""},
		{"a slow document", func(r *report.Report) {
			startupTargets(r, measurements{{Scene: standardDocument, Contestant: daemon, Done: 8}, {Scene: standardDocument, Contestant: oneByOne, Done: 7}})
		}, standardDocument + ", of the SDK's time one by one"},
		{"a refresh", func(r *report.Report) { reportRefresh(r, refreshed(130, 20), 0, 0) }, ""},
		{"a costly refresh", func(r *report.Report) { reportRefresh(r, refreshed(131, 20), 0, 0) }, "CPU time of a refresh of 95 paths, of the SDK's, medians"},
		{
			"a refresh that hurries, touches and talks", func(r *report.Report) { reportRefresh(r, refreshed(40, 21), 1, 1) },
			"requests in any one second; files that are touched besides status.json; bytes in the log, of notices and more",
		},
		{"costly changes", func(r *report.Report) {
			reportWaiting(r, measurements{{Scene: changing, Contestant: daemon, Result: process.Result{CPU: time.Second + 1}, SYNPeak: 1, Stuck: true}}, time.Minute)
		}, "CPU time in 1m0s, while the network changes"},
	} {
		var missed []string
		for line := range strings.Lines(written(t, tc.write)) {
			if strings.Contains(line, "| NOT MET |") {
				missed = append(missed, strings.TrimSpace(strings.Split(line, "|")[1]))
			}
		}
		if got := strings.Join(missed, "; "); got != tc.want {
			t.Errorf("%s: missed %q, want %q", tc.name, got, tc.want)
		}
	}
}
