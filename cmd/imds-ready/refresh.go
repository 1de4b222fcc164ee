// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/internal/refresh"
	"github.com/imds-ready/imds-ready/readiness"
)

func (p *program) refreshCommand() *cobra.Command {
	var now bool
	c := &cobra.Command{
		Use:   "refresh",
		Short: "fetch the metadata again and replace the files that changed",
		Long: `refresh fetches the metadata again after the gate is decided, and replaces the
files that changed. imds-ready-refresh.timer runs it every minute, and
"systemctl reload imds-ready" runs it at once.

The exit code is 0 if the files are up to date or the gate was skipped, 69 if
IMDS is disabled now, and 75 if a required path could not be fetched or the gate
is not decided or has failed. With 69 and 75, all files stay as they are. It is
76 if status.json is damaged or was written by a later version, 77 if the files
cannot be written or the directory belongs to another user, and 78 if the
configuration is invalid.`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := p.logger()
			if err != nil {
				return err
			}
			p.exit = int(p.refresh(c.Context(), log, now))
			return nil
		},
	}
	p.configFlag(c)
	p.directoryFlag(c, "replace the files in")
	c.Flags().BoolVar(&now, "now", false, "do not spread the requests, and end within 45s")
	p.logFlags(c)
	return c
}

// refresh wires a refresh and runs it.
func (p *program) refresh(ctx context.Context, log *slog.Logger, now bool) readiness.Exit {
	loaded, err := config.Load(config.Options{File: p.config})
	if err != nil {
		p.logProblems(log, err)
		return readiness.ExitConfig
	}
	dir := p.writeDirectory()
	if why := p.off(ctx, loaded.Readiness, os.DirFS("/sys"), dir); why != "" {
		log.Info("nothing to refresh: " + why)
		return readiness.ExitOK
	}
	loaded.IMDS.UserAgent = "imds-ready/" + version
	r := &refresh.Refresh{
		Config: loaded.Readiness, Client: loaded.IMDS, Dir: dir, BootID: bootID(), Version: version, Log: log, Now: now,
	}
	return r.Run(ctx)
}
