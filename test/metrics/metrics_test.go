// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/imds-ready/imds-ready/snapshot"
)

const quick = "[retry]\nmax_attempts = 3\njitter = \"none\"\n"

// TestTextfile runs the daemon once for each way in which it can end.
func TestTextfile(t *testing.T) {
	binary := build(t)
	for _, tt := range []struct {
		name, schedule, config string
		env                    []string
		state                  string
		exit                   int
	}{
		{"ready", "refuse:200ms,503x2,401@getx1,ok", "", nil, snapshot.Ready, 0},
		{"ready with something missing", "403@meta-data/ami-id", "", nil, snapshot.Ready, 0},
		{"failed", "503", quick, nil, snapshot.Failed, 75},
		{"failed on what is not IMDS", "html@get", quick, nil, snapshot.Failed, 76},
		{"disabled", "403@put", "", nil, snapshot.Failed, 69},
		{"degraded", "refuse", quick + "[ready]\non_timeout = \"continue\"\n", nil, snapshot.Degraded, 0},
		{"skipped", "", "", []string{"AWS_EC2_METADATA_DISABLED=true"}, snapshot.Skipped, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := start(t, binary, simulate(t, tt.schedule), tt.config, tt.env...)
			if exit := d.finish(t); exit != tt.exit {
				t.Fatalf("exit code %d, want %d\n%s", exit, tt.exit, d.stderr.String())
			}
			st := d.status(t)
			if st.State != tt.state {
				t.Errorf("state %s, want %s", st.State, tt.state)
			}
			compare(t, parse(t, d.textfile), want(st))
		})
	}
	t.Run("waiting, then terminated by a signal", func(t *testing.T) { waiting(t, binary) })
}

// waiting checks the file while the gate is not decided.
func waiting(t *testing.T, binary string) {
	d := start(t, binary, simulate(t, "hang"), "[retry]\nread_timeout = \"1h\"\n")
	d.await(t)
	st := d.status(t)
	if st.State != snapshot.Waiting {
		t.Fatalf("state %s\n%s", st.State, d.stderr.String())
	}
	st.Requests = 0 // the file was written at the start
	compare(t, parse(t, d.textfile), want(st))
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exit := d.finish(t); exit != 143 {
		t.Fatalf("exit code %d, want 143\n%s", exit, d.stderr.String())
	}
	compare(t, parse(t, d.textfile), want(d.status(t)))
}

// parse reads a file as node_exporter does, and returns the value of each
// series. Every family must be a gauge with a help text. Timestamps are errors,
// because node_exporter would drop the file.
func parse(t *testing.T, file string) map[string]float64 {
	t.Helper()
	if info, err := os.Lstat(file); err != nil || info.Mode() != 0o644 {
		t.Fatalf("%v, %v, want a regular file, 0644", info, err)
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || len(names) != 0 {
		t.Errorf("temporary files remain: %q, %v", names, err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for name, family := range families {
		if family.GetType().String() != "GAUGE" || family.GetHelp() == "" {
			t.Errorf("%s is a %v with the help %q", name, family.GetType(), family.GetHelp())
		}
		for _, m := range family.GetMetric() {
			if m.TimestampMs != nil {
				t.Errorf("%s has a timestamp", name)
			}
			for _, label := range m.GetLabel() {
				name += fmt.Sprintf("{%s=%q}", label.GetName(), label.GetValue())
			}
			if _, twice := series[name]; twice {
				t.Errorf("%s is repeated", name)
			}
			series[name] = m.GetGauge().GetValue()
			name = family.GetName()
		}
	}
	return series
}

// want returns the expected metrics for a status.
func want(st snapshot.Status) map[string]float64 {
	w := map[string]float64{
		"imds_ready_attempts":           float64(st.Attempts),
		"imds_ready_generation":         float64(st.Generation),
		"imds_ready_missing":            float64(len(st.Missing)),
		"imds_ready_requests":           float64(st.Requests),
		"imds_ready_start_time_seconds": float64(st.StartedAt.UnixMilli()) / 1000,
	}
	for _, state := range []string{"waiting", "ready", "degraded", "skipped", "failed"} {
		w[fmt.Sprintf("imds_ready_state{state=%q}", state)] = 0
	}
	w[fmt.Sprintf("imds_ready_state{state=%q}", st.State)] = 1
	for class, n := range st.Errors {
		w[fmt.Sprintf("imds_ready_errors{class=%q}", class)] = float64(n)
	}
	if st.ExitCode != nil {
		w["imds_ready_exit_code"] = float64(*st.ExitCode)
		w["imds_ready_seconds"] = float64(st.Elapsed) / 1e9
	}
	if st.CollectedAt != nil {
		w["imds_ready_collected_time_seconds"] = float64(st.CollectedAt.UnixMilli()) / 1000
	}
	if st.ReadyAt != nil {
		w["imds_ready_ready_time_seconds"] = float64(st.ReadyAt.UnixMilli()) / 1000
	}
	return w
}

// compare compares all series to within 0.0005.
func compare(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[name]; !ok || math.Abs(v-want[name]) > 0.0005 {
			t.Errorf("%s is %v (present: %v), but %v in status.json", name, v, ok, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok || !strings.HasPrefix(name, "imds_ready_") {
			t.Errorf("unexpected series %s", name)
		}
	}
}

// TestWatch compares the metrics of imds-ready watch with its status.
func TestWatch(t *testing.T) {
	d := startCommand(t, "watch", build(t), simulate(t, "ok"), "[watch]\ninterval = \"1h\"\n")
	d.textfile = filepath.Join(filepath.Dir(d.textfile), "imds_ready_watch.prom")
	d.await(t)
	var st snapshot.WatchStatus
	for end := time.Now().Add(runWithin); ; time.Sleep(pollEvery) {
		var err error
		if st, err = snapshot.ReadWatch(d.dir, snapshot.AnyBoot); err != nil {
			t.Fatal(err)
		}
		answered := 0
		for _, p := range st.Paths {
			if p.LastAnswerAt != nil {
				answered++
			}
		}
		data, _ := os.ReadFile(d.textfile) // written after the status
		if answered == 4 && strings.Count(string(data), "imds_ready_watch_answer_time_seconds{") == 4 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d paths are answered: %s", answered, d.stderr.String())
		}
	}
	want := map[string]float64{"imds_ready_watch_start_time_seconds": float64(st.StartedAt.UnixMilli()) / 1000}
	for path, p := range st.Paths {
		want[fmt.Sprintf("imds_ready_watch_answer_time_seconds{path=%q}", path)] = float64(p.LastAnswerAt.UnixMilli()) / 1000
		want[fmt.Sprintf("imds_ready_watch_failing{path=%q}", path)] = 0
		want[fmt.Sprintf("imds_ready_watch_present{path=%q}", path)] = map[bool]float64{true: 1}[p.Present]
	}
	compare(t, parse(t, d.textfile), want)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exit := d.finish(t); exit != 143 {
		t.Errorf("exit code %d\n%s", exit, d.stderr.String())
	}
	if _, err := os.Stat(d.textfile); err == nil {
		t.Error("the metrics remain")
	}
}
