// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// faultNames are the faults of the simulator, one of each kind.
var faultNames = []string{
	"refuse", "blackhole", "400", "401", "403", "404", "405", "410", "418", "429;retry-after=1", "500", "502", "503;retry-after=99999999999", "504", "204", "301", "304", "100",
	"hang", "reset", "close", "truncate", "reset-body", "stall", "slow=20ms", "drip=5ms", "garbage", "html", "redirect", "empty", `body="x"`, "big=1000000",
	"chunked", "utf8", "bigheaders", "interim=1000", "badtoken", "nottl", "ttl=0", "ttl=99999999999999999999", "self-listing", "dotdot",
}

// faults runs the daemon and the readers against each fault of the simulator: in every
// answer, and in every answer but the first ones.
func (t *torture) faults(ctx context.Context) {
	deadline := 2 * time.Second
	if t.short {
		deadline = 700 * time.Millisecond
	}
	var all []func()
	for _, fault := range faultNames {
		if !strings.Contains(fault, t.match) {
			continue
		}
		all = append(all,
			func() { t.fault(ctx, fault, []int{0, 69, 75, 76}, deadline) },
			func() { t.fault(ctx, "ok@dynamic/**x1,"+fault+"@meta-data/**", []int{0}, deadline) },
		)
	}
	inParallel(all)
}

// fault runs one schedule.
func (t *torture) fault(ctx context.Context, schedule string, exits []int, deadline time.Duration) {
	phases, err := imdstest.ParseSchedule(schedule)
	if err != nil {
		// A fault of connections or tokens has no path.
		if exits[0] == 0 && len(exits) == 1 {
			return
		}
		t.fact(false, "%s: %v", schedule, err)
		return
	}
	sim := imdstest.New(imdstest.DefaultTree(), phases...)
	sim.Forget = true
	url, err := sim.Listen("127.0.0.1:0")
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
	if t.checkDaemon(ctx, schedule, p, exits) {
		t.checkFiles(schedule, p)
		t.checkReaders(ctx, schedule, p)
	}
}
