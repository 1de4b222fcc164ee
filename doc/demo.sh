#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make demo` runs this: a bad boot against the simulator on loopback. IMDS refuses
# connections for 2 s and answers 503 for 1 s. The role of the instance appears
# 4.5 s after the start. In the second act, imds-ready watch sees a spot interruption notice
# that appears and goes.
set -eu
work=$(mktemp -d)
sim= watch=
cleanup() {
	[ -z "$sim" ] || kill "$sim" 2>/dev/null || true
	[ -z "$watch" ] || kill "$watch" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT PIPE TERM # also ends the simulator if the reader of a pipe exits

cat >"$work/imds-ready.toml" <<'TOML'
[retry]
deadline = "30s"

[[require]]
path = "meta-data/iam/info"      # READY=1 waits for the instance profile
TOML

say() { printf '\n== %s\n' "$*"; }

say 'the simulator refuses connections for 2 s and answers 503 for 1 s; meta-data/iam appears after 4.5 s'
bin/imds-sim --listen 127.0.0.1:0 --schedule 'refuse:2s,503:1s,ok' --late meta-data/iam=4500ms \
	--log "$work/requests" >"$work/url" 2>"$work/sim.err" &
sim=$!
tries=0
until [ -s "$work/url" ]; do
	tries=$((tries + 1))
	if [ "$tries" -gt 100 ] || ! kill -0 "$sim" 2>/dev/null; then
		cat "$work/sim.err" >&2
		echo 'demo: the simulator did not start' >&2
		exit 1
	fi
	sleep 0.05
done
read -r url <"$work/url"
echo "$url"

say 'the log of imds-ready run, as systemd would start it:'
code=0
AWS_EC2_METADATA_SERVICE_ENDPOINT=$url bin/imds-ready run \
	--config "$work/imds-ready.toml" --directory "$work/imds" || code=$?
echo "exit code $code"
[ "$code" -eq 0 ] || exit "$code"

say 'the files that every service can read now (in /run/imds on a real machine):'
ls -l "$work/imds"
say 'imds.env:'
cat "$work/imds/imds.env"
say 'identity.json:'
cat "$work/imds/identity.json"
say 'status.json:'
cat "$work/imds/status.json"

say 'the requests to IMDS: seconds since its start, request, status (the first 28 only)'
sed -n 's/^{"at":\([0-9.]*\),.*"kind":"\([A-Z]*\)","path":"\([^"]*\)","status":\([0-9]*\),.*/\1 \2 \3 \4/p' "$work/requests" |
	awk '$2 != "SYN" { if (++n <= 28) printf "%7.3f  %-3s %-40s %s\n", $1, $2, $3, $4 } END { print "   ...  " n " requests in total" }'

say 'the second act: after 2 s, EC2 announces a spot interruption, and withdraws it 4 s later'
kill "$sim"
wait "$sim" 2>/dev/null || true
bin/imds-sim --listen "${url#http://}" --change 'meta-data/spot/instance-action=2s={"action": "terminate"}' \
	--gone meta-data/spot=6s >"$work/url2" 2>"$work/sim.err" &
sim=$!
cat >"$work/watch.toml" <<'TOML'
[watch]
interval = "1s"
TOML
notice=$work/imds/watch/meta-data/spot/instance-action
AWS_EC2_METADATA_SERVICE_ENDPOINT=$url bin/imds-ready watch --config "$work/watch.toml" --directory "$work/imds" &
watch=$!
# until_true COMMAND...: waits for 15 s at most.
until_true() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		if [ "$tries" -gt 300 ]; then
			echo "demo: not in time: $*" >&2
			exit 1
		fi
		sleep 0.05
	done
}
until_true test -s "$notice"
say 'the notice is a file, which a path unit reacts to:'
cat "$notice" && echo
bin/imds-ready status --directory "$work/imds"
until_true test ! -e "$notice"
say 'the file is gone, and imds-ready watch knows that there is no notice:'
bin/imds-ready get spot/instance-action --directory "$work/imds" --default 'no notice'
cat "$work/imds/watch/status.json"
