// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

func (p *program) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "tell how the gate went: state, time, attempts, last error, what is missing",
		Long: "status tells how this boot's gate stands: exit 0 for ready, degraded and skipped, 75 for waiting, the\n" +
			"daemon's exit code for failed.",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			p.exit = p.status()
			return nil
		},
	}
	c.Flags().BoolVar(&p.json, "json", false, "print status.json as it is, after checking it")
	p.readerFlags(c)
	return c
}

// status prints how the gate stands.
func (p *program) status() int {
	st, data, err := snapshot.ReadStatusJSON(p.readFrom(), p.boot())
	if err != nil {
		return p.unreadable("", err)
	}
	if p.json {
		_, _ = p.stdout.Write(data) // run sees whether it could be written
	} else {
		text := statusText{st: st, dir: p.readFrom(), sameHost: !p.ignoreBootID, colour: p.colour()}
		text.print(p.stdout)
	}
	switch st.State {
	case snapshot.Failed:
		return ending(st)
	case snapshot.Waiting:
		return int(readiness.ExitTempFail)
	default:
		return 0
	}
}

// colour reports whether stdout shows colours (no-color.org: set and not empty
// means none).
func (p *program) colour() bool {
	_, ok := terminal(p.console)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
