#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs all benchmarks in turn, in some 13 minutes on two processors, and writes the tables and the plot to results/. The
# results are best on an idle machine. Arguments, such as -enforce, are passed to all benchmarks. lag, late,
# packets and waiting need network namespaces: root, or a kernel that lets every user have a user namespace.
set -eu
cd "$(dirname "$0")"
go run ./startup -all -n 25 -out results/startup.md "$@"
go run ./lag -out results/lag.md -json results/lag.json "$@"
go run ./waiting -out results/waiting.md "$@"
go run ./boots -out results/boots.md "$@"
go run ./late -out results/late.md -json results/late.json "$@"
go run ./packets -out results/packets.md "$@"
go run ./plot -out results/lag.svg results/lag.json results/late.json
