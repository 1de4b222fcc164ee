// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/report"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// contestant is a program that is measured. In Args, Env and Config, {url} stands for the endpoint, {host} for its host
// and port, and {dir} for the directory of the trial.
type contestant struct {
	Name      string
	Path      string // absolute, or relative to the directory of the built programs
	Args, Env []string
	Config    string // if not empty, the content of {dir}/imds-ready.toml
	Notifies  bool   // it is ready when it sends READY=1, otherwise when it exits
	Product   string // if not empty, a file in {dir} that a successful run leaves
	Isolated  bool   // it runs in a network namespace, because it may look up names
}

// daemon is the name of the contestant that the targets are about, and of its program.
const daemon = "imds-ready"

// endpoint is the daemon's configuration that only says where IMDS is.
const endpoint = "[endpoint]\nurl = \"{url}\"\n"

// unitEnvironment is what the daemon's unit sets.
var unitEnvironment = []string{"GOMAXPROCS=1", "IMDS_READY_BOOT_ID=6a3b1c0e5d2f4a719c8b7e6d5f4c3b2a"}

// configured returns the daemon under a configuration, as its unit starts it.
func configured(name, config string, env ...string) contestant {
	return contestant{
		Name: name, Path: daemon, Args: []string{"run", "--config", "{dir}/imds-ready.toml", "--directory", "{dir}/imds"},
		Env: append(slices.Clone(unitEnvironment), env...), Config: config, Notifies: true, Product: "imds/identity.json",
	}
}

// crawler returns a program that collects the same tree with the SDK.
func crawler(name string, args ...string) contestant {
	args = append([]string{"-endpoint", "{url}", "-out", "{dir}/metadata.json"}, args...)
	return contestant{Name: name, Path: "sdk", Args: args, Product: "metadata.json"}
}

// These wait for the identity document.
var (
	patientSDK = contestant{Name: "SDK, 60 attempts, 1 s cap", Path: "sdk", Args: []string{"-endpoint", "{url}", "-patient"}}
	defaultSDK = contestant{Name: "SDK, defaults", Path: "sdk", Args: []string{"-endpoint", "{url}"}}
	curl       = contestant{Name: "curl, sleep 1", Path: "/bin/sh", Args: []string{"-c", loop}, Env: []string{"URL={url}"}}
)

// loop is a careful form of the loops that people write into ExecStartPre=: without the two limits, a
// connection that is never answered would block it forever.
const loop = `until TOKEN=$(curl -sf --connect-timeout 1 --max-time 2 -X PUT \
	-H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$URL/latest/api/token") &&
	curl -sf --connect-timeout 1 --max-time 2 -H "X-aws-ec2-metadata-token: $TOKEN" \
	"$URL/latest/dynamic/instance-identity/document" >/dev/null
do sleep 1; done`

// cloudInit is the loop of cloud-init's EC2 data source, which then reads the identity document. PYTHONPATH may lead to a
// package that is not installed, but only unpacked.
var cloudInit = contestant{
	Name: "cloud-init", Path: "/usr/bin/python3", Args: []string{"-c", dataSource, "{url}"},
	Env: []string{"PYTHONPATH=" + os.Getenv("PYTHONPATH")}, Isolated: true,
}

// dataSource skips the part of the data source that recognizes AWS by DMI, and gives it the simulator's address only.
const dataSource = `import sys
from cloudinit.sources import DataSourceEc2 as ec2
source = ec2.DataSourceEc2({"datasource": {"Ec2": {"metadata_urls": sys.argv[1:]}}}, None, None)
source._cloud_name = ec2.CloudNames.AWS
if not source.wait_for_metadata_service():
    sys.exit(1)
ec2.uhelp.readurl(source.metadata_address + "/latest/dynamic/instance-identity/document", headers_cb=source._get_headers)`

// importable returns nil if cloud-init's EC2 data source is installed.
func importable(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, cloudInit.Path, "-c", "import cloudinit.sources.DataSourceEc2")
	cmd.Env = cloudInit.Env
	return cmd.Run()
}

// program prepares a run against the IMDS at url.
func (c contestant) program(bin, dir, url string) (process.Program, error) {
	expand := strings.NewReplacer("{dir}", dir, "{url}", url, "{host}", strings.TrimPrefix(url, "http://")).Replace
	p := process.Program{Path: c.Path, Dir: dir}
	if !filepath.IsAbs(p.Path) {
		p.Path = filepath.Join(bin, p.Path)
	}
	for _, arg := range c.Args {
		p.Args = append(p.Args, expand(arg))
	}
	for _, variable := range c.Env {
		p.Env = append(p.Env, expand(variable))
	}
	if c.Config == "" {
		return p, nil
	}
	return p, os.WriteFile(filepath.Join(dir, "imds-ready.toml"), []byte(expand(c.Config)), 0o644)
}

// trial runs contestants in turn against one simulator. It is passed into a network namespace as JSON.
type trial struct {
	Scene       string // the tables group by it
	Contestants []contestant
	Warmup      int           // how many of them run first without counting
	Simulator   []string      // arguments
	Outage      time.Duration // until IMDS is up, from the start of the simulator, or of the run if Network.Address is set
	Limit       time.Duration // after which a run is cut
	Required    bool          // it is an error if a contestant is not ready
	Network     network       // if not the zero value, the trial runs in a network namespace of its own
	Bin, Dir    string        // the directories of the programs and of this trial
}

// network describes a network namespace.
type network struct {
	Watch   string // if not empty, the interface whose packets are counted
	Peer    bool   // the simulator has another namespace, joined by a veth pair
	Address string // if not empty, the address of IMDS, which is added to lo after the outage
	Own     bool   // the namespace has lo only; for trials without another reason to have one
	Both    bool   // lo has the addresses of IMDS of both families from the beginning
	Changes int    // addresses that come and go on lo during a run, evenly up to its limit
}

// The addresses of IMDS, which only a network namespace of a trial may have.
var ipv4, ipv6 = netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd00:ec2::254")

// measurement is the outcome of one run.
type measurement struct {
	Scene, Contestant string
	process.Result
	// Done is the time from the start until the contestant was ready, Lag the time from IMDS up until then. They mean
	// nothing if it exited without being ready (GaveUp) or was cut at the limit (Stuck).
	Done, Lag     time.Duration
	GaveUp, Stuck bool
	Requests      sim.Counts
	Latency       float64 // of the simulator, measured, in seconds
	Size          int64   // of the program, in bytes
	// Packets were sent on the watched interface; SYNs are those that asked for a connection. The peaks are the most in
	// any window of one second.
	Packets, PacketPeak, SYNs, SYNPeak int
}

// measure does a trial, in a network namespace if it needs one.
func (t trial) measure(ctx context.Context) (all measurements, err error) {
	if t.Network == (network{}) {
		return t.here(ctx)
	}
	arg, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	out, err := netns.Output(ctx, string(arg))
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(out, &all)
	return all, err
}

// here does a trial in this network namespace.
func (t trial) here(ctx context.Context) (all measurements, err error) {
	attr := netns.Attr()
	if !t.Network.Peer {
		attr = nil
	}
	if t.Network.Both {
		if err := errors.Join(netns.Add("lo:1", ipv4), netns.AddIPv6(ctx, "lo", ipv6)); err != nil {
			return nil, err
		}
	}
	server, err := sim.Start(ctx, attr, filepath.Join(t.Bin, "simulator"), t.Simulator...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if t.Network.Peer {
		server.URL = "http://" + netns.Peer
		if err := netns.Join(ctx, server.PID()); err != nil {
			return nil, err
		}
	} else if t.Network.Address != "" {
		server.URL = "http://" + t.Network.Address
	}
	for _, c := range t.Contestants {
		m, err := t.once(ctx, c, server)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		all = append(all, m)
	}
	return all[t.Warmup:], nil
}

// once runs a contestant in a directory that is removed again.
func (t trial) once(ctx context.Context, c contestant, server *sim.Simulator) (m measurement, err error) {
	m = measurement{Scene: t.Scene, Contestant: c.Name, Latency: server.Latency}
	if err := os.Mkdir(t.Dir, 0o755); err != nil {
		return m, err
	}
	defer os.RemoveAll(t.Dir)
	p, err := c.program(t.Bin, t.Dir, server.URL)
	if err != nil {
		return m, err
	}
	info, err := os.Stat(p.Path)
	if err != nil {
		return m, err
	}
	m.Size = info.Size()
	up, err := m.run(ctx, t, p, server.Start+t.Outage.Seconds())
	if err == nil {
		err = m.judge(t, c, up)
	}
	if err != nil {
		return m, err
	}
	m.Requests, err = server.Take()
	return m, err
}

// errLimit is the cause of cutting a run at its limit.
var errLimit = errors.New("the time limit of the run is over")

// run runs the program, while the network changes and packets are counted. It returns when IMDS is up, in seconds of
// CLOCK_MONOTONIC: that is up, unless the network decides it. It is not an error if the run is cut at the limit.
func (m *measurement) run(ctx context.Context, t trial, p process.Program, up float64) (float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.Limit, errLimit)
	defer cancel()
	changed := make(chan error, 1)
	go func() { changed <- t.change(ctx, &up) }()
	var sent, syns []time.Duration
	var err, unseen error
	run := func() { m.Result, err = process.Run(ctx, p) }
	if t.Network.Watch == "" {
		run()
	} else {
		sent, syns, unseen = netns.Watch(t.Network.Watch, run)
	}
	cancel() // even if Watch fails before the run
	m.Packets, m.PacketPeak = len(sent), report.Busiest(sent)
	m.SYNs, m.SYNPeak = len(syns), report.Busiest(syns)
	if m.Stuck = errors.Is(err, errLimit); m.Stuck {
		err = nil
	}
	err = errors.Join(err, <-changed, unseen)
	return up, err
}

// change adds addresses to lo until ctx ends. If one is that of IMDS, it sets up to the time, or to infinity if ctx ends
// before.
func (t trial) change(ctx context.Context, up *float64) error {
	late, n := t.Network.Address != "", t.Network.Changes
	every, began := t.Limit/time.Duration(max(1, n)), time.Now()
	if late {
		n, every, *up = 1, t.Outage, math.Inf(1)
	}
	for i := range n {
		select {
		case <-time.After(time.Until(began.Add(every * time.Duration(i+1)))):
		case <-ctx.Done():
			return nil
		}
		addr := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) // of TEST-NET-2 (RFC 5737), which is not routed
		if late {
			addr = netip.MustParseAddr(t.Network.Address)
			*up = sim.Monotonic(time.Now()) // the lag includes the system call
		}
		if err := netns.Add("lo:1", addr); err != nil {
			return err
		}
	}
	return nil
}

// judge decides how a run ended. It is an error if the contestant was ready before IMDS was up: then the simulator does
// not work.
func (m *measurement) judge(t trial, c contestant, up float64) error {
	m.Done = m.Exit
	if c.Notifies {
		m.Done = m.Ready
	}
	m.GaveUp = !m.Stuck && (m.Code != 0 || m.Done == 0)
	if m.GaveUp || m.Stuck {
		if t.Required {
			return fmt.Errorf("not ready after %v, exit code %d; it printed:\n%s", m.Exit, m.Code, m.Printed)
		}
		return nil
	}
	lag := sim.Monotonic(m.Started.Add(m.Done)) - up
	if lag < 0 {
		return fmt.Errorf("ready %.3f s before IMDS was up; it printed:\n%s", -lag, m.Printed)
	}
	m.Lag = time.Duration(lag * float64(time.Second))
	_, err := os.Stat(filepath.Join(t.Dir, c.Product))
	return err
}
