// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/snapshot"
)

// descriptors runs the daemon with few file descriptors.
func (t *torture) descriptors(ctx context.Context) {
	sim, url, err := simulate()
	if err != nil {
		t.fact(false, "starting the simulator: %v", err)
		return
	}
	defer sim.Close()
	for _, limit := range []int{8, 9, 10, 11, 12, 16} {
		t.fewDescriptors(ctx, url, limit)
	}
	t.moreDescriptors(ctx)
}

// limited returns the daemon with a limit of file descriptors.
func (t *torture) limited(ctx context.Context, p place, limit int) *exec.Cmd {
	args := append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, limit), "sh", t.daemon}, p.daemonArgs()...)
	return contained(exec.CommandContext(ctx, "sh", args...))
}

// fewDescriptors runs the daemon with a constant limit.
func (t *torture) fewDescriptors(ctx context.Context, url string, limit int) {
	p := t.newPlace(url, "retry.deadline = \"1s\"\nmetadata.collect_deadline = \"1s\"\n")
	defer p.remove()
	r := finish(t.limited(ctx, p, limit))
	st, err := snapshot.ReadStatus(p.dir)
	var wrong []string
	switch {
	case strings.Contains(r.Stderr, "goroutine "):
		wrong = append(wrong, "it crashed: "+r.Stderr)
	case r.Exit == 0:
		if err != nil || st.State != snapshot.Ready {
			wrong = append(wrong, fmt.Sprintf("exit 0 with %q %v", st.State, err))
		}
	case r.Exit == 75: // it gave up at the deadline
		if err != nil || st.State != snapshot.Failed || st.Errors["local-error"] < 2 {
			wrong = append(wrong, fmt.Sprintf("exit 75 with %q, errors %v, %v: %s", st.State, st.Errors, err, r.Stderr))
		}
	case r.Exit == exitCannotWrite && strings.Contains(r.Stderr, "too many open files"):
		if err == nil && st.State == snapshot.Waiting {
			wrong = append(wrong, "status.json says waiting")
		}
	default:
		wrong = append(wrong, fmt.Sprintf("exit %d with %q %v: %s", r.Exit, st.State, err, r.Stderr))
	}
	t.check(wrong, "%d file descriptors: exit %d, state %q, errors %v", limit, r.Exit, st.State, st.Errors)
}

// moreDescriptors prevents a waiting daemon from opening files until it has logged three
// failures.
func (t *torture) moreDescriptors(ctx context.Context) {
	s := serve(stamped("b1r1"))
	defer s.close()
	s.down.Store(true)
	p := t.newPlace(s.url, "retry.deadline = \"20s\"\n")
	defer p.remove()
	cmd := t.command(ctx, append(p.daemonArgs(), "--log-level", "debug")...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.fact(false, "starting a daemon that loses its file descriptors: %v", err)
		return
	}
	stop := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()
	var before, few unix.Rlimit
	var wrong, log []string
	limit := func(set, old *unix.Rlimit) {
		if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_NOFILE, set, old); err != nil {
			wrong = append(wrong, fmt.Sprintf("prlimit: %v", err))
		}
	}
	failures := 0
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log = append(log, lines.Text())
		switch {
		case few.Max == 0 && strings.Contains(lines.Text(), "class=503"):
			limit(nil, &before)
			few = unix.Rlimit{Cur: 3, Max: before.Max}
			limit(&few, nil)
		case strings.Contains(lines.Text(), "class=local-error"):
			if failures++; failures == 3 {
				s.down.Store(false)
				limit(&before, nil)
			}
		}
	}
	_ = cmd.Wait()
	st, err := snapshot.ReadStatus(p.dir)
	if code := cmd.ProcessState.ExitCode(); code != 0 || err != nil || st.State != snapshot.Ready || st.Errors["local-error"] == 0 {
		wrong = append(wrong, fmt.Sprintf("exit %d, state %q, %v", code, st.State, err))
		wrong = append(wrong, log[max(0, len(log)-3):]...)
	}
	t.check(wrong, "a daemon that cannot open files for a while retries and becomes ready: errors %v", st.Errors)
}
