#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the metrics, the alert rules with their unit tests, and the queries of the
# dashboard with promtool. Exits with 69 if promtool or Go is missing.
set -eu
cd "$(dirname "$0")"

if ! command -v promtool >/dev/null; then
	echo "promtool is missing" >&2
	echo "hint: on Debian or Ubuntu, run apt-get install --no-install-recommends prometheus" >&2
	exit 69
fi
if ! command -v go >/dev/null; then
	echo "go is missing" >&2
	echo "hint: install Go 1.26 from https://go.dev/dl/" >&2
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
