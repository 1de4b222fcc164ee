// SPDX-License-Identifier: Apache-2.0

// Package metrics holds what imds-ready says to Prometheus against Prometheus'
// own code. The daemon prints its few gauges by hand ([output] textfile); here
// the real binary runs against the simulator on loopback, for each way a gate
// can end, and its file is
//
//   - parsed with prometheus/common/expfmt, as node_exporter's textfile
//     collector parses it: names, types, help, labels, no timestamps;
//   - compared with status.json of the same run, number by number;
//   - compared with the dashboard and the alert rules of doc/examples, which may
//     name no metric, state or label that the daemon does not write.
//
// The rules and the queries themselves are PromQL, and promtool's affair:
// promtool.sh checks them and runs the rules' unit tests. It takes the queries
// of the dashboard from this package's program, exprs.
//
// It is a module of its own so that Prometheus' libraries stay out of the
// daemon's. From a clean clone:
//
//	cd test/metrics && go test ./... && ./promtool.sh
package metrics
