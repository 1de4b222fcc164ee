# SPDX-License-Identifier: Apache-2.0
# The cache directory, and a directory in it for one run. This file is sourced.

export CACHE=${CACHE:-$PWD/.cache}

# missing CODE LINE...: prints the lines and exits.
missing() {
	local code=$1 line
	shift
	for line; do echo "$line" >&2; done
	exit "$code"
}

# work_make NAME MIB: makes the directory $work for a run of `make NAME` that needs this
# much room, and removes those of killed runs. The caller removes $work when it ends.
work_make() {
	local old free
	mkdir -p "$CACHE"
	for old in "$CACHE"/work.*; do
		# A run holds a lock on its directory, which the kernel removes with the process.
		[ ! -d "$old" ] || ! flock --nonblock "$old" true || rm -rf --one-file-system "$old"
	done
	free=$(($(stat -f -c '%a * %S' "$CACHE") / 1048576))
	[ "$free" -ge "$2" ] || missing 73 "make $1: $CACHE needs $2 MiB, and the disk has $free" \
		'hint: `make clean` removes what earlier versions left there, or set CACHE to a directory elsewhere'
	work=$(mktemp -d "$CACHE/work.XXXXXX")
	exec 8<"$work"
	flock 8
}
