// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/report"
)

// The scenes of waiting. The name up to a colon is that of the target.
const (
	refused  = "refused"
	changing = "refused, while the network changes: an address comes and one goes, 10000 times"
)

const dialing = "sleeping and dialling alone"

// Waiting measures the cost of waiting.
func Waiting(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	howLong := flags.Duration("for", time.Minute, "the time to wait")
	return func(ctx context.Context, r *report.Report) error {
		if *howLong <= 0 {
			return errors.New("-for must be positive")
		}
		var trials []trial
		add := func(scene, schedule string, changes int, contestants ...contestant) {
			for _, c := range contestants {
				trials = append(trials, trial{
					Scene: scene, Contestants: []contestant{c}, Simulator: []string{"-schedule", schedule}, Limit: *howLong,
					Network: network{Watch: "lo", Changes: changes},
				})
			}
		}
		own := configured(daemon, endpoint)
		dialer := contestant{Name: dialing, Path: "dialer", Args: []string{"-address", "{host}"}}
		add(refused, "refuse", 0, own, patientSDK, defaultSDK, curl, dialer)
		add("503", "503", 0, own, patientSDK, defaultSDK, curl)
		add(changing, "refuse", 10_000, own) // the others do not watch the network
		all, _, err := measure(ctx, len(trials), trials)
		if err != nil {
			return err
		}
		reportWaiting(r, all, *howLong)
		return nil
	}
}

func reportWaiting(r *report.Report, all measurements, howLong time.Duration) {
	const maxRate = 40
	r.Printf(`IMDS does not come up for %v. All programs wait at the same time, each with a simulator in a network namespace of its
own. CPU time and memory are the kernel's accounts of the whole process with its children, including its start.
Packets are those on lo, from both sides; connections are attempts, refused or not.
`, howLong)
	waited := func(own measurements) string {
		return map[bool]string{false: "gave up after "}[own[0].Stuck] + fmt.Sprintf("%.1f s", own[0].Exit.Seconds())
	}
	for _, scene := range []string{refused, "503", changing} {
		r.Printf("\n## %s\n\n", scene)
		all.of(scene, "").table(
			r, "", column{"waited", waited}, at("CPU", 1, cpu, ms), column{"peak memory", memory},
			at("packets", 1, packetCount, count), at("connections", 1, func(m measurement) int { return m.SYNs }, count),
			at("most in a second", 1, func(m measurement) int { return m.SYNPeak }, count),
		)
		for _, m := range all.of(scene, daemon) {
			if scene == refused {
				// A time would say more about the machine than about the daemon, so it is compared within the run.
				target := func(what, other string, factor float64) {
					limit := time.Duration(factor * float64(quantile(all.of(scene, other), 1, cpu)))
					r.Target(fmt.Sprintf("CPU time in %v, refused, %s", howLong, what), ms(limit), ms(m.CPU), m.CPU <= limit && m.Stuck)
				}
				target("a third of the curl loop's", curl.Name, 1.0/3)
				target("four times that of "+dialing, dialing, 4)
			}
			if limit := howLong / 60; scene == changing {
				r.Target(fmt.Sprintf("CPU time in %v, while the network changes", howLong), ms(limit), ms(m.CPU), m.CPU <= limit && m.Stuck)
			}
			name, _, _ := strings.Cut(scene, ":")
			met := m.SYNPeak > 0 && m.SYNPeak <= maxRate && m.Stuck
			r.Target("connections in any one second, "+name, count(maxRate), count(m.SYNPeak), met)
		}
	}
}

// Packets counts the packets of a crawl.
func Packets(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	crawls := flags.Int("n", 5, "crawls under each configuration")
	interfaces := flags.Int("interfaces", 17, "network interfaces to add to the two of the tree; 17 make 400 paths")
	return func(ctx context.Context, r *report.Report) error {
		if *crawls < 1 || *interfaces < 0 {
			return errors.New("-n must be at least 1, and -interfaces not negative")
		}
		fast := configured(daemon+", as fast as it may", endpoint+"\n[metadata]\nrequests_per_second = 280\nconcurrency = 16\n")
		all, _, err := measure(ctx, 1, []trial{{
			Scene: "crawl", Contestants: inTurn([]contestant{configured(daemon, endpoint), fast}, 0, *crawls), Limit: time.Minute, Required: true,
			Simulator: []string{"-listen", "0.0.0.0:80", "-interfaces", fmt.Sprint(*interfaces)}, Network: network{Watch: netns.Device, Peer: true},
		}})
		if err != nil {
			return err
		}
		r.Printf(`%d crawls under each configuration of a tree with %d more network interfaces, from one network namespace into another,
over a veth pair. The table has the maximum of all crawls. Packets are those that the daemon's interface sent, including
ARP, with the kernel's timestamps; "in a second" is the most in any window of one second.

`, *crawls, *interfaces)
		reportPackets(r, all)
		if *interfaces == 17 {
			took := quantile(all.of("", daemon), 1, done)
			r.Target(daemon+", to READY=1 with 19 interfaces", "1.30 s", seconds(took), took <= 1300*time.Millisecond)
		}
		return nil
	}
}

func reportPackets(r *report.Report, all measurements) {
	// limit is the number of packets that an interface may send to link-local addresses in a second. A crawl must send
	// fewer (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html).
	const limit = 1024
	busiest := func(m measurement) int { return m.PacketPeak }
	requests := func(m measurement) int { return m.Requests.PUTs + m.Requests.GETs + m.Requests.Others }
	all.table(
		r, "", at("to READY=1", 1, done, seconds), at("requests", 1, requests, count),
		at("in a second", 1, func(m measurement) int { return m.Requests.Peak }, count), at("packets", 1, packetCount, count),
		column{"a request", func(own measurements) string {
			return fmt.Sprintf("%.1f", float64(quantile(own, 1, packetCount))/float64(max(1, quantile(own, 1, requests))))
		}},
		at("in a second", 1, busiest, count),
	)
	for _, name := range all.names() {
		if strings.HasPrefix(name, daemon) {
			n := quantile(all.of("", name), 1, busiest)
			r.Target(name+", packets in any one second", count(limit-1), count(n), n > 0 && n < limit)
		}
	}
	const maxPerRequest = 3.6
	own := all.of("", daemon)
	each := float64(quantile(own, 1, packetCount)) / float64(max(1, quantile(own, 1, requests)))
	r.Target(daemon+", packets a request", fmt.Sprint(maxPerRequest), fmt.Sprintf("%.1f", each), each > 0 && each <= maxPerRequest)
}
