// SPDX-License-Identifier: Apache-2.0

// Package metrics tests the metrics of imds-ready with Prometheus' own code. The
// daemon writes its few gauges without a library ([output] textfile). The tests
// run the real binary against the simulator on loopback, once for each way in
// which the gate can end. Its file is
//
//   - parsed with prometheus/common/expfmt, as node_exporter's textfile
//     collector does, including names, types, help, labels and timestamps;
//   - compared with status.json of the same run, number by number;
//   - compared with the dashboard and the alert rules of doc/examples, which may
//     only use metrics, states and labels that the daemon writes.
//
// The rules and queries are PromQL. The script promtool.sh checks them and runs
// the unit tests of the rules. It gets the queries of the dashboard from the
// command exprs.
//
// It is a separate module so that the daemon does not depend on Prometheus'
// libraries. From a clean clone:
//
//	cd test/metrics && go test ./... && ./promtool.sh
package metrics
