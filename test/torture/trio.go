// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// watchedPath is a path that watch asks for.
const watchedPath = "meta-data/tags/instance/Name"

// trio runs the gate, refreshes and watch at the same time in one directory. It kills them
// and stops them at random moments, while the server counts up.
func (t *torture) trio(ctx context.Context) {
	long := 45 * time.Second
	if t.short {
		long = 8 * time.Second
	}
	s := serve(stamped("b1r1"))
	defer s.close()
	p := t.newPlace(s.url, fmt.Sprintf("[watch]\npaths = [%q]\ninterval = \"1s\"\n", watchedPath))
	defer p.remove()
	tr := &threesome{torture: t, server: s, place: p, boot: snapshot.BootID(), newest: map[string]int{}}

	first := t.run(ctx, p.daemonArgs()...)
	before, err := os.Stat(p.dir)
	if err != nil || first.Exit != 0 {
		t.fact(false, "the first gate is ready: exit %d, %v: %s", first.Exit, err, first.Stderr)
		return
	}
	during, stop := context.WithTimeout(ctx, long)
	defer stop()
	var running sync.WaitGroup
	actor := func(pause time.Duration, act func(context.Context, *rand.Rand)) {
		random := rand.New(rand.NewPCG(t.seed, t.random.Uint64()))
		running.Go(func() {
			for during.Err() == nil {
				act(during, random)
				sleep(during, time.Duration(random.Int64N(int64(pause))))
			}
		})
	}
	actor(40*time.Millisecond, func(context.Context, *rand.Rand) {
		s.answer.Store(stamped(fmt.Sprintf("b1r%d", tr.revision.Add(1)+1)))
	})
	actor(600*time.Millisecond, func(ctx context.Context, r *rand.Rand) {
		tr.disturb(ctx, r, &tr.gates, []int{0}, p.daemonArgs()...)
	})
	for range 2 {
		actor(100*time.Millisecond, func(ctx context.Context, r *rand.Rand) {
			tr.disturb(ctx, r, &tr.refreshes, []int{0, 75}, p.args("refresh", "--now")...)
		})
	}
	actor(100*time.Millisecond, func(ctx context.Context, r *rand.Rand) {
		tr.disturb(ctx, r, &tr.watches, nil, p.args("watch")...)
	})
	for range 2 {
		actor(4*time.Millisecond, func(context.Context, *rand.Rand) { tr.read() })
	}
	running.Wait()

	t.check(tr.wrong.list, "%d gates, %d refreshes and %d watches at the same time, %d of them killed and %d stopped for a while: none failed because of another, and %d reads saw complete files and no value that is older than one before",
		tr.gates.Load(), tr.refreshes.Load(), tr.watches.Load(), tr.killed.Load(), tr.stopped.Load(), tr.reads.Load())
	t.fact(tr.gates.Load() > 2 && tr.refreshes.Load() > 4 && tr.watches.Load() > 2 && tr.killed.Load() > 2 && tr.stopped.Load() > 2 && tr.reads.Load() > 50,
		"all of them were running, and all was done to them")
	tr.settle(ctx, before)
}

// threesome is the state of the section trio.
type threesome struct {
	*torture
	server *server
	place  place
	boot   string

	revision                                          atomic.Int64
	gates, refreshes, watches, killed, stopped, reads atomic.Int64
	wrong                                             problems

	mu         sync.Mutex
	newest     map[string]int // the newest revision of each value that a reader saw
	generation int
}

// disturb runs a command and lets it end, or kills it, or stops it for a while, at a random
// moment. codes are the exit codes that it may end with; if there are none, it must run
// until it is killed.
func (tr *threesome) disturb(ctx context.Context, random *rand.Rand, count *atomic.Int64, codes []int, args ...string) {
	cmd := tr.command(context.WithoutCancel(ctx), append(args, "--log-level", "error")...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		tr.wrong.add("%v", err)
		return
	}
	count.Add(1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	within := 80 * time.Millisecond
	if codes == nil {
		within = 2 * time.Second
	}
	what := random.IntN(4)
	await(ctx, ended, time.Duration(random.Int64N(int64(within))))
	if what > 1 && cmd.Process.Signal(syscall.SIGSTOP) == nil {
		tr.stopped.Add(1)
		await(ctx, ended, time.Duration(random.Int64N(int64(300*time.Millisecond))))
		_ = cmd.Process.Signal(syscall.SIGCONT)
	}
	if what%2 == 1 || codes == nil {
		_ = cmd.Process.Kill()
	}
	<-ended
	tr.judge(cmd, codes, stderr.String())
}

// judge checks how a command ended.
func (tr *threesome) judge(cmd *exec.Cmd, codes []int, stderr string) {
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() && status.Signal() == syscall.SIGKILL {
		tr.killed.Add(1)
		return
	}
	for _, code := range codes {
		if cmd.ProcessState.ExitCode() == code {
			return
		}
	}
	tr.wrong.add("imds-ready %s ended with %v: %s", cmd.Args[1], cmd.ProcessState, stderr)
}

// await sleeps for d, or until ended is closed or the context ends.
func await(ctx context.Context, ended <-chan struct{}, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ended:
	case <-ctx.Done():
	}
}

// sleep sleeps for d, or until the context ends.
func sleep(ctx context.Context, d time.Duration) { await(ctx, nil, d) }

// read reads everything once.
func (tr *threesome) read() {
	tr.mu.Lock() // so that the order of the reads is the order in which they are judged
	defer tr.mu.Unlock()
	tr.reads.Add(1)
	v, err := snapshot.Open(tr.place.dir, tr.boot)
	for tries := 1; err != nil && tries < 3; tries++ { // it gives up if the files are replaced during each of its reads
		v, err = snapshot.Open(tr.place.dir, tr.boot)
	}
	if err != nil {
		tr.wrong.add("Open: %v", err)
		return
	}
	if g := v.Status().Generation; g < tr.generation {
		tr.wrong.add("generation %d after %d", g, tr.generation)
	} else {
		tr.generation = g
	}
	for _, key := range []string{"identity", "meta-data"} {
		value, err := v.Lookup(key)
		_, absent := errors.AsType[*snapshot.KeyError](err)
		if absent || errors.Is(err, snapshot.ErrReplaced) {
			continue
		}
		if err != nil {
			tr.wrong.add("Open: %s: %v", key, err)
			continue
		}
		tr.ages(key, value)
	}
	tr.raw(snapshot.EnvFile)
	tr.raw(filepath.Join(snapshot.WatchDir, watchedPath))
}

// raw reads a file as a script does.
func (tr *threesome) raw(name string) {
	data, err := os.ReadFile(filepath.Join(tr.place.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	text := string(data)
	switch {
	case err != nil:
		tr.wrong.add("%v", err)
	case name == snapshot.EnvFile:
		if !strings.HasPrefix(text, "IMDS_STATE=") || !strings.HasSuffix(text, "\n") {
			tr.wrong.add("%s is not complete: %.100q", name, text)
		}
	default:
		if stamp.FindString(text) != text {
			tr.wrong.add("%s is not complete: %.100q", name, text)
		}
		tr.ages(name, text)
	}
}

// ages checks that no value is older than one that was read before.
func (tr *threesome) ages(key string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, below := range value {
			tr.ages(key+"/"+name, below)
		}
	case string:
		_, text, _ := strings.Cut(stamp.FindString(value), "r")
		n, err := strconv.Atoi(text)
		if err != nil {
			return // a value that does not count
		}
		if n < tr.newest[key] {
			tr.wrong.add("%s is of revision %d after one of %d", key, n, tr.newest[key])
		}
		tr.newest[key] = max(n, tr.newest[key])
	}
}

// settle checks what is left when everything has ended and a last gate, refresh and watch
// have run undisturbed.
func (tr *threesome) settle(ctx context.Context, before fs.FileInfo) {
	gate := tr.run(ctx, append(tr.place.daemonArgs(), "--log-level", "warn")...)
	refresh := tr.run(ctx, tr.place.args("refresh", "--now", "--log-level", "warn")...)
	tr.fact(gate.Exit == 0 && refresh.Exit == 0, "a last gate and a last refresh succeed: exit %d and %d %s%s", gate.Exit, refresh.Exit, gate.Stderr, refresh.Stderr)
	last := fmt.Sprintf("b1r%d", tr.revision.Load()+1)

	cmd := tr.command(ctx, tr.place.args("watch")...)
	watched := ""
	if err := cmd.Start(); err == nil {
		for range 100 {
			data, _ := os.ReadFile(filepath.Join(tr.place.dir, snapshot.WatchDir, watchedPath))
			if watched = string(data); watched == last {
				break
			}
			sleep(ctx, 100*time.Millisecond)
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	_, left := os.Stat(filepath.Join(tr.place.dir, snapshot.WatchDir, snapshot.StatusFile))
	tr.fact(watched == last && errors.Is(left, fs.ErrNotExist), "a last watch sees %s, and %q is in its file; it removes its status.json: %v", last, watched, left)

	v, err := snapshot.Open(tr.place.dir, tr.boot)
	if err != nil {
		tr.fact(false, "the files can be read: %v", err)
		return
	}
	var found []byte
	value, err := v.Lookup("meta-data")
	if err == nil {
		found, err = json.Marshal(value)
	}
	tr.fact(err == nil && oneCollection(func(s string) bool { return s == last }, string(found)) == nil && stamp.Match(found), "all files have the values of %s: %v", last, err)
	after, err := os.Stat(tr.place.dir)
	tr.fact(err == nil && os.SameFile(before, after) && before.Mode() == after.Mode(), "the directory is the same, with the same mode: %v", err)
	names, err := temporaries(tr.place.dir)
	tr.fact(err == nil && len(names) == 0, "no temporary files are left: %v %v", names, err)
}
