#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Has promtool look at the metrics, the alert rules with their unit tests, and the
# queries of the dashboard. Exit 69 when promtool or Go is not there.
set -eu
cd "$(dirname "$0")"

if ! command -v promtool >/dev/null; then
	echo "promtool is missing: apt-get install --no-install-recommends prometheus (Debian, Ubuntu)" >&2
	exit 69
fi
if ! command -v go >/dev/null; then
	echo "go is missing: install Go 1.26 from https://go.dev/dl/" >&2
	exit 69
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

examples=../../doc/examples
promtool check metrics <../../readiness/testdata/imds_ready.prom
promtool check rules "$examples/alerts.yml"
promtool test rules "$examples/alerts_test.yml"
go run ./exprs "$examples/grafana-dashboard.json" >"$tmp/dashboard.yml"
promtool check rules "$tmp/dashboard.yml"
