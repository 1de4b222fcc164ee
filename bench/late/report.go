// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/lags"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// most is the target: nine boots of ten are ready so soon after the address.
const most = 50 * time.Millisecond

// outcome is what the waits came to.
type outcome struct {
	head    string
	options options
	trials  []lags.Trial
}

func (o outcome) rows() []lags.Row {
	var rows []lags.Row
	for _, w := range all("") {
		rows = append(rows, lags.Of(o.trials, kind, w.Name))
	}
	return rows
}

func (o outcome) targets() []report.Target {
	r := lags.Of(o.trials, kind, waiters.Daemon)
	return []report.Target{{
		Name: kind + ", lag p90", Limit: ms(most.Seconds()), Measured: ms(r.P90), Met: r.Met(r.P90, most),
	}}
}

func (o outcome) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%s
%d waits of each, of imds-ready %d, in which the network has no address for %v to %v; %d at a time, each in a network
namespace of its own. IMDS listens all the while; 169.254.169.254 appears on lo.
The lag is from the system call that adds the address: of imds-ready to READY=1, the whole tree collected and written;
of the others to their exit, with the identity document alone. imds-ready finds IMDS by itself (mode = "ipv4"). The curl
loop is that of lag.md. Stuck: not ready %v after the address.

`, o.head, o.options.outages, o.options.outages*o.options.again, o.options.shortest, o.options.longest, o.options.parallel, o.options.over)
	if err != nil {
		return err
	}
	if err := lags.Table(w, ms, o.rows()...); err != nil {
		return err
	}
	return report.WriteTargets(w, o.targets())
}

func ms(seconds float64) string { return fmt.Sprintf("%.1f ms", seconds*1000) }
