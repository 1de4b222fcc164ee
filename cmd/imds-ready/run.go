// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/internal/netevents"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// notify sends a datagram to systemd, or nothing without NOTIFY_SOCKET
// (sd_notify(3)).
func notify(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
}

// daemon wires the daemon and runs it.
func (p *program) daemon(ctx context.Context, log *slog.Logger) readiness.Exit {
	signal.Ignore(syscall.SIGHUP) // nothing to reload while waiting
	d := &readiness.Daemon{
		Dir: p.dir(), BootID: snapshot.BootID(), Version: version, Log: log, Notify: notify,
		Watch: netevents.Watch,
	}
	if os.Getenv("JOURNAL_STREAM") != "" { // the unit's stdout goes to the serial console too
		d.Console = p.console
	}
	loaded, err := config.Load(config.Options{File: p.config})
	if err != nil {
		p.tellProblems(log, err)
		return d.Reject(err)
	}
	d.Config, d.Client = loaded.Readiness, loaded.IMDS
	d.Client.UserAgent = "imds-ready/" + version
	return d.Run(ctx)
}

// tellProblems prints what is wrong with the configuration, one problem a line.
func (p *program) tellProblems(log *slog.Logger, err error) {
	for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		if p.plainLog() {
			fmt.Fprintln(p.stderr, line)
			continue
		}
		log.Error(line)
	}
}
