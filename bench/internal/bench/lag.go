// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/report"
)

// sweep is a benchmark of lags: contestants wait through outages of many lengths.
type sweep struct {
	outages, again, parallel int // defaults of the flags
	contestants              []contestant
	kinds                    []kind
	base                     trial // of all trials
	format                   func(time.Duration) string
	intro, outro             string // before and after the tables
}

const over = 10 * time.Second // after an outage, when a trial is cut

// kind is a kind of outage, with the targets for the daemon's lag. There is no target if the value is 0.
type kind struct {
	name     string // also of the simulator's fault, unless dual is set
	p50, p90 time.Duration
	ahead    bool    // the daemon's p50 and p90 must not exceed those of the tuned SDK
	ofCrawl  float64 // the p90 must not exceed this part of the time in which the SDK collects the tree with IMDS up
	dual     bool    // IMDS has an address of each family: IPv6 never answers, and IPv4 refuses during the outage
}

// Lag has outages of IMDS itself.
func Lag() report.Setup {
	return sweep{
		outages: 16, again: 6, parallel: 6,
		contestants: []contestant{configured(daemon, endpoint), patientSDK, defaultSDK, curl, cloudInit},
		kinds: []kind{
			{name: "refuse", p50: 100 * time.Millisecond, p90: 250 * time.Millisecond},
			{name: "blackhole", p50: 180 * time.Millisecond, p90: 350 * time.Millisecond},
			{name: "hang", p50: 400 * time.Millisecond, p90: 700 * time.Millisecond, ahead: true},
			{name: "503", p50: 100 * time.Millisecond, p90: 250 * time.Millisecond},
			{name: "refuse, IPv6 silent", p50: 150 * time.Millisecond, dual: true},
		},
		format: seconds,
		intro: `Each trial has a simulator of its own on loopback, which does not answer during the outage. In "refuse, IPv6 silent",
imds-ready finds IMDS by itself (mode = "auto") in a network namespace: IPv4 refuses connections during the outage, and
every packet to the IPv6 address is dropped, also afterwards. The others know one address only and take no part.
cloud-init is the loop of its EC2 data source, which takes any status from 400 as the end.`,
		outro: "\nThe curl loop:\n\n```sh\n" + loop + "\n```\n",
	}.setup
}

// discovering returns the daemon's configuration to find IMDS by itself under an endpoint mode, on a machine that is not
// an instance according to DMI.
func discovering(mode string) string {
	return "[endpoint]\nmode = \"" + mode + "\"\n\n[ready]\non_not_ec2 = \"try\"\n"
}

// Late has a network without an address while IMDS is up.
func Late() report.Setup {
	config := discovering("ipv4")
	lazy := configured(daemon+", eager = false", config+"\n[retry]\neager = false\n")
	return sweep{
		outages: 16, again: 6, parallel: 4,
		contestants: []contestant{configured(daemon, config), lazy, patientSDK, curl},
		kinds:       []kind{{name: "late address", ofCrawl: 0.9}},
		base:        trial{Simulator: []string{"-listen", "0.0.0.0:80"}, Network: network{Address: ipv4.String()}},
		format:      ms,
		intro: `Each trial has a network namespace of its own. IMDS listens from the beginning; the outage ends when 169.254.169.254 is
added to lo. imds-ready finds IMDS by itself (mode = "ipv4"). The curl loop is that of lag.md. Among the trials are some
in which the SDK collects the tree with IMDS up. Most of the lag is such a collection, whose time depends on the machine.`,
	}.setup
}

func (s sweep) setup(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	flags.IntVar(&s.outages, "n", s.outages, "outages of each kind, in even steps from the shortest to the longest")
	flags.IntVar(&s.again, "again", s.again, "times as many for imds-ready, since the targets are about its quantiles")
	flags.IntVar(&s.parallel, "parallel", s.parallel, "trials at the same time")
	shortest := flags.Duration("shortest", 2*time.Second, "the shortest outage")
	longest := flags.Duration("longest", 4*time.Second, "the longest outage")
	file := flags.String("json", "", "also write the lags as JSON to this file, for the plot")
	return func(ctx context.Context, r *report.Report) error {
		if s.outages < 1 || s.again < 1 || s.parallel < 1 || *shortest <= 0 || *longest < *shortest {
			return errors.New("-n, -again and -parallel must be at least 1, -shortest positive, and -longest at least -shortest")
		}
		if err := importable(ctx); err != nil && slices.ContainsFunc(s.contestants, isCloudInit) {
			s.contestants = slices.DeleteFunc(slices.Clone(s.contestants), isCloudInit)
			s.intro += fmt.Sprintf("\nIts row is missing: the package cloud-init is not installed for %s (%v).", cloudInit.Path, err)
		}
		all, sdk, err := measure(ctx, s.parallel, s.trials(*shortest, *longest))
		if err != nil {
			return err
		}
		r.Printf(`Outages of each kind last from %v to %v, in %d even steps, for imds-ready in %d; %d trials run at a time.
%s
The lag is the time from the end of the outage to READY=1 for imds-ready, which has collected and written the whole tree
then, and to the exit for the others, which have only the identity document. A trial is stuck if it is not ready %v after
the outage. The SDK is %s.
`, *shortest, *longest, s.outages, s.outages*s.again, s.parallel, s.intro, over, sdk)
		rows := s.report(r, all)
		b, err := json.MarshalIndent(rows, "", "  ")
		if err != nil || *file == "" {
			return err
		}
		return os.WriteFile(*file, append(b, '\n'), 0o644)
	}
}

// imdsUp is the scene of trials without an outage.
const imdsUp = "IMDS up"

func isCloudInit(c contestant) bool { return c.Name == cloudInit.Name }

// trials returns the trials of a sweep. No contestant meets the same outage twice.
func (s sweep) trials(shortest, longest time.Duration) []trial {
	var all []trial
	for _, k := range s.kinds {
		contestants := s.contestants
		if k.dual {
			contestants = []contestant{configured(daemon, discovering("auto"))}
		}
		for _, c := range contestants {
			n := s.outages
			if c.Name == daemon {
				n *= s.again
			}
			for i := range n {
				t := s.base
				t.Scene, t.Contestants = k.name, []contestant{c}
				t.Outage = shortest + (longest-shortest)*time.Duration(i)/time.Duration(max(1, n-1))
				t.Limit = t.Outage + over
				t.Network.Own = c.Isolated
				switch {
				case k.dual:
					t.Network.Both = true
					t.Simulator = []string{
						"-listen", "0.0.0.0:80", "-listen", "[::]:80",
						"-schedule", fmt.Sprintf("refuse@ipv4:%v,ok", t.Outage), "-schedule", "blackhole@ipv6",
					}
				case t.Network.Address == "":
					t.Simulator = []string{"-schedule", fmt.Sprintf("%s:%v,ok", k.name, t.Outage)}
				}
				all = append(all, t)
			}
		}
		if k.ofCrawl > 0 {
			for range s.outages {
				all = append(all, trial{Scene: imdsUp, Contestants: []contestant{crawler(oneByOne)}, Limit: over, Required: true, Network: network{Own: true}})
			}
		}
	}
	return all
}

// report writes the tables and the targets, and returns the rows of all tables.
func (s sweep) report(r *report.Report, all measurements) []report.Lags {
	show := func(seconds float64) string { return s.format(time.Duration(seconds * float64(time.Second))) }
	var rows []report.Lags
	for _, k := range s.kinds {
		if r.Printf("\n"); len(s.kinds) > 1 {
			r.Printf("## %s\n\n", k.name)
		}
		var cells [][]string
		for _, name := range all.of(k.name, "").names() {
			l := lags(all.of(k.name, name))
			row := []string{name, "-", "-", "-", fmt.Sprintf("%d of %d", l.GaveUp, l.Trials), fmt.Sprint(l.Stuck)}
			if l.Ready() > 0 {
				row[1], row[2], row[3] = show(l.P50), show(l.P90), show(l.Max)
			}
			rows, cells = append(rows, l), append(cells, row)
			target := func(what string, got, limit float64, show func(float64) string) {
				if name == daemon && limit > 0 {
					met := l.Ready() > 0 && l.Ready() == l.Trials && got <= limit
					r.Target(k.name+", lag "+what, show(limit), show(got), met)
				}
			}
			target("p50", l.P50, k.p50.Seconds(), show)
			target("p90", l.P90, k.p90.Seconds(), show)
			if k.ofCrawl > 0 && name == daemon {
				crawl := quantile(all.of(imdsUp, ""), 0.5, done).Seconds()
				r.Printf("The SDK collects the tree in %s, one by one, with IMDS up.\n\n", show(crawl))
				target("p90, of the SDK's time for the tree", l.P90/crawl, k.ofCrawl, percent)
			}
			if k.ahead {
				tuned := lags(all.of(k.name, patientSDK.Name))
				target("p50, that of the tuned SDK", l.P50, tuned.P50, show)
				target("p90, that of the tuned SDK", l.P90, tuned.P90, show)
			}
		}
		r.Table([]string{"lag", "p50", "p90", "max", "gave up", "stuck"}, cells...)
	}
	r.Printf("%s", s.outro)
	return rows
}

// lags summarizes the measurements of one contestant in one kind of outage.
func lags(all measurements) report.Lags {
	l, ready := report.Lags{Trials: len(all)}, measurements(nil)
	for _, m := range all {
		l.Kind, l.Waiter = m.Scene, m.Contestant
		switch {
		case m.GaveUp:
			l.GaveUp++
		case m.Stuck:
			l.Stuck++
		default:
			ready = append(ready, m)
		}
	}
	lag := func(m measurement) float64 { return m.Lag.Seconds() }
	l.P50, l.P90, l.Max = quantile(ready, 0.5, lag), quantile(ready, 0.9, lag), quantile(ready, 1, lag)
	return l
}
