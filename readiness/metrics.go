// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// metric is one gauge. A gauge without samples is omitted: a missing value is
// better than an invented one, which an average would count.
type metric struct {
	name, help string
	samples    []sample
}

// sample is one line of a metric.
type sample struct {
	label, text string // one label and its value; both may be empty
	value       string
}

// metrics is a status as gauges of this boot, sorted by name. There are no
// counters, because each boot starts from zero.
func metrics(st snapshot.Status) []metric {
	return []metric{
		{"imds_ready_attempts", "Attempts to get a required path.", count(st.Attempts)},
		{"imds_ready_errors", "Failed attempts at required paths by class.", counts("class", st.Errors)},
		{"imds_ready_exit_code", "The exit code of imds-ready run; absent while it waits.", optional(st.ExitCode)},
		{"imds_ready_generation", "Successful collections of metadata in this boot.", count(st.Generation)},
		{"imds_ready_missing", "Optional paths that could not be fetched.", count(len(st.Missing) + st.MissingMore)},
		{"imds_ready_ready_time_seconds", "When the unit became ready, in seconds since 1970; absent if it did not.", instant(st.ReadyAt)},
		{"imds_ready_requests", "Requests made, including those for tokens.", count(st.Requests)},
		{"imds_ready_seconds", "Seconds from the start to the decision; absent while it waits.", elapsed(st)},
		{"imds_ready_start_time_seconds", "When the wait began, in seconds since 1970.", instant(st.StartedAt)},
		{"imds_ready_state", "1 for the state of the gate, 0 for every other.", states(st.State)},
	}
}

func count(n int) []sample { return []sample{{value: strconv.Itoa(n)}} }

func optional(n *int) []sample {
	if n == nil {
		return nil
	}
	return count(*n)
}

// counts are the counts of a map, sorted by key.
func counts(label string, m map[string]int) (samples []sample) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		samples = append(samples, sample{label, key, strconv.Itoa(m[key])})
	}
	return samples
}

// instant is a time as status.json has it, to the millisecond.
func instant(t *time.Time) []sample {
	if t == nil {
		return nil
	}
	return []sample{{value: seconds(time.Duration(t.UnixMilli()) * time.Millisecond)}}
}

// elapsed is the time to the decision, once there is one.
func elapsed(st snapshot.Status) []sample {
	if st.State == snapshot.Waiting {
		return nil
	}
	return []sample{{value: seconds(time.Duration(st.Elapsed).Round(time.Millisecond))}}
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

// states has a series for each state, so that a query for any of them has an
// answer.
func states(now string) (samples []sample) {
	for _, state := range []string{snapshot.Degraded, snapshot.Failed, snapshot.Ready, snapshot.Skipped, snapshot.Waiting} {
		value := "0"
		if state == now {
			value = "1"
		}
		samples = append(samples, sample{"state", state, value})
	}
	return samples
}

// exposition prints metrics in the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/). No timestamps:
// node_exporter drops a file that has any.
func exposition(metrics []metric) []byte {
	// In a label's value, and nowhere else, as no help has one of these.
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var b bytes.Buffer
	for _, m := range metrics {
		if len(m.samples) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", m.name, m.help, m.name)
		for _, s := range m.samples {
			b.WriteString(m.name)
			if s.label != "" {
				fmt.Fprintf(&b, `{%s="%s"}`, s.label, escape.Replace(s.text))
			}
			b.WriteString(" " + s.value + "\n")
		}
	}
	return b.Bytes()
}
