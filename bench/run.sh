#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every benchmark in turn, some 13 minutes on two processors; the tables and the plot land in results/. An idle
# machine gives the best numbers. Arguments, such as -enforce, go to those that have targets. late, packets and waiting
# need network namespaces: root, or a kernel that gives everybody a user namespace.
set -eu
cd "$(dirname "$0")"
go run ./startup -all -n 25 -out results/startup.md "$@"
go run ./lag -out results/lag.md -json results/lag.json "$@"
go run ./waiting -out results/waiting.md "$@"
go run ./boots -out results/boots.md
go run ./late -out results/late.md -json results/late.json "$@"
go run ./packets -out results/packets.md "$@"
go run ./plot -out results/lag.svg results/lag.json results/late.json
