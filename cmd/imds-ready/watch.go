// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/internal/hints"
	"github.com/imds-ready/imds-ready/internal/netevents"
	"github.com/imds-ready/imds-ready/internal/watch"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

func (p *program) watchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "watch",
		Short: "ask for a few paths again and again, and keep each in a file",
		Long: `watch asks IMDS for the paths of the [watch] table every few seconds, and keeps
each that exists in a file, such as
/run/imds/watch/meta-data/spot/instance-action. It runs until it is stopped, and
sends READY=1 to systemd after the first round of requests. It is the
ExecStart= of imds-ready-watch.service. Where the gate was skipped, or would be
because the machine is not an EC2 instance or AWS_EC2_METADATA_DISABLED is true,
it makes no request and ends with exit code 0.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := p.logger()
			if err != nil {
				return err
			}
			p.exit = int(p.watch(c.Context(), log))
			return nil
		},
	}
	p.configFlag(c)
	p.directoryFlag(c, "write to the subdirectory watch of")
	p.logFlags(c)
	return c
}

// watch wires the watcher and runs it.
func (p *program) watch(ctx context.Context, log *slog.Logger) readiness.Exit {
	loaded, err := config.Load(config.Options{File: p.config})
	if err != nil {
		p.logProblems(log, err)
		return readiness.ExitConfig
	}
	dir := p.writeDirectory()
	if why := p.off(ctx, loaded.Readiness, os.DirFS("/sys"), dir); why != "" {
		log.Info("nothing to watch: " + why)
		_ = notify("READY=1\nSTATUS=nothing to watch: " + why) // without READY=1, systemd would call exit code 0 a failure
		return readiness.ExitOK
	}
	r := loaded.Readiness.Policy
	w := &watch.Watcher{
		Paths: loaded.Watch.Paths, Interval: loaded.Watch.Interval, Client: loaded.IMDS,
		Timeouts: imds.Timeouts{Connect: r.ConnectTimeout, Read: r.ReadTimeout},
		Dir:      dir, BootID: bootID(), Version: version, Log: log, Notify: notify, News: netevents.Watch,
		Textfile: loaded.Readiness.Textfile,
	}
	w.Client.UserAgent = "imds-ready/" + version
	err = w.Run(ctx)
	if i, ok := errors.AsType[*readiness.Interrupted](err); ok {
		return i.Exit()
	}
	exit, hint := watchFailure(err, dir)
	log.Error("watching has failed", "err", err, "hint", hint, "exit_code", int(exit))
	_ = notify(fmt.Sprintf("STATUS=failed: %v", err)) // the log says it, too
	return exit
}

// watchFailure returns the exit code and the hint for an error of a watcher in dir.
func watchFailure(err error, dir string) (exit readiness.Exit, hint string) {
	is := func(errno syscall.Errno) bool { return errors.Is(err, errno) }
	switch {
	case errors.Is(err, watch.ErrLocked):
		return readiness.ExitTempFail, "end the other process; two of them need two directories (--directory)"
	case errors.Is(err, watch.ErrNotify):
		return readiness.ExitFailure, "NOTIFY_SOCKET must name the socket of systemd; without it, nothing is notified"
	case slices.ContainsFunc([]syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS}, is):
		return readiness.ExitNoPerm, hints.Unwritable(dir)
	}
	return readiness.ExitNoPerm, "`systemctl start imds-ready-watch` runs it as the user who owns the directory; " +
		"imds-ready.service creates the directory; --directory names another one"
}

// off returns why refresh and watch make no request, or "": requests are switched off, the
// machine whose /sys is sys is not an EC2 instance, or the gate was skipped.
func (p *program) off(ctx context.Context, c readiness.Config, sys fs.FS, dir string) (why string) {
	if why := c.Off(sys); why != "" {
		return why
	}
	st, _, err := snapshot.ReadStatusJSON(dir, bootID())
	switch {
	case err == nil && st.State == snapshot.Skipped:
		return "the gate was skipped"
	case p.showUnitWithoutStatus(ctx).skipped():
		return skippedUnit
	}
	return ""
}
