// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/capture"
	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
	"github.com/imds-ready/imds-ready/bench/internal/waiters"
)

// configuration is a way to crawl. The addresses are of TEST-NET-1 (RFC 5737):
// nobody's.
type configuration struct {
	name, toml string
	pps        int // requests_per_second
}

const (
	ours   = "192.0.2.1/30"
	theirs = "192.0.2.2/30"
	toml   = "[endpoint]\nurl = \"http://192.0.2.2\"\n"
	device = "bench0"
	peer   = "bench1"
)

// defaults is the place of the configuration that the target is about.
const defaults = 0

func configurations() []configuration {
	return []configuration{
		{"imds-ready", toml, 160},
		{"imds-ready, as fast as it is allowed to", toml + "\n[metadata]\nrequests_per_second = 200\nconcurrency = 16\n", 200},
	}
}

// crawl is one crawl. The packets are those that left the daemon's side.
type crawl struct {
	Config   int           `json:"config"`
	Took     time.Duration `json:"took_nanoseconds"` // to READY=1
	Packets  int           `json:"packets"`
	Peak     int           `json:"peak_per_second"` // in any one second
	Requests int           `json:"requests"`
	Busiest  int           `json:"requests_per_second"` // in any one second
}

// inside is one crawl, in a namespace that was made for it. It prints a crawl as
// JSON.
func inside(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet(netns.Inside, flag.ContinueOnError)
	bin := flags.String("bin", "", "where the programs are")
	dir := flags.String("dir", "", "a directory of its own")
	which := flags.Int("config", 0, "which configuration")
	interfaces := flags.Int("interfaces", 0, "network interfaces besides the tree's two")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := netns.Alone(); err != nil { // before anything else
		return err
	}
	c, err := try(ctx, *bin, *dir, *which, *interfaces)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(c)
}

// try starts the simulator in one more namespace, joins the two, and crawls.
func try(ctx context.Context, bin, dir string, which, interfaces int) (c crawl, err error) {
	server, err := sim.StartWith(ctx, netns.Attr(), filepath.Join(bin, "simulator"), "-listen", "0.0.0.0:80", "-interfaces", fmt.Sprint(interfaces))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := join(ctx, server.PID()); err != nil {
		return c, err
	}
	p, err := waiters.Tuned(bin, waiters.Daemon, configurations()[which].toml).Program(dir, "")
	if err != nil {
		return c, err
	}
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	before, err := capture.Total(device)
	if err != nil {
		return c, err
	}
	watched, err := capture.Start(device)
	if err != nil {
		return c, err
	}
	r, err := process.Run(limited, p)
	after, failed := capture.Total(device) // first: all of these have to be seen
	sent, unseen := watched.Stop()
	if err := errors.Join(err, unseen, failed); err != nil {
		return c, err
	}
	if r.Code != 0 || r.Ready == 0 {
		return c, fmt.Errorf("imds-ready was not ready: exit code %d; it printed:\n%s", r.Code, r.Tail())
	}
	if after-before > len(sent) {
		return c, fmt.Errorf("%d packets were sent, only %d of them were seen", after-before, len(sent))
	}
	counts, err := server.Take()
	if err != nil {
		return c, err
	}
	return crawl{
		Config: which, Took: r.Ready, Packets: len(sent), Peak: capture.Busiest(sent, time.Second),
		Requests: counts.PUTs + counts.GETs + counts.Others, Busiest: counts.Peak,
	}, nil
}

// join makes the pair. Without the limit of one segment, what the kernel would
// cut on the way out of a real interface would count as one packet.
func join(ctx context.Context, pid int) error {
	there := fmt.Sprintf("nsenter --net=/proc/%d/ns/net ip ", pid)
	for _, line := range []string{
		fmt.Sprintf("ip link add %s gso_max_segs 1 type veth peer name %s gso_max_segs 1 netns %d", device, peer, pid),
		"ip address add " + ours + " dev " + device,
		"ip link set " + device + " up",
		there + "address add " + theirs + " dev " + peer,
		there + "link set " + peer + " up",
	} {
		words := strings.Fields(line)
		if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("joining two network namespaces: %s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
