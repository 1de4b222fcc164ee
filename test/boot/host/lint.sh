# SPDX-License-Identifier: Apache-2.0
# Checks the packages and the unit with linters. This file is sourced.

# silent TEXT COMMAND...: reports the fact that the command succeeds and prints nothing.
silent() {
	local text=$1 status=0
	shift
	"$@" >"$work/lint.log" 2>&1 </dev/null || status=1
	[ ! -s "$work/lint.log" ] || status=1
	fact $status "$text"
	[ $status -eq 0 ] || show "$*" "$work/lint.log"
}

lint_packages() {
	local file
	# lintian sees only in the source package that these are programs in Go, which are
	# static. packaging/rebuild checks both together.
	for file in dist/*.deb; do
		silent "lintian --pedantic finds nothing in ${file#dist/}" lintian --allow-root --pedantic --display-info \
			--suppress-tags statically-linked-binary --fail-on error,warning,info,pedantic "$file"
	done
	# rpmlint runs as the user nobody: it unpacks the package, and as root a package
	# with absolute names would overwrite files of this system.
	mkdir -p "$work/rpm"
	cp dist/*.rpm packaging/rpm/rpmlint.toml "$work/rpm/"
	chmod -R a+rX "$work/rpm"
	for file in dist/*.rpm; do
		silent "rpmlint finds nothing in ${file#dist/}" lint_rpm "${file#dist/}"
	done
}

# lint_rpm FILE prints what rpmlint found, without its header and footer.
lint_rpm() {
	(cd "$work/rpm" && setpriv --reuid=65534 --regid=65534 --clear-groups \
		env HOME="$work/rpm" TMPDIR=/tmp rpmlint -c rpmlint.toml "$1") >"$work/rpmlint.log" 2>&1 ||
		{ cat "$work/rpmlint.log"; return 1; }
	grep ': [EW]: ' "$work/rpmlint.log" || grep -q ' 0 errors, 0 warnings' "$work/rpmlint.log"
}

# The units are checked with a command that exists on this machine.
lint_unit() {
	local unit=$work/unit/imds-ready.service status=0 each
	mkdir -p "$work/unit"
	cp packaging/systemd/imds-ready* "$work/unit"
	sed -i -E 's#^Exec(Start|Reload)=/usr/bin/[^ ]*#Exec\1=/bin/true#' "$work"/unit/*.service
	silent 'systemd-analyze verify reports nothing about the units' \
		systemd-analyze verify --man=no "$work"/unit/*.service "$work"/unit/*.timer
	for each in "$unit" "$work/unit/imds-ready-refresh.service" "$work/unit/imds-ready-watch.service"; do
		systemd-analyze security --offline=yes --threshold=10 --no-pager "$each" >"$work/lint.log" 2>&1 || status=1
	done
	fact $status 'the exposure of the units is at most 1.0 (systemd-analyze security)'
	[ $status -eq 0 ] || show 'systemd-analyze security' "$work/lint.log"
	status=0
	for address in 169.254.169.254 fd00:ec2::254 127.0.0.1 ::1; do
		grep '^IPAddressAllow=' "$unit" | tr '= ' '\n\n' | grep -qxF "$address" || status=1
	done
	fact $status 'IPAddressAllow= has both addresses of IMDS and both of loopback'
}

lint_bills() {
	local file
	for file in dist/*.deb dist/*.rpm; do
		silent "the SBOM of ${file#dist/} has its checksum, and every module of its programs" bill_is_complete "$file"
	done
}

# bill_is_complete PACKAGE prints the modules that only the programs or only the SBOM has.
bill_is_complete() {
	local bill=$1.spdx.json root=$work/bill
	rm -rf "$root" && mkdir "$root"
	case $1 in
	*.rpm) cp "$1" "$root/rpm" && rpm2archive "$root/rpm" && tar -C "$root" -xzf "$root/rpm.tgz" ./usr/bin ;;
	*) dpkg-deb --fsys-tarfile "$1" | tar -C "$root" -xf - ./usr/bin ;;
	esac
	jq -r '.packages[0].checksums[0].checksumValue' "$bill" | sed "s#\$#  $1#" | sha256sum --check --quiet || return 1
	diff <(go version -m "$root"/usr/bin/* | awk '$1 == "dep" { print $2, $3 }' | LC_ALL=C sort -u) \
		<(jq -r '.packages[] | select(.SPDXID | startswith("SPDXRef-Go-")) | .name + " " + .versionInfo' "$bill" |
			grep -v -e '^stdlib ' -e '^github.com/imds-ready/imds-ready ' | LC_ALL=C sort)
}
