// SPDX-License-Identifier: Apache-2.0

// Command torture runs the daemon and the readers under conditions that a boot
// should never bring: kills at random moments, a full disk, no inodes, too few file
// descriptors, two daemons in one directory, a gate with refreshes and a watch, and a
// hostile server. It also runs the fuzz targets of this module.
//
// It prints one line for each fact and exits with 1 if one does not hold. It needs
// root, because everything runs in a network namespace with only the interface lo and
// in a mount namespace, which it makes itself.
//
//	go run ./test/torture          at most 5 minutes
//	go run ./test/torture -short   at most 2 minutes
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The time limits of the two forms, without the build.
const (
	longLimit  = 5 * time.Minute
	shortLimit = 2 * time.Minute
)

// exitCannotRun means that nothing was tested.
const exitCannotRun = 77

// The first argument with which the program starts itself again.
const (
	insideCommand  = "inside"
	measureCommand = "measure"
)

func main() {
	switch args := os.Args[1:]; {
	case len(args) > 0 && args[0] == measureCommand:
		os.Exit(measureMain(args[1:]))
	case len(args) > 0 && args[0] == insideCommand:
		os.Exit(inside(args[1:]))
	default:
		os.Exit(outside(args))
	}
}

// settings are the values of the flags.
type settings struct {
	short bool
	only  string // a comma-separated list of sections
	match string // a part of the names of hostile servers and faults
	work  string // the directory of this run, which contains the binaries
	seed  uint64
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.BoolVar(&s.short, "short", false, "run the short form")
	flags.StringVar(&s.only, "only", "", "run these `SECTIONS` only: kills, disk, descriptors, pairs, trio, hostile, faults, fuzz")
	flags.StringVar(&s.match, "match", "", "use only the hostile servers and faults whose names contain this `TEXT`")
	flags.StringVar(&s.work, "work", "", "internal: the `DIRECTORY` of the run")
	flags.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "the `SEED` of the random moments")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s, err
}

// outside builds the programs and starts this program again in new namespaces.
func outside(args []string) int {
	s, err := parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return 64
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "torture: must run as root, because it makes its own network and mount namespaces; nothing was tested")
		return exitCannotRun
	}
	work, err := os.MkdirTemp("", "imds-torture.")
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return exitCannotRun
	}
	defer os.RemoveAll(work)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	self, err := os.Executable()
	if err == nil {
		err = build(ctx, s, work)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture: building:", err)
		return 1
	}
	again := append([]string{insideCommand, "-work", work, "-seed", fmt.Sprint(s.seed)}, args...)
	cmd := exec.CommandContext(ctx, self, again...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET, Unshareflags: unix.CLONE_NEWNS, // Unshareflags also makes all mounts private
		Pdeathsig: syscall.SIGKILL,
	}
	err = cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		fmt.Fprintln(os.Stderr, "torture: making the namespaces:", err)
		return exitCannotRun
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 1
}

// build builds the daemon and the instrumented tests with the fuzz targets. It runs before
// the network namespace exists, because a build may need the network, and its time does not
// count toward the limit.
func build(ctx context.Context, s settings, work string) error {
	builds := [][]string{{"build", "-trimpath", "-o", filepath.Join(work, "imds-ready"), "./cmd/imds-ready"}}
	if s.wants("fuzz") {
		targets, err := fuzzTargets()
		if err != nil {
			return err
		}
		for dir := range targets {
			builds = append(builds, []string{"test", "-c", "-fuzz=.", "-o", fuzzBinary(work, dir), "./" + dir})
		}
	}
	for _, args := range builds {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// wants reports whether a section runs.
func (s settings) wants(section string) bool {
	return s.only == "" || slices.Contains(strings.Split(s.only, ","), section)
}

// torture is one run inside the namespaces.
type torture struct {
	settings
	report
	daemon string // the binary
	random *rand.Rand
}

// section is a part of the run that -only can select.
type section struct {
	name string
	run  func(context.Context)
}

// inside checks that no packet can leave and runs the sections.
func inside(args []string) int {
	s, err := parse(args)
	if err == nil {
		err = isolate()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		return exitCannotRun
	}
	t := &torture{
		settings: s, daemon: filepath.Join(s.work, "imds-ready"),
		random: rand.New(rand.NewPCG(s.seed, 0)),
	}
	t.note("seed %d", s.seed)
	limit := longLimit
	if s.short {
		limit = shortLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	start := time.Now()
	sections := [][]section{
		{{"kills", t.kills}},
		{{"disk", t.fullDisks}},
		{{"descriptors", t.descriptors}},
		{{"pairs", t.pairs}},
		{{"trio", t.trio}},
		{{"hostile", t.hostile}, {"faults", t.faults}, {"fuzz", t.fuzz}},
	}
	for _, together := range sections {
		var running sync.WaitGroup
		for _, s := range together {
			if t.wants(s.name) && ctx.Err() == nil {
				running.Go(func() {
					began := time.Now()
					s.run(ctx)
					t.note("%s: %.1f s", s.name, time.Since(began).Seconds())
				})
			}
		}
		running.Wait()
	}
	t.fact(ctx.Err() == nil, "everything ended within %v: %.0f s", limit, time.Since(start).Seconds())
	return t.end()
}

// isolate brings up lo and refuses to continue if any other interface exists: the
// daemon must never reach a real IMDS from here.
func isolate() error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("listing the network interfaces: %w", err)
	}
	if len(all) != 1 || all[0].Name != "lo" {
		return errors.New("this network namespace has interfaces besides lo: start torture without the argument " + insideCommand)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bringing up lo: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bringing up lo: %w", err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bringing up lo: %w", err)
	}
	return nil
}
