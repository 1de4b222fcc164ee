// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// anySchedule draws faults of every kind, each for a while or a number of times. At the
// end, IMDS works or one fault lasts forever.
func anySchedule(rt *rapid.T) string {
	fault := rapid.SampledFrom([]string{
		"refuse", "blackhole", "unreachable", "blocked", "errno=EMFILE", "refuse@ipv4", "blackhole@ipv6", "hang", "hang@put",
		"hang@get", "reset", "close@get", "stall", "drip", "slow=700ms", "garbage", "html@get", "redirect", "truncate", "empty",
		"204@get", "400", "401@get", "403@put", "404@dynamic/**", "404@meta-data/**", "408", "429;retry-after=2", "500@put", "503",
		"503;retry-after=3@get", "badtoken", "nottl", "ttl=1", "big=70000@get", "bigheaders", "interim=9", "utf8", "dotdot", "self-listing",
		"403@meta-data/**", "hang@meta-data/**", "503@meta-data/**", "body=x@meta-data/**",
	})
	var phases []string
	for range rapid.IntRange(0, 4).Draw(rt, "phases") {
		limit := rapid.SampledFrom([]string{"x1", "x3", ":40ms", ":300ms", ":2s", ":7s"}).Draw(rt, "limit")
		phases = append(phases, fault.Draw(rt, "fault")+limit)
	}
	last := "ok"
	if rapid.Bool().Draw(rt, "forever") {
		last = fault.Draw(rt, "last")
	}
	return strings.Join(append(phases, last), ",")
}

// anyTrial draws any configuration.
func anyTrial(t *testing.T, rt *rapid.T) *trial {
	tree := imdstest.DefaultTree().Without("meta-data/network", "meta-data/block-device-mapping")
	tr := newTrial(t, imdstest.New(tree, imdstest.MustSchedule(anySchedule(rt))...))
	tr.preset(t, rapid.SampledFrom(policy.PresetNames()).Draw(rt, "preset"), rapid.Bool().Draw(rt, "toggle"))
	tr.config.Policy.Backoff.Jitter = rapid.SampledFrom(policy.Jitters()).Draw(rt, "jitter")
	tr.require(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
		"meta-data/instance-id", required, "meta-data/placement/", "meta-data/iam/security-credentials/", "meta-data/spot/instance-action",
	}), 0, 3, rapid.ID).Draw(rt, "require")...)
	for i := range tr.config.Require {
		tr.config.Require[i].MaxAttempts = rapid.SampledFrom([]int{0, 0, 1, 4}).Draw(rt, "max_attempts")
		tr.config.Require[i].Deadline = rapid.SampledFrom([]time.Duration{
			time.Millisecond, 150 * time.Millisecond, 2 * time.Second, 13 * time.Second, time.Minute,
		}).Draw(rt, "deadline")
	}
	choices := rapid.SampledFrom([]readiness.Choice{readiness.Fail, readiness.Continue})
	tr.config.OnTimeout, tr.config.OnDisabled = choices.Draw(rt, "on_timeout"), choices.Draw(rt, "on_disabled")
	m := &tr.config.Metadata
	m.CollectDeadline = rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 5 * time.Second}).Draw(rt, "collect_deadline")
	m.Concurrency, m.RequestsPerSecond = rapid.IntRange(1, 16).Draw(rt, "concurrency"), rapid.SampledFrom([]int{1, 20, 160}).Draw(rt, "rate")
	m.UserData, m.Signatures = rapid.Bool().Draw(rt, "user_data"), rapid.Bool().Draw(rt, "signatures")
	tr.sim.Latency = rapid.SampledFrom([]time.Duration{0, 300 * time.Microsecond, 80 * time.Millisecond}).Draw(rt, "latency")
	if rapid.Bool().Draw(rt, "raced") {
		tr.client.Endpoints = []string{base4, base6}
	}
	tr.config.Policy.Hedge = rapid.SampledFrom([]time.Duration{0, 500 * time.Millisecond}).Draw(rt, "hedge")
	if rapid.Bool().Draw(rt, "news") {
		tr.watch = networkChanges(10*time.Millisecond, 700*time.Millisecond, 701*time.Millisecond, 3*time.Second)
	}
	if rapid.IntRange(0, 4).Draw(rt, "signal") == 0 {
		at := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 90 * time.Millisecond, 1300 * time.Millisecond, 6 * time.Second}).Draw(rt, "at")
		tr.signal(at, syscall.SIGTERM)
	}
	return tr
}

// Whatever IMDS does, the run ends in time, its output is consistent, and its counts are
// right.
func TestRunProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var tr *trial
		synctest.Test(t, func(t *testing.T) {
			tr = anyTrial(t, rt)
			tr.notify = func(string) error {
				tr.statusText(t) // it must be valid at every moment
				return nil
			}
			tr.runInBubble(t)
		})
		tr.endsInTime(rt)
		tr.countsAddUp(rt)
		tr.wantNoTimeout(rt)
		if from, to, found := tooClose(tr.connectTimes(), tr.config.Metadata.RequestsPerSecond); found {
			rt.Errorf("too many requests began from %v to %v", from, to)
		}
		tr.report(rt)
	})
}

// endsInTime checks that the run ends at the latest after the longest deadline and
// collect_deadline, or within a second of a signal, with an exit code that fits the
// errors.
func (tr *trial) endsInTime(rt *rapid.T) {
	latest := tr.config.Metadata.CollectDeadline
	for _, r := range tr.config.Require {
		latest = max(latest, r.Deadline+tr.config.Metadata.CollectDeadline)
	}
	for _, c := range tr.cancels {
		latest = min(latest, c.at+time.Second)
	}
	if tr.elapsed > latest {
		rt.Errorf("ended after %v, want at most %v", tr.elapsed, latest)
	}
	if !slices.Contains([]readiness.Exit{0, 69, 75, 76, 77, 143}, tr.exit) {
		rt.Errorf("exit code %d", tr.exit)
	}
	answered, notIMDS := 0, 0
	for class, n := range tr.status.Errors {
		if c := policy.Class(class); c.Answered() {
			answered += n
			if c == policy.BadResponse || c == policy.TooLarge {
				notIMDS += n
			}
		}
	}
	onlyNotIMDS := answered > 0 && answered == notIMDS
	// In a race, the class may be that of one family, and the answer that of the other.
	raced := len(tr.client.Endpoints) > 1
	if !raced && (tr.exit == 75 && onlyNotIMDS || tr.exit == 76 && !onlyNotIMDS) {
		rt.Errorf("exit code %d for the errors %v", tr.exit, tr.status.Errors)
	}
	if tr.exit == 69 && tr.lastClass() != "disabled" || tr.exit == 143 && tr.lastClass() != "interrupted" {
		rt.Errorf("exit code %d for the class %q", tr.exit, tr.lastClass())
	}
}

// countsAddUp checks that the attempts are the fetched paths and the failures that used
// one up, within the limit of each path, and that no request follows the end.
func (tr *trial) countsAddUp(rt *rapid.T) {
	fetched, most, limited := 0, 0, true
	for _, r := range tr.config.Require {
		if tr.status.Required[r.Path].OK {
			fetched++
		}
		most += r.MaxAttempts
		limited = limited && r.MaxAttempts > 0
	}
	failures := 0
	for class, n := range tr.status.Errors {
		if tr.config.Policy.Decide(policy.Failure{Class: policy.Class(class), Required: true}) != policy.Wait {
			failures += n
		}
	}
	// In a race, the other family's failure may decide that an attempt does not count.
	raced := len(tr.client.Endpoints) > 1
	if got := tr.status.Attempts; got > fetched+failures || !raced && got < fetched+failures || limited && got > most {
		rt.Errorf("%d attempts: %d paths fetched, errors %v, at most %d", got, fetched, tr.status.Errors, most)
	}
	if n := len(tr.connectTimes()); n > tr.status.Requests {
		rt.Errorf("%d requests are counted, want at least %d", tr.status.Requests, n)
	}
	for _, r := range tr.sim.Requests() {
		if r.At > tr.elapsed {
			rt.Errorf("a request after the end at %v: %v", tr.elapsed, r)
		}
	}
	if tr.status.State == "ready" && fetched != len(tr.config.Require) {
		rt.Errorf("ready without %v", tr.status.Required)
	}
}
