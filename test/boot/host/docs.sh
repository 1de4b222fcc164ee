# SPDX-License-Identifier: Apache-2.0
# What the tools of others say of the manual pages and of the alert rules. Sourced.

lint_docs() {
	silent 'mandoc has nothing to say about the manual pages' make -s man-lint
	# The program alone, out of its package: nothing of Prometheus is started.
	if ! command -v promtool >/dev/null; then
		(cd "$work" && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb promtool) >"$work/promtool.log" 2>&1 ||
			cat "$work/promtool.log" >&2
		PATH=$PATH:$work/promtool/usr/bin
	fi
	local status=0
	test/metrics/promtool.sh >"$work/lint.log" 2>&1 </dev/null || status=1
	fact $status 'promtool accepts the metrics, the alert rules and their tests'
	[ $status -eq 0 ] || show promtool "$work/lint.log"
}
