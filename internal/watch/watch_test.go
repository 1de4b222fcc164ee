// SPDX-License-Identifier: Apache-2.0

package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/internal/paths"
)

// A path appears, changes and disappears: its file does the same within an interval.
func TestFileFollowsPath(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.sim.Changes = []imdstest.Change{
		{Path: spot, At: 31 * time.Second, Body: "{}"},
		{Path: spot, At: 61 * time.Second, Body: "[]\n"},
	}
	tr.sim.Gone = map[string]time.Duration{spot: 91 * time.Second}
	tr.run(t, func(t *testing.T) {
		for _, step := range []struct {
			at     time.Duration
			body   string
			exists bool
		}{
			{time.Second, "", false},
			{30999 * time.Millisecond, "", false},
			{36 * time.Second, "{}", true},
			{66 * time.Second, "[]\n", true},
			{96 * time.Second, "", false},
		} {
			tr.until(step.at)
			if body, exists := tr.file(t, spot); body != step.body || exists != step.exists {
				t.Errorf("at %v: %q, %v", step.at, body, exists)
			}
			st := tr.status(t, spot)
			if st.Present != step.exists || st.Class != nil || st.LastAnswerAt == nil || (st.ChangedAt != nil) != (step.at > 31*time.Second) {
				t.Errorf("at %v: %+v", step.at, st)
			}
		}
	})
	if body, exists := tr.file(t, state); body != "InService" || !exists {
		t.Errorf("the file of a path that exists does not remain: %q", body)
	}
	if n := len(tr.logged(spot + " has appeared")); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// Bodies are written as they are served, up to the limit. An empty one is valid, such as the
// value of a tag, except in place of a document.
func TestBodies(t *testing.T) {
	for _, tt := range []struct{ name, schedule, want string }{
		{"not UTF-8", "utf8", "InService\xff\xfe"},
		{"empty", "empty", ""},
		{"no content", "204", ""},
		{"256 KiB", "big=262144", big(256 << 10)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, tt.schedule+"@get")
			tr.Paths = append(tr.Paths, paths.Identity)
			tr.run(t, func(t *testing.T) {
				tr.until(time.Second)
				if _, exists := tr.file(t, paths.Identity); exists != (tt.name == "not UTF-8") {
					t.Errorf("a document: exists %v", exists)
				}
				body, exists := tr.file(t, state)
				if !exists || tt.name != "not UTF-8" && body != tt.want || !strings.HasPrefix(body, tt.want[:min(9, len(tt.want))]) {
					t.Errorf("%d bytes, exists %v", len(body), exists)
				}
			})
		})
	}
}

// Nothing, or a page, in place of a document is a failed request: it changes no file, and
// drain.path does not drain the machine.
func TestDocumentsAreJSON(t *testing.T) {
	for _, fault := range []string{"empty", "204", "html"} {
		t.Run(fault, func(t *testing.T) {
			tr := newTrial(t, "ok")
			tr.Paths = append(tr.Paths, paths.Identity)
			for _, path := range []string{spot, paths.Identity} {
				tr.sim.Also(imdstest.MustSchedule(fault + "@" + path + ":1m,ok")...)
			}
			tr.sim.Changes = []imdstest.Change{{Path: spot, At: 0, Body: `{"action": "stop"}`}}
			tr.run(t, func(t *testing.T) {
				tr.until(30 * time.Second)
				for _, path := range []string{spot, paths.Identity} {
					if body, exists := tr.file(t, path); exists {
						t.Errorf("%s: %q", path, body)
					}
					if st := tr.status(t, path); st.Class == nil || *st.Class != "bad-response" || st.Present || st.LastAnswerAt != nil {
						t.Errorf("%s: %+v", path, st)
					}
				}
				tr.until(66 * time.Second)
				for path, want := range map[string]string{spot: `{"action": "stop"}`, paths.Identity: ""} {
					if body, exists := tr.file(t, path); !exists || !strings.HasPrefix(body, want) {
						t.Errorf("%s after the fault: %q, exists %v", path, body, exists)
					}
				}
			})
		})
	}
}

// A failure changes no file, and its class is in the status.
func TestFailureChangesNoFile(t *testing.T) {
	for _, tt := range []struct{ fault, class string }{
		{"403", "403"},
		{"403@put", "disabled"},
		{"404@put", "404"},
		{"500", "500"},
		{"hang@get", "read-timeout"},
		{"refuse", "connection-refused"},
		{"blackhole", "connect-timeout"},
		{"unreachable", "unreachable"},
		{"big=262145@get", "too-large"},
		{"redirect@get", "bad-response"},
		{"reset@get", "connection-reset"},
		{"truncate@get", "connection-reset"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			tr := newTrial(t, "ok:1s,"+tt.fault+":1m,ok")
			if strings.HasSuffix(tt.fault, "@put") {
				tr.Client.TokenTTL = time.Second
			}
			tr.sim.Changes = []imdstest.Change{{Path: state, At: 2 * time.Second, Body: "Terminating:Wait"}}
			tr.run(t, func(t *testing.T) {
				tr.until(45 * time.Second)
				if body, _ := tr.file(t, state); body != "InService" {
					t.Errorf("%q", body)
				}
				if st := tr.status(t, state); st.Class == nil || *st.Class != tt.class || !st.Present {
					t.Errorf("%+v", st)
				}
				tr.until(67 * time.Second)
				if body, _ := tr.file(t, state); body != "Terminating:Wait" {
					t.Errorf("after the fault: %q", body)
				}
			})
		})
	}
}

// An hour without answers: the files stay, one warning after a minute, and one line when
// IMDS is back.
func TestHourWithoutAnswers(t *testing.T) {
	for _, fault := range []string{"403", "403@put", "hang", "hang@get", "unreachable", "blackhole", "503"} {
		t.Run(fault, func(t *testing.T) {
			tr := newTrial(t, "ok:10s,"+fault+":1h,ok")
			if strings.HasSuffix(fault, "@put") {
				tr.Client.TokenTTL = time.Second
			}
			tr.sim.Gone = map[string]time.Duration{state: time.Minute}
			tr.run(t, func(t *testing.T) {
				tr.until(time.Hour)
				if body, _ := tr.file(t, state); body != "InService" {
					t.Errorf("%q", body)
				}
				tr.until(time.Hour + time.Minute)
				if _, exists := tr.file(t, state); exists {
					t.Error("the file remains after IMDS is back")
				}
			})
			warned, back := tr.logged("level=WARN"), tr.logged("IMDS answers again")
			if len(warned) != 1 || warned[0] < 70*time.Second || warned[0] > 86*time.Second {
				t.Errorf("warnings at %v", warned)
			}
			if len(back) != 1 || back[0] < time.Hour+10*time.Second || back[0] > time.Hour+25*time.Second {
				t.Errorf("back at %v", back)
			}
			if n := len(tr.lines); n > 8 {
				t.Errorf("%d lines", n)
			}
		})
	}
}

// One path without an answer does not delay the others, and a second warning tells that
// all have none.
func TestSilenceOfOnePath(t *testing.T) {
	tr := newTrial(t, "ok:10m,hang:5m,ok")
	tr.sim.Also(imdstest.MustSchedule("hang@" + spot + ":20m,ok")...)
	tr.sim.Changes = []imdstest.Change{{Path: state, At: 5 * time.Minute, Body: "Terminating:Wait"}}
	tr.run(t, func(t *testing.T) {
		tr.until(5*time.Minute + 5*time.Second + 100*time.Millisecond)
		if body, _ := tr.file(t, state); body != "Terminating:Wait" {
			t.Errorf("%q", body)
		}
		tr.until(25 * time.Minute)
	})
	for text, n := range map[string]int{
		"to the requests for " + spot + " for": 1, "to any request for": 1, "again, except for " + spot: 1, "IMDS answers again\"": 1, "level=WARN": 2,
	} {
		if got := tr.logged(text); len(got) != n {
			t.Errorf("%q is logged at %v, want %d times", text, got, n)
		}
	}
}

// Files that cannot be written are no silence of IMDS: the warning, its hint, STATUS= and
// the status say which of the two it is, also if one follows the other.
func TestFilesCannotBeWritten(t *testing.T) {
	tr := newTrial(t, "ok:10m,503:10m,ok")
	tr.sim.Changes = []imdstest.Change{{Path: spot, At: 0, Body: "{}"}}
	tr.run(t, func(t *testing.T) {
		tr.until(time.Second)
		for _, path := range []string{spot, state} {
			name := filepath.Join(tr.Dir, "watch", path)
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			plant(t, name, "x", "")
		}
		tr.until(5 * time.Minute)
		for _, path := range []string{spot, state} {
			st := tr.status(t, path)
			if st.Class == nil || *st.Class != "cannot-write" || st.LastAnswerAt == nil || time.Since(*st.LastAnswerAt) > 70*time.Second {
				t.Errorf("%+v", st)
			}
		}
		tr.until(15 * time.Minute)
		for _, path := range []string{spot, state} {
			if st := tr.status(t, path); st.Class == nil || *st.Class != "503" {
				t.Errorf("%+v", st)
			}
			if err := os.RemoveAll(filepath.Join(tr.Dir, "watch", path)); err != nil {
				t.Fatal(err)
			}
		}
		tr.until(21 * time.Minute)
		if body, _ := tr.file(t, state); body != "InService" {
			t.Errorf("%q", body)
		}
	})
	for text, at := range map[string]time.Duration{
		"msg=\"cannot write the file of " + spot + ", " + state + " for 1 min":                       time.Minute,
		"hint=\"look for a full or read-only file system at " + filepath.Join(tr.Dir, "watch") + ",": time.Minute,
		"the files can be written again":               20 * time.Minute,
		"no answer from IMDS to any request for 1 min": 11 * time.Minute, "IMDS answers again": 20 * time.Minute,
	} {
		if got := tr.logged(text); len(got) != 1 || got[0] < at || got[0] > at+20*time.Second {
			t.Errorf("%q is logged at %v", text, got)
		}
	}
	if n := len(tr.logged("level=WARN")); n != 2 {
		t.Errorf("%d warnings", n)
	}
	if !contains(tr.notes, "STATUS=cannot write the file of "+spot+", "+state) {
		t.Errorf("%v", tr.notes)
	}
}

// Paths without an answer delay another path in the first round only.
func TestFailedPathsComeLast(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.Paths, tr.Timeouts.Read = nil, 2*time.Second
	for i := range 31 {
		path := fmt.Sprintf("meta-data/tags/instance/%02d", i)
		tr.Paths = append(tr.Paths, path)
		tr.sim.Also(imdstest.MustSchedule("hang@" + path)...)
	}
	tr.Paths = append(tr.Paths, spot)
	tr.run(t, func(t *testing.T) { tr.until(time.Minute) })
	asked := tr.rounds(spot)
	if len(asked) != 4 {
		t.Fatalf("it is asked at %v", asked)
	}
	for i, at := range asked[1:] {
		if got, want := len(tr.requestsBefore(at)), (i+1)*32; got != want {
			t.Errorf("round %d: %d requests come before, want %d", i+2, got, want)
		}
	}
}

// News of the network makes the next round immediate, but not more than one within a
// second while IMDS answers.
func TestNews(t *testing.T) {
	for _, tt := range []struct {
		name, schedule string
		news           []time.Duration
		want           []time.Duration // of rounds, for a minute
	}{
		{"answers", "ok", []time.Duration{10 * time.Second}, []time.Duration{10 * time.Second}},
		{"a flood", "ok", []time.Duration{1, 2, 3, 4, 5, 6}, []time.Duration{0, time.Second}},
		{"back", "unreachable:7m,ok", []time.Duration{7 * time.Minute}, []time.Duration{7 * time.Minute}},
		{ // the address comes before its route
			"a burst", "unreachable:420001ms,ok",
			[]time.Duration{7 * time.Minute, 7*time.Minute + 300*time.Microsecond, 7*time.Minute + time.Millisecond},
			[]time.Duration{7 * time.Minute, 7*time.Minute + 13*time.Millisecond},
		},
		{"during a request", "blackhole:60100ms,ok", []time.Duration{60100 * time.Millisecond}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, tt.schedule)
			tr.Interval = time.Hour
			tr.News = func(ctx context.Context) (<-chan struct{}, error) {
				c := make(chan struct{}, 1)
				go func() {
					defer close(c)
					for _, at := range tt.news {
						select {
						case <-time.After(at - time.Since(tr.start)):
							c <- struct{}{}
						case <-ctx.Done():
							return
						}
					}
					<-ctx.Done()
				}()
				return c, nil
			}
			tr.run(t, func(t *testing.T) { tr.until(8 * time.Minute) })
			rounds := map[time.Duration]bool{}
			for _, at := range tr.rounds("SYN") {
				rounds[at.Truncate(time.Millisecond)] = true
			}
			for _, at := range tt.want {
				if !rounds[at] {
					t.Errorf("no round at %v: %v", at, rounds)
				}
			}
			if strings.HasPrefix(tt.schedule, "ok") && len(rounds) != 2 {
				t.Errorf("rounds at %v", rounds)
			}
		})
	}
}

// A day of polling: no round is early or late, no token expires, and nothing grows. It
// makes more than 36,000 requests.
func TestDay(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.sim.Forget = true
	var mu sync.Mutex
	// The records of the test itself have their size from the start.
	starts := make([]time.Duration, 0, 20_000)
	tr.notes = make([]line, 0, 20_000)
	requests, puts := 0, 0
	tr.sim.OnRequest = func(r imdstest.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Kind == "PUT":
			puts++
		case r.Kind == "GET":
			requests++
			if r.Path == tr.Paths[0] {
				starts = append(starts, r.At)
			}
			if r.Status != 200 && r.Status != 404 {
				t.Errorf("%s at %v: %d", r.Path, r.At, r.Status)
			}
		}
	}
	made := func() int {
		mu.Lock()
		defer mu.Unlock()
		return requests
	}
	type size struct{ goroutines, descriptors, heap int }
	measure := func() size {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return size{runtime.NumGoroutine(), len(open), int(m.HeapAlloc)}
	}
	const day = 24 * time.Hour
	tr.run(t, func(t *testing.T) {
		tr.until(12 * time.Second)
		early := measure()
		if n := made(); n != 6 {
			t.Errorf("%d requests so far", n)
		}
		tr.until(day)
		late := measure()
		if late.goroutines != early.goroutines || late.descriptors != early.descriptors || late.heap > early.heap+1<<18 {
			t.Errorf("at first %+v, after %d requests %+v", early, made(), late)
		}
	})
	if requests < 36_000 {
		t.Errorf("only %d requests", requests)
	}
	var sum time.Duration
	for i, at := range starts[1:] {
		pause := at - starts[i]
		if sum += pause; pause < 4500*time.Millisecond || pause > 5*time.Second+time.Millisecond {
			t.Errorf("round %d comes %v after the one before", i+1, pause)
		}
	}
	if mean := sum / time.Duration(len(starts)-1); mean < 4740*time.Millisecond || mean > 4760*time.Millisecond {
		t.Errorf("the mean pause is %v", mean)
	}
	if puts != 5 { // the lifetime is 6 h, and a token is renewed 2 min early
		t.Errorf("%d tokens", puts)
	}
	beats, last := 0, time.Duration(0)
	for _, n := range tr.notes {
		if n.text == "WATCHDOG=1" {
			if beats++; n.at-last > 10*time.Second {
				t.Errorf("the watchdog is fed at %v and %v", last, n.at)
			}
			last = n.at
		}
	}
	if beats != 8640 && beats != 8639 {
		t.Errorf("%d heartbeats", beats)
	}
}

// READY=1 comes after the first round, however it went, and the heartbeat goes on inside
// a request.
func TestNotifications(t *testing.T) {
	for _, tt := range []struct {
		schedule string
		ready    time.Duration
		status   string
	}{
		{"ok", 0, "STATUS=watching 2 paths, of which 1 exist"},
		{"hang", 2 * time.Second, "STATUS=no answer from IMDS to any request"},
		{"403", 0, "(disabled)"},
	} {
		t.Run(tt.schedule, func(t *testing.T) {
			tr := newTrial(t, tt.schedule)
			tr.Timeouts.Read = time.Hour
			if tt.ready > 0 {
				tr.Timeouts.Read = tt.ready
			}
			tr.run(t, func(t *testing.T) { tr.until(time.Minute) })
			first := tr.notes[0]
			if !strings.HasPrefix(first.text, "READY=1\n") || !strings.Contains(first.text, tt.status) || first.at.Round(time.Second) != tt.ready {
				t.Errorf("at %v: %q", first.at, first.text)
			}
			if !contains(tr.notes, "WATCHDOG=1") {
				t.Error("no heartbeat")
			}
		})
	}
}

// STATUS= follows the state, and is sent only when it changes. One that could not be sent
// is sent after the next round.
func TestStatusIsNotified(t *testing.T) {
	tr := newTrial(t, "refuse:3s,ok:57s,503:5m,ok")
	tr.sim.Changes = []imdstest.Change{{Path: spot, At: 21 * time.Second, Body: "{}"}}
	notify, lost := tr.Notify, 0
	tr.Notify = func(state string) error {
		if strings.Contains(state, "of which 2") && lost == 0 {
			lost++
			return errors.New("no buffer space")
		}
		return notify(state)
	}
	tr.run(t, func(t *testing.T) { tr.until(time.Hour) })
	var got []string
	var at []time.Duration
	for _, n := range tr.notes {
		if n.text != "WATCHDOG=1" {
			got, at = append(got, n.text), append(at, n.at)
		}
	}
	want := []string{
		"READY=1\nSTATUS=no answer from IMDS to any request (connection-refused)",
		"STATUS=watching 2 paths, of which 1 exist", "STATUS=watching 2 paths, of which 2 exist",
		"STATUS=no answer from IMDS to any request (503)", "STATUS=watching 2 paths, of which 2 exist",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for i, limit := range []time.Duration{0, 6 * time.Second, 32 * time.Second, 66 * time.Second, 366 * time.Second} {
		if at[i] > limit {
			t.Errorf("%q at %v", got[i], at[i])
		}
	}
}

// A request is cut after 10 s, whatever read_timeout is.
func TestLongTimeouts(t *testing.T) {
	tr := newTrial(t, "hang:1m,ok")
	tr.Timeouts.Read = time.Hour
	tr.run(t, func(t *testing.T) {
		tr.until(71 * time.Second)
		if body, _ := tr.file(t, state); body != "InService" {
			t.Errorf("%q", body)
		}
	})
}

// While requests fail, a long interval is 10 s.
func TestLongInterval(t *testing.T) {
	tr := newTrial(t, "refuse:2m,ok")
	tr.Interval = time.Hour
	tr.run(t, func(t *testing.T) {
		tr.until(2*time.Minute + 10*time.Second)
		if body, _ := tr.file(t, state); body != "InService" {
			t.Errorf("%q", body)
		}
		tr.until(63 * time.Minute)
	})
	if n := len(tr.rounds(state)); n != 2 {
		t.Errorf("%d requests were answered within an hour", n)
	}
}

// A path that changes with every round is written each time, and is not in the log each
// time.
func TestFlapping(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.Interval = time.Second
	for i := range 600 {
		tr.sim.Changes = append(tr.sim.Changes, imdstest.Change{Path: spot, At: time.Duration(i) * time.Second, Body: strings.Repeat("1", 1+i%7)})
	}
	tr.run(t, func(t *testing.T) {
		for i := range 600 {
			tr.until(time.Duration(i)*time.Second + 999*time.Millisecond)
			if body, exists := tr.file(t, spot); !exists || len(body) != 1+i%7 && len(body) != 1+(i+6)%7 {
				t.Fatalf("after %d s: %q", i, body)
			}
		}
	})
	if n := len(tr.lines); n > 32 {
		t.Errorf("%d lines in ten minutes", n)
	}
}

// status.json is rewritten at least every minute, and on every change.
func TestStatusIsRewritten(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.run(t, func(t *testing.T) {
		var at []time.Time
		for i := range 10 {
			tr.until(time.Duration(i)*time.Minute + 100*time.Millisecond)
			st := tr.status(t, state)
			if len(at) > 0 && st.LastAnswerAt.Sub(at[len(at)-1]) < 45*time.Second {
				t.Errorf("after %d min it is %v old", i, time.Since(*st.LastAnswerAt))
			}
			at = append(at, *st.LastAnswerAt)
		}
	})
}

// The metrics are beside those of the gate, and go with the process.
func TestMetrics(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.Textfile = filepath.Join(t.TempDir(), "imds_ready.prom")
	file := filepath.Join(filepath.Dir(tr.Textfile), "imds_ready_watch.prom")
	golden, err := os.ReadFile("testdata/imds_ready_watch.prom") // test/metrics compares it with doc/examples
	if err != nil {
		t.Fatal(err)
	}
	plant(t, tr.Dir, "watch/.lock", bootID)
	plant(t, tr.Dir, "watch/"+state, "InService")
	tr.sim.Also(imdstest.MustSchedule("503@" + state)...)
	tr.run(t, func(t *testing.T) {
		tr.until(time.Second)
		if data, err := os.ReadFile(file); err != nil || string(data) != string(golden) {
			t.Errorf("%v, got\n%swant\n%s", err, data, golden)
		}
	})
	if _, err := os.Stat(file); err == nil {
		t.Error("the metrics remain")
	}
	tr = newTrial(t, "ok")
	tr.Textfile = "/nowhere/imds_ready.prom"
	tr.run(t, func(t *testing.T) { tr.until(10 * time.Minute) })
	if n := len(tr.logged("writing the metrics")); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// If the directory is removed or replaced, the next round writes all files again, with one
// line in the log.
func TestDirectoryIsReplaced(t *testing.T) {
	remove := func(dir string) error { return os.RemoveAll(filepath.Join(dir, "watch")) }
	for _, tt := range []struct {
		name, why string
		breaks    func(dir string) error
	}{
		{"watch is removed", "watch was removed", remove},
		{"watch is replaced", "watch was moved or mounted over", func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "watch"), filepath.Join(dir, "elsewhere")), os.Mkdir(filepath.Join(dir, "watch"), 0o700))
		}},
		{"everything is removed", "watch was removed", func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) }},
	} {
		for _, interval := range []time.Duration{5 * time.Second, time.Hour} {
			t.Run(tt.name+", every "+interval.String(), func(t *testing.T) {
				tr := newTrial(t, "ok")
				tr.Interval = interval
				tr.sim.Gone = map[string]time.Duration{state: 35 * time.Second}
				tr.run(t, func(t *testing.T) {
					tr.until(6 * time.Second)
					if err := tt.breaks(tr.Dir); err != nil {
						t.Fatal(err)
					}
					tr.until(16 * time.Second)
					if body, exists := tr.file(t, state); body != "InService" || !exists {
						t.Errorf("%q, exists %v", body, exists)
					}
					if st := tr.status(t, state); !st.Present || st.Class != nil || st.ChangedAt.Before(tr.start.Add(6*time.Second)) {
						t.Errorf("%+v", st)
					}
					tr.until(36 * time.Second)
					if err := remove(tr.Dir); err != nil { // the path is gone, too
						t.Fatal(err)
					}
					tr.until(46 * time.Second)
					if st := tr.status(t, state); st.Present || st.ChangedAt == nil {
						t.Errorf("%+v", st)
					}
				})
				for text, n := range map[string]int{"writing all files again": 2, state + " has appeared": 1, state + " is gone": 1} {
					if got := tr.logged(text); len(got) != n {
						t.Errorf("%q is logged at %v, want %d times", text, got, n)
					}
				}
				if len(tr.logged("writing all files again, because "+filepath.Join(tr.Dir, tt.why))) == 0 {
					t.Error("the reason is not logged")
				}
				if n := len(tr.rounds(state)); interval == time.Hour && n != 3 {
					t.Errorf("%d rounds", n)
				}
			})
		}
	}
}

// If the directory is removed inside a round, the first answers of the round are lost, and
// the next round follows soon.
func TestDirectoryIsReplacedInsideRound(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.Interval, tr.Timeouts.Read = time.Hour, time.Hour
	tr.sim.Also(imdstest.MustSchedule("hang@" + spot + ":30s,ok")...)
	tr.run(t, func(t *testing.T) {
		tr.until(time.Second)
		if body, _ := tr.file(t, state); body != "InService" {
			t.Errorf("%q", body)
		}
		tr.until(9 * time.Second)
		if err := os.RemoveAll(filepath.Join(tr.Dir, "watch")); err != nil {
			t.Fatal(err)
		}
		tr.until(20*time.Second + 100*time.Millisecond)
		if body, _ := tr.file(t, state); body != "InService" {
			t.Errorf("after the round: %q", body)
		}
	})
}

// If the directory cannot be opened again, the watcher ends, so that systemd starts it
// again and creates the directory above.
func TestDirectoryIsLost(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		breaks     func(tr *trial) error
	}{
		{"everything is removed", "watch was removed, and cannot be opened again: ", func(tr *trial) error { return os.RemoveAll(tr.Dir) }},
		{"a link", "watch is not a directory of user", func(tr *trial) error {
			watch, elsewhere := filepath.Join(tr.Dir, "watch"), filepath.Join(tr.Dir, "elsewhere")
			return errors.Join(os.Rename(watch, elsewhere), os.Symlink("elsewhere", watch))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, "ok")
			ended := ""
			tr.Notify = nil
			syncRun(t, tr, func() {
				tr.until(6 * time.Second)
				if err := tt.breaks(tr); err != nil {
					t.Error(err)
				}
				tr.until(11 * time.Second)
			}, &ended)
			if !strings.Contains(ended, tt.want) {
				t.Errorf("it ended with %q", ended)
			}
		})
	}
}

// A status that cannot be written is one warning with a hint, and is written when it can be.
func TestStatusCannotBeWritten(t *testing.T) {
	tr := newTrial(t, "ok")
	tr.run(t, func(t *testing.T) {
		tr.until(time.Second)
		name := filepath.Join(tr.Dir, "watch", "status.json")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		plant(t, name, "x", "")
		tr.until(5 * time.Minute)
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		tr.until(6 * time.Minute)
		tr.status(t, state)
	})
	hint := "hint=\"look for a full or read-only file system at " + filepath.Join(tr.Dir, "watch")
	if all, hinted := tr.logged("level=WARN"), tr.logged(hint); len(all) != 1 || len(hinted) != 1 {
		t.Errorf("warnings at %v, with the hint at %v", all, hinted)
	}
}

// Files of another umask, mode or content are put right.
func TestFileIsRepaired(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	tr := newTrial(t, "ok")
	tr.run(t, func(t *testing.T) {
		tr.until(time.Second)
		name := filepath.Join(tr.Dir, "watch", state)
		for _, breaks := range []func() error{
			func() error { return os.Chmod(name, 0o600) },
			func() error { return os.WriteFile(name, []byte("other"), 0o644) },
			func() error { return os.RemoveAll(filepath.Dir(name)) },
			func() error {
				return os.Remove(name)
			},
		} {
			if err := breaks(); err != nil {
				t.Error(err)
			}
			tr.until(time.Since(tr.start) + 6*time.Second)
			if body, exists := tr.file(t, state); body != "InService" || !exists {
				t.Errorf("%q, exists %v", body, exists)
			}
		}
		if info, err := os.Stat(filepath.Dir(name)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
}
