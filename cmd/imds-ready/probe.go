// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/readiness"
)

func (p *program) probeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "probe",
		Short: "make one attempt now and show how it ends",
		Long: `probe makes one attempt at the identity document under the configuration, and
shows the endpoint, the time, the class of a failure and a hint. It writes no
file and does not look at the gate. The exit code is 0 if IMDS answers, and
otherwise that of run for this failure, as if run could not continue without it.

To see what the unit sees, run it as the user of the unit:
  runuser -u imds-ready -- imds-ready probe`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		Run:               func(c *cobra.Command, _ []string) { p.exit = int(p.probe(c.Context())) },
	}
	p.configFlag(c)
	return c
}

func (p *program) probe(ctx context.Context) readiness.Exit {
	loaded, err := config.Load(config.Options{File: p.config})
	if err != nil {
		p.printProblems(err)
		return readiness.ExitConfig
	}
	if loaded.Readiness.Disabled {
		p.report("no request was made: AWS_EC2_METADATA_DISABLED is set", "unset it to probe; run skips the gate while it is set")
		return readiness.ExitUnavailable
	}
	loaded.IMDS.UserAgent = "imds-ready/" + version
	probed := readiness.Probe(ctx, loaded.Readiness, loaded.IMDS)
	if interrupted, ok := errors.AsType[*readiness.Interrupted](probed.Err); ok {
		return interrupted.Exit()
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	result := "IMDS answers: this is " + probed.InstanceID
	if probed.Err != nil {
		result = "IMDS does not answer"
		if probed.Class.Answered() {
			result += " as it should"
		}
	}
	for _, line := range []struct{ name, value string }{
		{"result", result},
		{"endpoint", probed.Endpoint},
		{"family", family(probed.Endpoint)},
		{"time", words.Duration(probed.Took)},
		{"class", string(probed.Class)},
		{"error", errorText(probed.Err)},
		{"hint", probed.Hint},
	} {
		if line.value != "" {
			fmt.Fprintf(t, "%s:\t%s\n", line.name, words.OneLine(line.value))
		}
	}
	t.Flush()
	return probed.Exit
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// family is the address family of an endpoint, or empty for localhost, which has both.
func family(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	addr, err := netip.ParseAddr(u.Hostname())
	switch {
	case err != nil:
		return ""
	case addr.Is4():
		return "IPv4"
	default:
		return "IPv6"
	}
}
