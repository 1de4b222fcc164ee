// SPDX-License-Identifier: Apache-2.0

// Command boots plays thousands of boots against policies in virtual time, without processes, sockets or waiting. Each
// boot meets an outage from a distribution that the report states, and every policy meets the same outages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/policy"
)

func main() {
	report.Main("boots", func(ctx context.Context) error {
		return report.Run(ctx, "boots", "Boots in virtual time", setup, os.Args[1:], os.Stdout)
	})
}

func setup(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	n := flags.Int("n", 10_000, "boots")
	seed := flags.Uint64("seed", 1, "seed of the outages; the jitter of the pauses is always random")
	return func(_ context.Context, r *report.Report) error {
		if *n < 1 {
			return errors.New("-n must be at least 1")
		}
		random := rand.New(rand.NewPCG(*seed, 0))
		all, lengths := contestants(), make([]time.Duration, *n)
		for i := range lengths {
			o := draw(random)
			lengths[i] = o.up()
			for j := range all {
				all[j].endings = append(all[j].endings, boot(all[j].policy, o))
			}
		}
		at := func(q float64) string { return seconds(report.Quantile(lengths, q)) }
		r.Printf(`Each policy meets the same %d outages. Their length is log-normal with median %.1f s and sigma %.1f; drawn: p50 %s,
p90 %s, p99 %s, max %s. Their kinds are an assumption, with the shares below. An answer takes %v.
The lag is of the boots that do not give up: where many do, it is that of the short outages.

`, *n, medianSeconds, sigma, at(0.5), at(0.9), at(0.99), at(1), roundTrip)
		write(r, all)
		all[0].targets(r)
		return nil
	}
}

// contestant is a policy, and how its boots ended.
type contestant struct {
	name    string
	policy  policy.Policy
	endings endings
}

// contestants are the presets, and variants of the preset sdk as operators tune it.
func contestants() []contestant {
	boot, _ := policy.Preset(policy.PresetBoot)
	sdk, _ := policy.Preset(policy.PresetSDK)
	lazy, toggled := boot, sdk
	lazy.Eager, toggled.RetryConnectTimeouts = false, true
	patient := toggled
	patient.MaxAttempts, patient.Deadline, patient.Backoff.Max = 60, 0, time.Second
	return []contestant{
		{name: "boot", policy: boot},
		{name: "boot, eager = false", policy: lazy},
		{name: "sdk", policy: sdk},
		{name: "sdk, retry_connect_timeouts", policy: toggled},
		{name: "the same, 60 attempts, 1 s cap, no deadline", policy: patient},
	}
}

// targets compares the preset boot with its targets.
func (c contestant) targets(r *report.Report) {
	for _, t := range []struct {
		quantile float64
		limit    time.Duration
	}{{0.5, 80 * time.Millisecond}, {0.9, 250 * time.Millisecond}, {0.99, 600 * time.Millisecond}} {
		got := report.Quantile(c.endings.lags(), t.quantile)
		r.Target(fmt.Sprintf("%s, lag p%.0f", c.name, 100*t.quantile), seconds(t.limit), seconds(got), got <= t.limit)
	}
	const maxRequests = 30
	mean, _ := c.endings.requests()
	r.Target(c.name+", requests per boot", fmt.Sprint(maxRequests), fmt.Sprintf("%.1f", mean), mean <= maxRequests)
}

// write writes a row for each contestant, and then one for each kind of outage.
func write(r *report.Report, all []contestant) {
	var policies, outages [][]string
	header := []string{"kind", "share"}
	for _, c := range all {
		e := c.endings
		mean, p99 := e.requests()
		policies = append(policies, []string{
			c.name, e.lag(0.5), e.lag(0.9), e.lag(0.99), e.lag(1), fmt.Sprintf("%.1f", mean), fmt.Sprintf("%.0f", p99), e.giveUps(),
		})
		header = append(header, c.name)
	}
	for _, k := range kinds() {
		row := []string{k.kind, fmt.Sprintf("%.0f %%", 100*k.share)}
		for _, c := range all {
			e := slices.DeleteFunc(slices.Clone(c.endings), func(e ending) bool { return e.kind != k.kind })
			row = append(row, e.giveUps()+", "+e.lag(0.5))
		}
		outages = append(outages, row)
	}
	r.Table([]string{"policy", "lag p50", "p90", "p99", "max", "requests per boot", "p99", "give-ups per 1000"}, policies...)
	r.Printf("\nGive-ups per thousand boots of each kind, and lag p50 of the others:\n\n")
	r.Table(header, outages...)
}

// ending is how a boot ended.
type ending struct {
	kind     string
	lag      time.Duration // from IMDS up to the document, unless it gave up
	requests int
	gaveUp   bool
}

type endings []ending

// ready returns the endings of the boots that did not give up.
func (all endings) ready() endings {
	return slices.DeleteFunc(slices.Clone(all), func(e ending) bool { return e.gaveUp })
}

// lags returns the lags of the boots that did not give up.
func (all endings) lags() (lags []time.Duration) {
	for _, e := range all.ready() {
		lags = append(lags, e.lag)
	}
	return lags
}

// lag returns a quantile of the lags, or "-" if every boot gave up.
func (all endings) lag(q float64) string {
	lags := all.lags()
	if len(lags) == 0 {
		return "-"
	}
	return seconds(report.Quantile(lags, q))
}

// requests returns the mean and the 99th percentile of the requests of a boot.
func (all endings) requests() (mean, p99 float64) {
	sum, each := 0.0, []float64(nil)
	for _, e := range all {
		sum, each = sum+float64(e.requests), append(each, float64(e.requests))
	}
	return sum / float64(len(all)), report.Quantile(each, 0.99)
}

// giveUps returns how many of a thousand boots gave up, or "-" if there was no boot.
func (all endings) giveUps() string {
	if len(all) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", 1000*float64(len(all)-len(all.ready()))/float64(len(all)))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// phase is a part of an outage, during which every attempt fails with the same class.
type phase struct {
	class policy.Class
	until time.Duration // since the boot; in a kind, as if the outage took one second
}

// outage is a course of failures. The end of the last phase is when IMDS is up.
type outage struct {
	kind   string
	share  float64 // of the boots
	phases []phase
}

func (o outage) up() time.Duration { return o.phases[len(o.phases)-1].until }

// at returns the class of an attempt that begins at t, or "" if it succeeds.
func (o outage) at(t time.Duration) policy.Class {
	for _, p := range o.phases {
		if t < p.until {
			return p.class
		}
	}
	return ""
}

// The length of an outage is log-normal: most are short, one in ten exceeds 5.4 s, one in a hundred 15 s.
const medianSeconds, sigma = 1.5, 1.0

// kinds are an assumption, since no statistics are published. Order and shares follow published reports: first the
// network is missing, then a service behind it is not quite there.
func kinds() []outage {
	return []outage{
		{"no network, then refused", 0.30, []phase{{policy.Unreachable, 800e6}, {policy.ConnectionRefused, 1e9}}},
		{"black hole", 0.20, []phase{{policy.ConnectTimeout, 1e9}}},
		{"no network, then 503", 0.15, []phase{{policy.Unreachable, 500e6}, {policy.Status(503), 1e9}}},
		{"503", 0.15, []phase{{policy.Status(503), 1e9}}},
		{"hanging", 0.10, []phase{{policy.ReadTimeout, 1e9}}},
		{"404, then 401", 0.10, []phase{{policy.Status(404), 700e6}, {policy.Status(401), 1e9}}},
	}
}

// draw returns a random outage.
func draw(random *rand.Rand) outage {
	all, at := kinds(), random.Float64()
	for len(all) > 1 && at >= all[0].share {
		at -= all[0].share
		all = all[1:]
	}
	length := medianSeconds * math.Exp(sigma*random.NormFloat64())
	for j, p := range all[0].phases {
		all[0].phases[j].until = time.Duration(length * float64(p.until))
	}
	return all[0]
}

const (
	roundTrip = 500 * time.Microsecond // of an answered request with its connection: the hypervisor is close
	maxPUTs   = 4                      // of an attempt that hangs, under an eager policy (imds-ready.toml(5))
	minApart  = 26 * time.Millisecond  // between the starts of two attempts, even if an eager policy wakes up in between
	settling  = 2 * time.Millisecond   // from the change of the network that wakes an eager policy up to the attempt
)

// boot plays one boot: attempt, verdict, pause, until it has the document or the budget is spent. Package readiness does
// the same with a [policy.Budget].
func boot(p policy.Policy, o outage) ending {
	e := ending{kind: o.kind}
	budget := p.Budget()
	for now := time.Duration(0); ; {
		begun := now
		class, requests, took := attempt(p, o, begun)
		e.requests += requests
		now += took
		if class == "" {
			e.lag = now - o.up()
			return e
		}
		v := budget.Next(policy.Failure{
			Class: class, Path: "dynamic/instance-identity/document", Required: true,
			Token: class != "401", Headers: class.Answered(), Took: took,
		}, now)
		if v.Stop != nil || p.Expired(now+v.Pause) {
			e.gaveUp = true
			return e
		}
		next := now + v.Pause
		// An eager policy ends the pause after such a failure when the network comes up.
		wakes := class == policy.Unreachable || class == policy.ConnectionRefused || class == policy.ConnectTimeout
		if first := o.phases[0]; first.class == policy.Unreachable && p.Eager && wakes && begun < first.until {
			next = min(next, max(first.until+settling, begun+minApart, now))
		}
		now = next
	}
}

// attempt plays one attempt. It returns the class, or "" if it succeeds, the number of requests, and the time it takes.
// The kernel sends a lost SYN again after one second, which is after all connect timeouts here, and a PUT that hangs
// still hangs when the service comes up.
func attempt(p policy.Policy, o outage, at time.Duration) (class policy.Class, requests int, took time.Duration) {
	class = o.at(at)
	switch {
	case class == "":
		return "", 2, 2 * roundTrip // the PUT and the GET
	case class == policy.Unreachable:
		return class, 1, 0
	case class == policy.ConnectTimeout:
		return class, 1, p.ConnectTimeout
	case class == policy.ReadTimeout && (!p.Eager || p.Hedge == 0):
		return class, 1, roundTrip + p.ReadTimeout
	case class == policy.ReadTimeout:
		for n := 1; n < maxPUTs && time.Duration(n)*p.Hedge < p.ReadTimeout; n++ {
			requests = n + 1
			if at := at + time.Duration(n)*p.Hedge; o.at(at) == "" {
				return "", requests + 1, time.Duration(n)*p.Hedge + 2*roundTrip
			}
		}
		return class, requests, roundTrip + p.ReadTimeout
	case class == "401": // after a token was issued
		return class, 2, 2 * roundTrip
	}
	return class, 1, roundTrip
}
