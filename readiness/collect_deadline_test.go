// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
)

// collect_deadline ends the collection, but not the gate. A path that was tried has the
// class of its last attempt, and any other path the class "deadline".
func TestCollectDeadline(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		set         func(*trial)
		path, class string
	}{
		{"cut in the second request", "hang@meta-data/mac", nil, "meta-data/mac", "read-timeout"},
		{"cut in a request after another failure", "503@meta-data/macx1,hang@meta-data/mac", func(tr *trial) {
			tr.config.Policy.ReadTimeout = time.Minute
		}, "meta-data/mac", "503"},
		{"cut in the only request", "slow=1s@meta-data/**", func(tr *trial) { tr.config.Metadata.Concurrency = 1 }, "meta-data/ami-launch-index", "read-timeout"},
		{"never requested", "slow=1s@meta-data/**", func(tr *trial) { tr.config.Metadata.Concurrency = 1 }, "meta-data/system", "deadline"},
		{"unreachable", "ok:140ms,unreachable", func(tr *trial) {
			tr.sim.Latency = 40 * time.Millisecond
			tr.require("meta-data/mac")
		}, "meta-data/ami-id", "unreachable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault)
			tr.config.Metadata.CollectDeadline = 2500 * time.Millisecond
			if tt.set != nil {
				tt.set(tr)
			}
			tr.run(t)
			gate := time.Duration(1+len(tr.config.Require)) * tr.sim.Latency
			if tr.exit != readiness.ExitOK || tr.status.State != "ready" || tr.elapsed > gate+2500*time.Millisecond {
				t.Errorf("exit %d, state %s after %v", tr.exit, tr.status.State, tr.elapsed)
			}
			if got := tr.status.Missing[tt.path]; got != tt.class {
				t.Errorf("missing %v, want %s for %s", tr.status.Missing, tt.class, tt.path)
			}
			if got := tr.object(t, "meta-data.json"); len(got) == 0 {
				t.Errorf("meta-data.json %v", got)
			}
		})
	}
}

// If Retry-After is longer than what is left of the 5 s, the path is missing at once.
func TestCollectRetryAfterIsTooLong(t *testing.T) {
	tr := faulty(t, "503;retry-after=9@meta-data/mac").run(t)
	if tr.elapsed != 0 || tr.status.Missing["meta-data/mac"] != "503" {
		t.Errorf("missing %v after %v", tr.status.Missing, tr.elapsed)
	}
	tr = faulty(t, "503;retry-after=4@meta-data/macx1,ok").run(t)
	if tr.elapsed != 4*time.Second || len(tr.status.Missing) != 0 {
		t.Errorf("missing %v after %v", tr.status.Missing, tr.elapsed)
	}
}

// A path whose turn does not come before collect_deadline has the class "deadline", not
// that of a timeout.
func TestCollectDeadlineWhilePaced(t *testing.T) {
	tr := faulty(t, "")
	tr.config.Metadata.CollectDeadline = 2500 * time.Millisecond
	tr.config.Metadata.RequestsPerSecond = 2
	tr.run(t)
	if tr.exit != readiness.ExitOK || len(tr.status.Missing) == 0 {
		t.Fatalf("exit %d, missing %v", tr.exit, tr.status.Missing)
	}
	for path, class := range tr.status.Missing {
		if class != "deadline" {
			t.Errorf("%s is %s, but was never requested", path, class)
		}
	}
}

// collect_deadline counts from the end of the gate.
func TestCollectDeadlineAfterALongGate(t *testing.T) {
	tr := faulty(t, "refuse:1m,ok").run(t)
	if tr.exit != readiness.ExitOK || len(tr.status.Missing) != 0 {
		t.Errorf("exit %d, missing %v", tr.exit, tr.status.Missing)
	}
}

// Without collect_deadline, the collection has no limit.
func TestCollectDeadlineNone(t *testing.T) {
	tr := faulty(t, "slow=1900ms@meta-data/**")
	tr.config.Metadata.CollectDeadline = 0
	tr.config.Metadata.Concurrency = 1
	tr.run(t)
	if tr.exit != readiness.ExitOK || len(tr.status.Missing) != 0 || tr.elapsed < time.Minute {
		t.Errorf("exit %d after %v, missing %v", tr.exit, tr.elapsed, tr.status.Missing)
	}
}

// A path that appears late is in the files if its listing named it.
func TestCollectLateKeys(t *testing.T) {
	tr := faulty(t, "").rule("retry", "meta-data/tags/**", "404")
	tr.sim.Late = map[string]time.Duration{"meta-data/tags/instance/Name": 100 * time.Millisecond, "meta-data/spot": time.Hour}
	tr.run(t)
	// The listing did not name it, so it is not requested.
	if got := tr.object(t, "tags.json"); got["Name"] != nil || len(tr.status.Missing) != 0 {
		t.Errorf("tags.json %v, missing %v", got, tr.status.Missing)
	}
	tr = faulty(t, "404@meta-data/tags/instance/Namex2,ok").rule("retry", "meta-data/tags/**", "404").run(t)
	if got := tr.object(t, "tags.json"); got["Name"] != "web-1" {
		t.Errorf("tags.json %v", got)
	}
}

// Without collect_deadline, a network that disappears is awaited for 5 s, as with every
// other failure.
func TestNoCollectDeadlineAndNoNetwork(t *testing.T) {
	tr := faulty(t, "okx2,unreachable")
	tr.config.Metadata.CollectDeadline = 0
	tr.run(t)
	if tr.exit != readiness.ExitOK || tr.status.Missing["meta-data/"] != "unreachable" || tr.elapsed > 5*time.Second {
		t.Errorf("exit %d after %v, missing %v", tr.exit, tr.elapsed, tr.status.Missing)
	}
}
