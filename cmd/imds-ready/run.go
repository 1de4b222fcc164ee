// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
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

// bootID returns the boot ID that the unit passes (systemd's %b, 32 hexadecimal
// digits) in the form of [snapshot.BootID], and the kernel's if it passes none.
func bootID() string {
	id, err := hex.DecodeString(os.Getenv("IMDS_READY_BOOT_ID"))
	if err != nil || len(id) != 16 {
		return snapshot.BootID()
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// nonblocking is a file descriptor whose writes fail rather than wait: a serial
// console that is stuck must not hold the gate.
type nonblocking int

// Write implements [io.Writer].
func (fd nonblocking) Write(line []byte) (int, error) {
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return 0, err
	}
	return syscall.Write(int(fd), line)
}

// daemon wires the daemon and runs it.
func (p *program) daemon(ctx context.Context, log *slog.Logger) readiness.Exit {
	signal.Ignore(syscall.SIGHUP) // nothing to reload while waiting
	d := &readiness.Daemon{
		Dir: p.dir(), BootID: bootID(), Version: version, Log: log, Notify: notify,
		Watch: netevents.Watch,
	}
	if os.Getenv("JOURNAL_STREAM") != "" { // in the unit, stdout is the console
		d.Console = nonblocking(syscall.Stdout)
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
