# SPDX-License-Identifier: Apache-2.0
# make demo shows the programs at work. make test runs all tests that do not need root.

VERSION := $(shell packaging/version)
LDFLAGS := -s -w -X main.version=$(VERSION)
BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
TOOL    := go tool -modfile=tools/go.mod
# The race detector needs a C compiler. .ci/run installs one.
RACE    := $(if $(shell command -v gcc),-race,)
# These are separate modules, so that the daemon does not get their dependencies.
MODULES := test/mock test/metrics bench

.PHONY: build demo test test-nobody test-arm64 check bench vet vet-32bit format lint man-lint lint-examples install
.PHONY: deb rpm deb-source srpm source-rebuild release-files reproducible boot-test boot-test-releases vm-test container-test
.PHONY: torture clean

build:
	$(BUILD) -o bin/imds-ready ./cmd/imds-ready
	$(BUILD) -o bin/imds-sim ./cmd/imds-sim

# Runs a bad boot against the simulator, which first refuses connections, then answers
# 503, and then has a required path that is late. Shows the log, the files and the
# requests. Then shows a spot interruption notice that appears and goes.
demo: build
	sh doc/demo.sh

test: build vet format
	$(if $(RACE),,@echo 'gcc is missing: the tests run without the race detector')
	go test -vet=off $(RACE) ./...
	set -e; for module in $(MODULES); do (cd $$module && go vet ./... && go test ./...); done

# Runs the tests that need only Go: no root, no network but the interface lo, no C compiler
# and no other module. Package builds run it. The property tests are shorter here.
check:
	CGO_ENABLED=0 go test -short -vet=off ./...

# Runs the tests of the simulator and of the commands as the user nobody, who has no
# privileges. Must run as root.
test-nobody:
	test/as-nobody

# Runs the tests as arm64 on another architecture, by qemu's emulator in a user namespace.
# Needs Linux 6.7 or later. Installs the emulator with apt-get.
test-arm64:
	test/arm64/run

# Compiles everything, tests included, for 32-bit architectures, where an int is smaller.
vet-32bit:
	set -e; for arch in 386 arm; do GOARCH=$$arch go vet ./...; done

# Measures the daemon and its alternatives in about 14 minutes. Writes the tables and
# the plot to bench/results.
bench:
	bench/run.sh

vet:
	go vet ./...
	$(TOOL) staticcheck ./...
	$(subst tools/,tools/actionlint/,$(TOOL)) actionlint

format:
	@unformatted=$$($(TOOL) gofumpt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofumpt -w these: $$unformatted" >&2; exit 1; fi

# Slower than vet, to be run before a change is sent. .golangci.yml has the linters and
# their purposes.
lint:
	$(TOOL) golangci-lint run ./...

# Checks the manual pages with mandoc.
man-lint:
	doc/man/lint

# Checks the examples that build images with the linters of their tools.
lint-examples:
	doc/lint-examples

# Installs the files of both packages, with the programs that are in bin/. The package
# builds set DESTDIR.
PREFIX     := /usr
SYSCONFDIR := /etc
UNITDIR    := $(PREFIX)/lib/systemd/system
DOCDIR     := $(PREFIX)/share/doc/imds-ready
SHARE      := $(DESTDIR)$(PREFIX)/share
# Fedora's zsh uses zsh/site-functions instead.
ZSHDIR     := zsh/vendor-completions
DATA       := install -D -m 0644
MANPAGES   := $(wildcard doc/man/*.[1-8])

install:
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin bin/imds-ready bin/imds-sim
	$(DATA) packaging/systemd/imds-ready.service $(DESTDIR)$(UNITDIR)/imds-ready.service
	$(DATA) packaging/systemd/imds-ready-console.service $(DESTDIR)$(UNITDIR)/imds-ready-console.service
	$(DATA) -t $(DESTDIR)$(UNITDIR) $(wildcard packaging/systemd/imds-ready-refresh.*) packaging/systemd/imds-ready-watch.service
	install -d $(DESTDIR)$(UNITDIR)/imds-ready.service.wants
	ln -sf ../imds-ready-console.service $(DESTDIR)$(UNITDIR)/imds-ready.service.wants/imds-ready-console.service
	$(DATA) packaging/systemd/imds-ready.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/imds-ready.conf
	$(DATA) packaging/systemd/imds-ready.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/imds-ready.catalog
	$(DATA) packaging/imds-ready.toml $(DESTDIR)$(SYSCONFDIR)/imds-ready/imds-ready.toml
	$(DATA) -t $(DESTDIR)$(DOCDIR) README.md CHANGELOG.md imds-ready.toml.example
	set -e; for file in $$(find doc/examples -type f); do $(DATA) "$$file" "$(DESTDIR)$(DOCDIR)/$${file#doc/}"; done
	packaging/notices >$(DESTDIR)$(DOCDIR)/NOTICES && chmod 0644 $(DESTDIR)$(DOCDIR)/NOTICES
	$(DATA) -t $(SHARE)/imds-ready/schema doc/schema/*.schema.json
	set -e; for page in $(MANPAGES); do $(DATA) -t $(SHARE)/man/man$${page##*.} "$$page"; done
	packaging/completions $(SHARE) $(ZSHDIR)

# Build the packages for both architectures in dist/. They need debhelper and rpm.
deb:
	packaging/deb/build dist

rpm:
	packaging/rpm/build dist

# Make the source packages for Debian and Fedora in dist/source/. Each contains the
# modules that it needs.
deb-source:
	packaging/deb/source dist/source

srpm:
	packaging/rpm/source dist/source

# Lints the source packages, builds packages from them without network and without root,
# with their tests, and compares these with the packages of this tree. Must run as root.
source-rebuild:
	packaging/rebuild

# Builds the files of a release in dist/release: the packages, the programs without a
# package, an SBOM for each, the source packages, and SHA256SUMS. The release workflow runs the same target.
release-files:
	packaging/release

# Builds all packages twice, in two directories, and compares them bit by bit.
reproducible:
	packaging/reproducible

# Tests the packages under a real systemd. Must run as root; installs what it needs with
# apt-get.
boot-test:
	test/boot/run

# Tests the packages under the systemd of other releases of Debian, and beside
# systemd-imdsd. RELEASES=trixie is one of them. The roots are kept in CACHE.
CACHE ?= $(CURDIR)/.cache
export CACHE
boot-test-releases:
	test/boot/releases

# Tests the package in virtual machines that look like EC2 instances, in about 5 minutes
# with a root in CACHE. Must run as root; needs neither KVM nor EC2.
vm-test:
	test/vm/run

# Tests the examples for systems without systemd: a container image, a pod, OpenRC. Must
# run as root, because it makes namespaces of its own.
container-test:
	test/container/run

# Kills the daemon, fills its disk, gives it hostile servers, and fuzzes, in at most 5
# minutes after the build, or with SHORT=1 in two. Must run as root, because it makes
# namespaces of its own.
torture:
	CGO_ENABLED=0 go run ./test/torture $(if $(SHORT),-short)

clean:
	rm -rf bin dist
	rm -rf --one-file-system $(CACHE)/root-*.tar $(CACHE)/build.* $(CACHE)/work.* $(CACHE)/.lock
	@[ ! -d $(CACHE) ] || rmdir --ignore-fail-on-non-empty $(CACHE)
