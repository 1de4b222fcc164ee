# SPDX-License-Identifier: Apache-2.0
# One line a fact, numbered over all boots. Sourced.

passed=0 failed=0

# fact STATUS TEXT: 0 is a fact that holds.
fact() {
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $2"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $2"
	fi
}

# report FILE: counts and numbers what a script inside has found, as it comes. The
# script's last line is "end"; without it, it died on the way.
report() {
	local line ended=1
	while IFS= read -r line; do
		case $line in
		'ok - '*) fact 0 "${line#ok - }" ;;
		'not ok - '*) fact 1 "${line#not ok - }" ;;
		end) ended=0 ;;
		*) echo "$line" ;;
		esac
	done <"$1"
	[ $ended -eq 0 ] || fact 1 "the script inside came to its end"
}

# show TEXT FILE: a log, as comments.
show() {
	echo "# ---- $1"
	sed 's/^/#    /' "$2"
	echo '# ----'
}

summary() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
