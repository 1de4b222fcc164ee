// SPDX-License-Identifier: Apache-2.0

// Package metrics writes gauges for the textfile collector of Prometheus' node_exporter.
package metrics

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/snapshot"
)

// Metric is one gauge. A gauge without samples is omitted: a missing value is
// better than an invented one, which an average would count.
type Metric struct {
	Name, Help string
	Samples    []Sample
}

// Sample is one line of a metric.
type Sample struct {
	Label, Text string // one label and its value; both may be empty
	Value       string
}

// Hint is what to do about an error of [Write].
const Hint = "the directory of output.textfile must exist and be writable for this user; under systemd, name it in ReadWritePaths="

// Write replaces the file at path, mode 0644, whose directory must exist: only its owner
// knows who may read it. Metrics are read from files that end in ".prom", which the
// temporary file does not.
func Write(path string, all []Metric) error {
	dir, name := filepath.Split(path)
	root, err := os.OpenRoot(dir)
	if err == nil {
		defer root.Close()
		err = atomicfile.Write(root, name, exposition(all), 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Gate is a status as gauges of this boot, sorted by name. There are no counters, because
// each boot starts from zero.
func Gate(st snapshot.Status) []Metric {
	return []Metric{
		{"imds_ready_attempts", "Attempts to get a required path.", count(st.Attempts)},
		{"imds_ready_collected_time_seconds", "When the metadata was collected last, in seconds since 1970; absent if it was not.", instant(st.CollectedAt)},
		{"imds_ready_errors", "Failed attempts at required paths by class.", counts("class", st.Errors)},
		{"imds_ready_exit_code", "The exit code of imds-ready run; absent while it waits.", optional(st.ExitCode)},
		{"imds_ready_generation", "Successful collections of metadata in this boot.", count(st.Generation)},
		{"imds_ready_missing", "Optional paths that could not be fetched.", count(len(st.Missing) + st.MissingMore)},
		{"imds_ready_ready_time_seconds", "When the unit became ready, in seconds since 1970; absent if it did not.", instant(st.ReadyAt)},
		{"imds_ready_requests", "Requests made, including those for tokens.", count(st.Requests)},
		{"imds_ready_seconds", "Seconds from the start to the decision; absent while it waits.", elapsed(st)},
		{"imds_ready_stale_time_seconds", "When the first refresh after the last successful one failed, in seconds since 1970; absent if none did.", instant(st.StaleSince)},
		{"imds_ready_start_time_seconds", "When the wait began, in seconds since 1970.", instant(st.StartedAt)},
		{"imds_ready_state", "1 for the state of the gate, 0 for every other.", states(st.State)},
	}
}

// Watch is the status of `imds-ready watch` as gauges, sorted by name.
func Watch(st snapshot.WatchStatus) []Metric {
	var answered, failing, present []Sample
	for _, path := range slices.Sorted(maps.Keys(st.Paths)) {
		p := st.Paths[path]
		failing = append(failing, Sample{"path", path, truth(p.Class != nil)})
		present = append(present, Sample{"path", path, truth(p.Present)})
		for _, at := range instant(p.LastAnswerAt) {
			answered = append(answered, Sample{"path", path, at.Value})
		}
	}
	return []Metric{
		{"imds_ready_watch_answer_time_seconds", "When IMDS last answered a request for the path, in seconds since 1970; absent if it did not.", answered},
		{"imds_ready_watch_failing", "1 if the last request for the path failed, 0 otherwise.", failing},
		{"imds_ready_watch_present", "1 if the watched path exists, 0 otherwise.", present},
		{"imds_ready_watch_start_time_seconds", "When imds-ready watch was started, in seconds since 1970.", instant(&st.StartedAt)},
	}
}

func truth(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func count(n int) []Sample { return []Sample{{Value: strconv.Itoa(n)}} }

func optional(n *int) []Sample {
	if n == nil {
		return nil
	}
	return count(*n)
}

// counts are the counts of a map, sorted by key.
func counts(label string, m map[string]int) (samples []Sample) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		samples = append(samples, Sample{label, key, strconv.Itoa(m[key])})
	}
	return samples
}

// instant is a time as status.json has it, to the millisecond.
func instant(t *time.Time) []Sample {
	if t == nil {
		return nil
	}
	return []Sample{{Value: seconds(time.Duration(t.UnixMilli()) * time.Millisecond)}}
}

// elapsed is the time to the decision, once there is one.
func elapsed(st snapshot.Status) []Sample {
	if st.State == snapshot.Waiting {
		return nil
	}
	return []Sample{{Value: seconds(time.Duration(st.Elapsed).Round(time.Millisecond))}}
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

// states has a series for each state, so that a query for any of them has an
// answer.
func states(now string) (samples []Sample) {
	for _, state := range []string{snapshot.Degraded, snapshot.Failed, snapshot.Ready, snapshot.Skipped, snapshot.Waiting} {
		samples = append(samples, Sample{"state", state, truth(state == now)})
	}
	return samples
}

// exposition prints metrics in the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/). No timestamps:
// node_exporter drops a file that has any.
func exposition(metrics []Metric) []byte {
	// In a label's value, and nowhere else, as no help has one of these.
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var b bytes.Buffer
	for _, m := range metrics {
		if len(m.Samples) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", m.Name, m.Help, m.Name)
		for _, s := range m.Samples {
			b.WriteString(m.Name)
			if s.Label != "" {
				fmt.Fprintf(&b, `{%s="%s"}`, s.Label, escape.Replace(s.Text))
			}
			b.WriteString(" " + s.Value + "\n")
		}
	}
	return b.Bytes()
}
