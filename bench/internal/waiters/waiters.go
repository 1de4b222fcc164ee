// SPDX-License-Identifier: Apache-2.0

// Package waiters knows the programs that wait for IMDS and are compared: the
// daemon, the AWS SDK for Go in two tunings, and a loop around curl.
package waiters

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/program"
)

// Waiter is a program that waits for IMDS.
type Waiter struct {
	Name string
	// Program waits for the IMDS at url, in a directory of its own.
	Program func(dir, url string) (process.Program, error)
	// SaysReady is true for a program that says READY=1; another is done when
	// it exits.
	SaysReady bool
}

// Daemon is the name of the one that the targets are about.
const Daemon = "imds-ready"

// Defaults is the name of the SDK as it comes.
const Defaults = "SDK, defaults"

// Build builds the waiters, and the simulator that they wait for, into a
// directory.
func Build(ctx context.Context, bin string) (simulator string, all []Waiter, err error) {
	daemon, err := program.Daemon(ctx, bin)
	if err != nil {
		return "", nil, err
	}
	sdk, err := program.Own(ctx, "waiter", bin)
	if err != nil {
		return "", nil, err
	}
	simulator, err = program.Own(ctx, "simulator", bin)
	return simulator, list(daemon, sdk), err
}

// Built returns the waiters whose programs Build has put into a directory.
func Built(bin string) []Waiter {
	return list(filepath.Join(bin, "imds-ready"), filepath.Join(bin, "waiter"))
}

// Tuned is the daemon out of such a directory, under a configuration of one's
// own, which has to say where IMDS is.
func Tuned(bin, name, config string) Waiter {
	return daemonAs(filepath.Join(bin, "imds-ready"), name, func(string) string { return config })
}

// Loop is what people write into ExecStartPre=, in its careful form: without the
// two limits, a connection that is never answered holds it for ever.
const Loop = `until TOKEN=$(curl -sf --connect-timeout 1 --max-time 2 -X PUT \
	-H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$URL/latest/api/token") &&
	curl -sf --connect-timeout 1 --max-time 2 -H "X-aws-ec2-metadata-token: $TOKEN" \
	"$URL/latest/dynamic/instance-identity/document" >/dev/null
do sleep 1; done`

// list names them with the programs that they are.
func list(daemon, sdk string) []Waiter {
	return []Waiter{
		daemonAs(daemon, Daemon, func(url string) string { return fmt.Sprintf("[endpoint]\nurl = %q\n", url) }),
		{
			Name: "SDK, 60 attempts, 1 s cap",
			Program: func(dir, url string) (process.Program, error) {
				return process.Program{Path: sdk, Args: []string{"-endpoint", url, "-patient"}, Dir: dir}, nil
			},
		},
		{
			Name: Defaults,
			Program: func(dir, url string) (process.Program, error) {
				return process.Program{Path: sdk, Args: []string{"-endpoint", url}, Dir: dir}, nil
			},
		},
		{
			Name: "curl, sleep 1",
			Program: func(dir, url string) (process.Program, error) {
				return process.Program{Path: "/bin/sh", Args: []string{"-c", Loop}, Env: []string{"URL=" + url}, Dir: dir}, nil
			},
		},
	}
}

func daemonAs(daemon, name string, config func(url string) string) Waiter {
	return Waiter{
		Name: name, SaysReady: true,
		Program: func(dir, url string) (process.Program, error) {
			file := filepath.Join(dir, "imds-ready.toml")
			args := []string{"run", "--config", file, "--directory", filepath.Join(dir, "imds")}
			return process.Program{Path: daemon, Args: args, Dir: dir}, os.WriteFile(file, []byte(config(url)), 0o644)
		},
	}
}
