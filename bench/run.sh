#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every benchmark in turn, some 6 minutes on two processors; the tables land in results/. An idle machine gives
# the best numbers. Arguments, such as -enforce, go to those that have targets.
set -eu
cd "$(dirname "$0")"
go run ./startup -all -n 25 -out results/startup.md "$@"
go run ./lag -out results/lag.md "$@"
go run ./waiting -out results/waiting.md "$@"
go run ./boots -out results/boots.md
