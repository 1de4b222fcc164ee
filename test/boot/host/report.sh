# SPDX-License-Identifier: Apache-2.0
# Prints one line for each fact, numbered over all boots. This file is sourced.

passed=0 failed=0

# fact STATUS TEXT: reports a fact. It holds if STATUS is 0.
fact() {
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $2"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $2"
	fi
}

# report FILE: counts and numbers the facts that a script inside the machine reported.
# The last line of a complete script is "end".
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
	[ $ended -eq 0 ] || fact 1 "the script inside the machine ran to its end"
}

# show TEXT FILE: prints a log as comments.
show() {
	echo "# ---- $1"
	sed 's/^/#    /' "$2"
	echo '# ----'
}

summary() {
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
