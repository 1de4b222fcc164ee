// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// faultNames are faults of the simulator, at least one of each kind. The key is the exit code
// of the daemon if every answer has the fault.
var faultNames = map[int][]string{
	0:  {"slow=20ms", "chunked", "ttl=99999999999999999999", "self-listing", "dotdot"},
	69: {"403"},
	75: {
		"refuse", "blackhole", "400", "401", "404", "405", "410", "418", "429;retry-after=1", "500", "502", "503;retry-after=99999999999", "504", "100",
		"hang", "reset", "close", "truncate", "reset-body", "stall", "drip=5ms",
	},
	76: {
		"204", "301", "304", "garbage", "html", "redirect", "empty", `body="x"`, "big=1000000", "utf8", "bigheaders", "interim=1000", "badtoken", "nottl", "ttl=0",
	},
}

// noPath are the faults of connections and tokens, which cannot be limited to certain paths.
var noPath = []string{"refuse", "blackhole", "badtoken", "nottl", "ttl=99999999999999999999", "ttl=0"}

// faults runs the daemon and the readers against each fault of the simulator in every answer.
// The long form also does so with the fault only in the answers below meta-data/.
func (t *torture) faults(ctx context.Context) {
	deadline := 2 * time.Second
	if t.short {
		deadline = 700 * time.Millisecond
	}
	var all []func()
	for exit, faults := range faultNames {
		for _, fault := range faults {
			if !strings.Contains(fault, t.match) {
				continue
			}
			all = append(all, func() { t.fault(ctx, fault, exit, deadline) })
			if !t.short && !slices.Contains(noPath, fault) {
				all = append(all, func() { t.fault(ctx, fault+"@meta-data/**", 0, deadline) })
			}
		}
	}
	inParallel(all)
}

// simulate starts a simulator on loopback. The caller closes it.
func simulate(schedule ...imdstest.Phase) (sim *imdstest.Server, url string, err error) {
	sim = imdstest.New(imdstest.DefaultTree(), schedule...)
	sim.Forget = true
	url, err = sim.Listen("127.0.0.1:0")
	return sim, url, err
}

// fault runs the daemon and the readers against one schedule of faults.
func (t *torture) fault(ctx context.Context, schedule string, exit int, deadline time.Duration) {
	phases, err := imdstest.ParseSchedule(schedule)
	if err != nil {
		t.fact(false, "%s: %v", schedule, err)
		return
	}
	sim, url, err := simulate(phases...)
	if err != nil {
		t.fact(false, "%s: %v", schedule, err)
		return
	}
	defer sim.Close()
	p := t.newPlace(url, fmt.Sprintf(`retry.deadline = "%v"
metadata.collect_deadline = "%[1]v"
metadata.concurrency = 16
metadata.requests_per_second = 200
`, deadline))
	defer p.remove()
	if t.checkDaemon(ctx, schedule, p, []int{exit}) {
		t.checkFiles(schedule, p)
		t.checkReaders(ctx, schedule, p)
	}
}
