# SPDX-License-Identifier: Apache-2.0
# The image of doc/examples/Dockerfile and the pod of doc/examples/kubernetes.yaml. This
# file is sourced.

dockerfile=doc/examples/Dockerfile
manifest=doc/examples/kubernetes.yaml
image=/mnt/image
volume=/mnt/volume
policy=/mnt/policy

# list NAME FILE: prints the words of a list such as NAME ["a", "b"].
list() { sed -n "s/^ *$1:* \[\(.*\)\]\$/\1/p" "$2" | head -n 1 | tr -d '",'; }

# block START FILE: prints the lines below the line START, without their indentation.
block() {
	awk -v start="$1" '
		inside && /[^ ]/ { match($0, /^ */); if (!indent) indent = RLENGTH; if (RLENGTH < indent) exit }
		inside { print substr($0, indent + 1) }
		{ line = $0; gsub(/^ +| +$/, "", line) }
		line == start { inside = 1 }' "$2"
}

# container UID MODE COMMAND...: runs a command of the image like a container: as PID 1,
# as this user with group 0, with a read-only root. MODE is that of the volume, rw or ro,
# or none if it is not mounted.
container() {
	timeout 60 unshare --mount --pid --fork --kill-child bash -euc '
		uid=$1 mode=$2
		shift 2
		mount --bind '$image' '$image'
		mount -t proc proc '$image'/proc
		if [ "$mode" != none ]; then
			mount --bind '$volume' '$image'/run/imds
			mount -o "remount,bind,$mode" '$image'/run/imds
		fi
		mount --bind -o ro '$policy' '$image'/etc/imds-ready
		mount -o remount,bind,ro '$image'
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --no-new-privs chroot --userspec="$uid:0" --groups= '$image' "$@"' container "$@"
}

# terminate CODE COMMAND...: sends SIGTERM to the daemon while it waits, and succeeds if it
# then exits with this code.
terminate() {
	local want=$1 code=0
	shift
	"$@" &
	eventually [ -e $volume/status.json ]
	kill -TERM "$(pgrep -x imds-ready)"
	wait $! || code=$?
	[ "$code" -eq "$want" ] || { echo "exit code $code, want $want"; return 1; }
}

# new_volume: makes an empty volume that every user can write to, like an emptyDir.
new_volume() { rm -rf $volume && mkdir $volume && chmod 0777 $volume; }

pod() {
	local from to uid=1000700000 entrypoint args user
	mkdir -p $image/{proc,run/imds,etc/imds-ready} $policy
	while read -r from to; do
		install -D -m 0755 "${from#/src/}" "$image$to"
	done < <(sed -n 's/^COPY --from=build //p' $dockerfile)
	entrypoint=$(list ENTRYPOINT $dockerfile) args=$(list args $manifest)
	user=$(sed -n 's/^USER \([0-9]*\):0$/\1/p' $dockerfile)
	block 'imds-ready.toml: |' $manifest >$policy/imds-ready.toml
	echo "# the image: $(cd $image && find . -type f -printf '%P ') entrypoint: $entrypoint; arguments: $args"

	holds 'the policy of the ConfigMap is valid' bin/imds-ready check --strict $policy/imds-ready.toml
	holds 'the arguments of the pod are those of the image' [ "$args" = "$(list CMD $dockerfile)" ]

	new_volume
	simulate 'refuse:1s,503:1s,ok'
	holds "the init container, user $uid, waits for IMDS and succeeds" exits 0 container $uid rw $entrypoint $args
	holds 'it wrote the files as this user, readable for all' \
		[ "$(stat -c '%u %a' $volume/identity.json)" = "$uid 644" ]
	holds 'it wrote every file' [ "$(cd $volume && echo *)" = 'identity.json imds.env meta-data.json network.json status.json tags.json' ]
	holds 'the application, another user, reads the files' application
	holds 'a container of the image, another user, reads a value' \
		exits 0 container 1000800000 ro $entrypoint get --directory /run/imds region
	holds 'the init container runs again, as after a restart of the pod' exits 0 container $uid rw $entrypoint $args

	new_volume
	holds "the user of the image, $user, succeeds as well" exits 0 container "$user" rw $entrypoint $args
	holds 'without the volume, it exits with 77, because the root is read-only' exits 77 container $uid none $entrypoint $args
	holds 'with a read-only volume, it exits with 77' exits 77 container $uid ro $entrypoint $args

	new_volume
	simulate refuse
	holds 'SIGTERM ends it while it waits, although it is PID 1' terminate 143 container $uid rw $entrypoint $args
	sed -i 's/^deadline = .*/deadline = "1s"/' $policy/imds-ready.toml
	holds 'if IMDS never answers, it exits with 75' exits 75 container $uid rw $entrypoint $args
	holds 'and the application has no identity.json' [ ! -e $volume/identity.json ]
}

# application: runs the command of the application, without its last line, which sleeps.
application() {
	local script
	script=$(block '- |' $manifest | grep -v '^exec sleep')
	[ "$(setpriv --reuid 65534 --regid 0 --clear-groups --no-new-privs env -i PATH="$PATH" \
		sh -ec "${script//\/run\/imds/$volume}" | head -n 1)" = "ready: $(bin/imds-ready get --directory $volume instance-id) in us-east-1" ]
}
