# SPDX-License-Identifier: Apache-2.0
# Checks the manual pages and the alert rules with mandoc and promtool. This file is
# sourced.

lint_docs() {
	silent 'mandoc reports nothing about the manual pages' make -s man-lint
	# promtool is only unpacked from its package, so that Prometheus is not started.
	if ! command -v promtool >/dev/null; then
		(cd "$work" && flock /var/lib/apt apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb promtool) >"$work/promtool.log" 2>&1 ||
			cat "$work/promtool.log" >&2
		PATH=$PATH:$work/promtool/usr/bin
	fi
	local status=0
	test/metrics/promtool.sh >"$work/lint.log" 2>&1 </dev/null || status=1
	fact $status 'promtool accepts the metrics, the alert rules and their tests'
	[ $status -eq 0 ] || show promtool "$work/lint.log"
}
