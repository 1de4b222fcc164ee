// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/report"
)

// Packets counts the packets of a crawl.
func Packets(flags *flag.FlagSet) func(context.Context, *report.Report) error {
	crawls := flags.Int("n", 5, "crawls under each configuration")
	interfaces := flags.Int("interfaces", 17, "network interfaces to add to the two of the tree; 17 make 400 paths")
	return func(ctx context.Context, r *report.Report) error {
		if *crawls < 1 || *interfaces < 0 {
			return errors.New("-n must be at least 1, and -interfaces not negative")
		}
		var trials []trial
		for _, c := range []contestant{
			configured(daemon, endpoint),
			configured(daemon+", as fast as it may", endpoint+"\n[metadata]\nrequests_per_second = 200\nconcurrency = 16\n"),
		} {
			for range *crawls {
				trials = append(trials, trial{
					Scene: "crawl", Contestants: []contestant{c}, Limit: time.Minute, Required: true, Network: network{Watch: netns.Device, Peer: true},
					Simulator: []string{"-listen", "0.0.0.0:80", "-interfaces", fmt.Sprint(*interfaces)},
				})
			}
		}
		all, _, err := measure(ctx, 1, trials)
		if err != nil {
			return err
		}
		r.Printf(`%d crawls under each configuration of a tree with %d more network interfaces, from one network namespace into another,
over a veth pair. The table has the maximum of all crawls. Packets are those that the daemon's interface sent, including
ARP, with the kernel's timestamps; "in a second" is the most in any window of one second.

`, *crawls, *interfaces)
		reportPackets(r, all)
		return nil
	}
}

func reportPackets(r *report.Report, all measurements) {
	// limit is what an interface may send to link-local addresses in a second; a crawl has to stay below it
	// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html).
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
	n := quantile(all.of(daemon), 1, busiest)
	r.Target(daemon+", packets in any one second", count(limit-1), count(n), n > 0 && n < limit)
}
