#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs all benchmarks in turn, in some 15 minutes on two processors, and writes the tables and the plot to results/. The
# results are best on an idle machine. Arguments, such as -enforce, are passed to all benchmarks. lag, late,
# packets and waiting need network namespaces: root, or a kernel that lets every user have a user namespace. A benchmark
# that fails, or misses a target under -enforce, does not keep the next ones from running.
set -eu
cd "$(dirname "$0")"
status=0
go run ./startup -all -n 20 -out results/startup.md "$@" || status=1
go run ./lag -out results/lag.md -json results/lag.json "$@" || status=1
go run ./waiting -out results/waiting.md "$@" || status=1
go run ./boots -out results/boots.md "$@" || status=1
go run ./late -out results/late.md -json results/late.json "$@" || status=1
go run ./packets -out results/packets.md "$@" || status=1
go run ./refresh -out results/refresh.md "$@" || status=1
go run ./watch -out results/watch.md "$@" || status=1
go run ./plot -out results/lag.svg results/lag.json results/late.json || status=1
exit $status
