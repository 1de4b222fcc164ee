// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/markdown"
	"github.com/imds-ready/imds-ready/bench/internal/report"
)

// limit is what an interface may send to link-local addresses in a second
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html);
// we stay under it.
const limit = 1024

// outcome is what the crawls came to.
type outcome struct {
	head    string
	options options
	crawls  []crawl
}

// of returns the crawls under a configuration.
func (o outcome) of(config int) []crawl {
	return slices.DeleteFunc(slices.Clone(o.crawls), func(c crawl) bool { return c.Config != config })
}

// most is the greatest of something.
func most(crawls []crawl, what func(crawl) int) int {
	n := 0
	for _, c := range crawls {
		n = max(n, what(c))
	}
	return n
}

func peak(c crawl) int { return c.Peak }

func (o outcome) targets() []report.Target {
	var all []report.Target
	for i, c := range configurations() {
		if i == defaults {
			n := most(o.of(i), peak)
			all = append(all, report.Target{
				Name: c.name + ", packets in any one second", Limit: fmt.Sprint(limit - 1), Measured: fmt.Sprint(n),
				Met: n > 0 && n < limit,
			})
		}
	}
	return all
}

func (o outcome) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%s
%d crawls under each configuration of a tree with %d network interfaces more, out of one network namespace into another,
over a veth pair. The greatest of all crawls is told. Packets are those that the daemon's interface sent,
ARP among them, with the kernel's times; "in a second" is the most in any window of one second.

`, o.head, o.options.crawls, o.options.interfaces)
	if err != nil {
		return err
	}
	var rows [][]string
	for i, c := range configurations() {
		crawls := o.of(i)
		requests, packets := most(crawls, func(c crawl) int { return c.Requests }), most(crawls, func(c crawl) int { return c.Packets })
		took := most(crawls, func(c crawl) int { return int(c.Took) })
		rows = append(rows, []string{
			c.name, fmt.Sprintf("%.2f s", time.Duration(took).Seconds()), fmt.Sprint(requests),
			fmt.Sprint(most(crawls, func(c crawl) int { return c.Busiest })), fmt.Sprint(packets),
			fmt.Sprintf("%.1f", float64(packets)/float64(max(requests, 1))), fmt.Sprint(most(crawls, peak)),
		})
	}
	header := []string{"", "to READY=1", "requests", "in a second", "packets", "a request", "in a second"}
	if err := markdown.Table(w, header, rows...); err != nil {
		return err
	}
	return report.WriteTargets(w, o.targets())
}
