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
	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/internal/netevents"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

func (p *program) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "wait for IMDS, write the files and send READY=1",
		Long: `run waits for IMDS, writes the files and sends READY=1 to systemd. It is the
ExecStart= of the unit.

The log format auto is the journal's own protocol if standard error is connected
to the journal, and text otherwise.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := p.logger()
			if err != nil {
				return err
			}
			p.exit = int(p.daemon(c.Context(), log))
			return nil
		},
	}
	p.configFlag(c)
	p.directoryFlag(c, "write the files to")
	p.logFlags(c)
	return c
}

// logFlags adds the flags of the commands that write a log.
func (p *program) logFlags(c *cobra.Command) {
	c.Flags().StringVar(&p.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	c.Flags().StringVar(&p.logFormat, "log-format", "auto", "`FORMAT`: auto, journal, text or json")
}

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

// daemon wires the daemon and runs it.
func (p *program) daemon(ctx context.Context, log *slog.Logger) readiness.Exit {
	signal.Ignore(syscall.SIGHUP) // nothing to reload while waiting
	d := &readiness.Daemon{
		Dir: p.writeDirectory(), BootID: bootID(), Version: version, Log: log, Notify: notify,
		Watch: netevents.Watch,
	}
	if os.Getenv("JOURNAL_STREAM") != "" { // the unit's stdout goes to the serial console too
		d.Console = p.console
	}
	loaded, err := config.Load(config.Options{File: p.config})
	if err != nil {
		p.logProblems(log, err)
		return d.Reject(err)
	}
	d.Config, d.Client = loaded.Readiness, loaded.IMDS
	d.Client.UserAgent = "imds-ready/" + version
	return d.Run(ctx)
}

// logProblems logs the problems of a configuration, one a line.
func (p *program) logProblems(log *slog.Logger, problems error) {
	for line := range strings.SplitSeq(strings.TrimSpace(problems.Error()), "\n") {
		if p.logFormat == "text" { // people read it: a problem looks as in check
			fmt.Fprintln(p.stderr, line)
		} else {
			log.Error(line)
		}
	}
}
