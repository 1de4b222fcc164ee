# SPDX-License-Identifier: Apache-2.0
# make demo: see it work. make test: everything that needs no root.


VERSION := $(shell packaging/version)
LDFLAGS := -s -w -X main.version=$(VERSION)
BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
TOOL    := go tool -modfile=tools/go.mod
# The race detector needs a C compiler; .ci/run installs one.
RACE    := $(if $(shell command -v gcc),-race,)
MODULES := . test/mock bench

.PHONY: build demo test vet format lint install deb rpm reproducible boot-test clean

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
	cd test/mock && go test ./...
	cd bench && go vet ./... && go test ./...

vet:
	go vet ./...
	$(TOOL) staticcheck ./...

format:
	@unformatted=$$($(TOOL) gofumpt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofumpt -w these: $$unformatted" >&2; exit 1; fi

# Slower, for people before they send a change; the linters and why are in .golangci.yml.
lint:
	$(TOOL) golangci-lint run ./...

# What both packages have in them; DESTDIR is theirs.
UNITDIR := /usr/lib/systemd/system
install:
	install -D -m 0755 bin/imds-ready $(DESTDIR)/usr/bin/imds-ready
	install -D -m 0755 bin/imds-sim $(DESTDIR)/usr/bin/imds-sim
	install -D -m 0644 packaging/systemd/imds-ready.service $(DESTDIR)$(UNITDIR)/imds-ready.service
	install -D -m 0644 packaging/systemd/imds-ready.sysusers $(DESTDIR)/usr/lib/sysusers.d/imds-ready.conf
	install -D -m 0644 packaging/systemd/90-imds-ready.preset $(DESTDIR)/usr/lib/systemd/system-preset/90-imds-ready.preset
	install -D -m 0644 packaging/imds-ready.toml $(DESTDIR)/etc/imds-ready/imds-ready.toml
	install -D -m 0644 -t $(DESTDIR)/usr/share/doc/imds-ready imds-ready.toml.example README.md
	install -D -m 0644 -t $(DESTDIR)/usr/share/doc/imds-ready/examples doc/examples/*
	install -D -m 0644 -t $(DESTDIR)/usr/share/imds-ready/schema doc/schema/*.schema.json
	install -D -m 0644 -t $(DESTDIR)/usr/share/man/man1 doc/man/*.1
	install -D -m 0644 -t $(DESTDIR)/usr/share/man/man5 doc/man/*.5
	install -D -m 0644 -t $(DESTDIR)/usr/share/man/man8 doc/man/*.8

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
