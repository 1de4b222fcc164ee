// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// exitLocked is the exit code of a daemon whose directory is locked by another one.
const exitLocked = 75

// races is how many pairs of daemons race at the same time, each in a directory of its own.
const races = 5

// pairs starts two daemons in one directory.
func (t *torture) pairs(ctx context.Context) {
	rounds := 50
	if t.short {
		rounds = 10
	}
	t.second(ctx)
	var wrong problems
	var firstWins atomic.Int64
	var racing sync.WaitGroup
	for lane := range races { // because a loser gives up after 2 s, in which it only sleeps
		racing.Go(func() {
			for round := lane; round < rounds; round += races {
				if t.race(ctx, round, &wrong) == 0 {
					firstWins.Add(1)
				}
			}
		})
	}
	racing.Wait()
	t.check(wrong.list, "two daemons started at once, %d times: one ends with %d, the other is ready (the first one %d times)", rounds, exitLocked, firstWins.Load())
}

// started is a daemon that was started.
type started struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{}
}

// start starts a daemon.
func (t *torture) start(ctx context.Context, p place) (*started, error) {
	return start(t.command(ctx, p.daemonArgs()...))
}

// start starts a process.
func start(cmd *exec.Cmd) (*started, error) {
	d := &started{cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &d.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(d.ended)
		_ = cmd.Wait()
	}()
	return d, nil
}

// stop kills the daemon if it still runs, and waits for its end.
func (d *started) stop() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}

// endsWithin reports whether the daemon ends within the limit.
func (d *started) endsWithin(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.ended:
		return true
	case <-timer.C:
		return false
	}
}

// second starts a daemon while the first one waits.
func (t *torture) second(ctx context.Context) {
	s := serve(stamped("b1r1"))
	defer s.close()
	s.down.Store(true)
	p := t.newPlace(s.url, "")
	defer p.remove()
	first, err := t.start(ctx, p)
	if err != nil {
		t.fact(false, "the first of two daemons: %v", err)
		return
	}
	defer first.stop()
	p.awaitStatus(ctx)
	before, err := snapshot.ReadStatus(p.dir)
	second := t.run(ctx, p.daemonArgs()...)
	after, errAfter := snapshot.ReadStatus(p.dir)
	pid := first.cmd.Process.Pid
	t.fact(second.Exit == exitLocked && strings.Contains(second.Stderr, "holds it"),
		"a second daemon ends with %d and names the reason: exit %d", exitLocked, second.Exit)
	t.fact(err == nil && errAfter == nil && before.PID != nil && after.PID != nil && *before.PID == pid && *after.PID == pid &&
		after.State == snapshot.Waiting && after.StartedAt.Equal(*before.StartedAt),
		"status.json stays that of the first daemon: %v %v", err, errAfter)
	s.down.Store(false)
	ended := first.endsWithin(20 * time.Second)
	st, err := snapshot.ReadStatus(p.dir)
	t.fact(ended && first.cmd.ProcessState.ExitCode() == 0 && err == nil && st.State == snapshot.Ready,
		"the first daemon is ready afterwards: %s %v", st.State, err)
}

// race starts two daemons at the same time and returns the index of the one that locked the
// directory, or -1 after an error.
func (t *torture) race(ctx context.Context, round int, wrong *problems) int {
	s := serve(stamped("b1r1"))
	defer s.close()
	s.down.Store(true) // so that the winner still runs when the other daemon starts
	p := t.newPlace(s.url, "")
	defer p.remove()
	var daemons [2]*started
	for i := range daemons {
		d, err := t.start(ctx, p)
		if err != nil {
			wrong.add("round %d: %v", round, err)
			return -1
		}
		defer d.stop()
		daemons[i] = d
	}
	var winner int
	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	select {
	case <-daemons[0].ended:
		winner = 1
	case <-daemons[1].ended:
		winner = 0
	case <-timer.C:
		wrong.add("round %d: both daemons run", round)
		return -1
	}
	loser := daemons[1-winner]
	if code := loser.cmd.ProcessState.ExitCode(); code != exitLocked {
		wrong.add("round %d: the loser ends with %d: %s", round, code, loser.stderr.String())
	}
	s.down.Store(false)
	if !daemons[winner].endsWithin(20*time.Second) || daemons[winner].cmd.ProcessState.ExitCode() != 0 {
		daemons[winner].stop()
		wrong.add("round %d: the winner ends with %v: %s", round, daemons[winner].cmd.ProcessState, daemons[winner].stderr.String())
	}
	if st, err := snapshot.ReadStatus(p.dir); err != nil || st.State != snapshot.Ready || st.Generation != 1 {
		wrong.add("round %d: state %q, generation %d: %v", round, st.State, st.Generation, err)
	}
	if v, err := snapshot.Open(p.dir, snapshot.BootID()); err != nil {
		wrong.add("round %d: %v", round, err)
	} else if region, err := v.Lookup("placement/region"); err != nil || region != "b1r1" {
		wrong.add("round %d: region %v: %v", round, region, err)
	}
	return winner
}
