# SPDX-License-Identifier: Apache-2.0
# make demo: see it work. make test: everything that needs no root.

VERSION := $(shell packaging/version)
LDFLAGS := -s -w -X main.version=$(VERSION)
BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
TOOL    := go tool -modfile=tools/go.mod
# The race detector needs a C compiler; .ci/run installs one.
RACE    := $(if $(shell command -v gcc),-race,)
# Modules of their own: what they need, the daemon does not.
MODULES := test/mock test/metrics bench

.PHONY: build demo test bench vet format lint man-lint install deb rpm reproducible boot-test clean

build:
	$(BUILD) -o bin/imds-ready ./cmd/imds-ready
	$(BUILD) -o bin/imds-sim ./cmd/imds-sim

# A bad boot against the simulator: refused, then 503, then a required key that
# is late. Shows the log, the files and the requests.
demo: build
	sh doc/demo.sh

test: build vet format
	$(if $(RACE),,@echo 'no gcc: the tests run without the race detector')
	go test $(RACE) ./...
	set -e; for module in $(MODULES); do (cd $$module && go vet ./... && go test ./...); done

# The daemon beside what one would use instead, in some 13 minutes; the tables and
# the plot land in bench/results.
bench:
	bench/run.sh

vet:
	go vet ./...
	$(TOOL) staticcheck ./...

format:
	@unformatted=$$($(TOOL) gofumpt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofumpt -w these: $$unformatted" >&2; exit 1; fi

# Slower, for people before they send a change; the linters and why are in .golangci.yml.
lint:
	$(TOOL) golangci-lint run ./...

# The manual pages, by mandoc.
man-lint:
	doc/man/lint

# What both packages have in them, from bin/ as it was built; DESTDIR is theirs.
PREFIX     := /usr
SYSCONFDIR := /etc
UNITDIR    := $(PREFIX)/lib/systemd/system
DOCDIR     := $(PREFIX)/share/doc/imds-ready
SHARE      := $(DESTDIR)$(PREFIX)/share
# Fedora's zsh looks in zsh/site-functions.
ZSHDIR     := zsh/vendor-completions
DATA       := install -D -m 0644
MANPAGES   := $(wildcard doc/man/*.[1-8])

install:
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin bin/imds-ready bin/imds-sim
	$(DATA) packaging/systemd/imds-ready.service $(DESTDIR)$(UNITDIR)/imds-ready.service
	install -D -m 0755 packaging/systemd/imds-ready-console $(DESTDIR)$(PREFIX)/lib/systemd/system-generators/imds-ready-console
	$(DATA) packaging/systemd/imds-ready.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/imds-ready.conf
	$(DATA) packaging/systemd/90-imds-ready.preset $(DESTDIR)$(PREFIX)/lib/systemd/system-preset/90-imds-ready.preset
	$(DATA) packaging/systemd/imds-ready.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/imds-ready.catalog
	$(DATA) packaging/imds-ready.toml $(DESTDIR)$(SYSCONFDIR)/imds-ready/imds-ready.toml
	$(DATA) -t $(DESTDIR)$(DOCDIR) README.md CHANGELOG.md imds-ready.toml.example
	$(DATA) -t $(DESTDIR)$(DOCDIR)/examples doc/examples/*
	packaging/notices >$(DESTDIR)$(DOCDIR)/NOTICES && chmod 0644 $(DESTDIR)$(DOCDIR)/NOTICES
	$(DATA) -t $(SHARE)/imds-ready/schema doc/schema/*.schema.json
	set -e; for page in $(MANPAGES); do $(DATA) -t $(SHARE)/man/man$${page##*.} "$$page"; done
	packaging/completions $(SHARE) $(ZSHDIR)

# Packages for both architectures, in dist/; they need debhelper, or rpm.
deb:
	packaging/deb/build dist

rpm:
	packaging/rpm/build dist

# Builds both twice, in two directories, and compares bit by bit.
reproducible:
	packaging/reproducible

# The packages under a real systemd, as root; installs with apt-get what it needs.
boot-test:
	test/boot/run

clean:
	rm -rf bin dist
