// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// The paths that watch asks for. The second exists in even revisions only.
const (
	watchedPath  = "meta-data/tags/instance/Name"
	flappingPath = "meta-data/spot/instance-action"
)

// exitNoDirectory is the exit code of a watch that starts before any gate has made the directory.
const exitNoDirectory = 77

// trio runs the gate, refreshes and watch at the same time in one directory, in six boots that
// start them in every order. It kills them and stops them at random moments, while the server
// counts up.
func (t *torture) trio(ctx context.Context) {
	long := 6500 * time.Millisecond
	if t.short {
		long = 1200 * time.Millisecond
	}
	s := serve(stamped("b0r0"))
	defer s.close()
	p := t.newPlace(s.url, fmt.Sprintf("metadata.user_data = true\n[watch]\npaths = [%q, %q]\ninterval = \"1s\"\n", watchedPath, flappingPath))
	defer p.remove()
	bootFile, restore, err := plantBootID(t.work)
	if err != nil {
		t.fact(false, "replacing the boot ID: %v", err)
		return
	}
	defer restore()
	tr := &threesome{torture: t, server: s, place: p, newest: map[string]int{}}
	for boot, order := range [][]string{
		{"watch", "refresh", "gate"}, // in a directory that does not exist yet
		{"gate", "refresh", "watch"},
		{"gate", "watch", "refresh"},
		{"refresh", "gate", "watch"},
		{"refresh", "watch", "gate"},
		{"watch", "gate", "refresh"},
	} {
		tr.boot, tr.id, tr.generation, tr.seen = boot+1, fmt.Sprintf("00000000-0000-4000-8000-%012d", boot+1), 0, false
		if err := os.WriteFile(bootFile, []byte(tr.id+"\n"), 0o644); err != nil {
			tr.wrong.add("%v", err)
			break
		}
		tr.count()
		tr.run(ctx, order, long)
	}
	t.check(tr.wrong.list, "%d gates, %d refreshes and %d watches at the same time in %d boots, %d of them killed, %d stopped for a while and %d inside the lock: none failed because of another, "+
		"and %d reads saw complete files of this boot and no value that is older than one before (%d compared them with status.json)",
		tr.gates.Load(), tr.refreshes.Load(), tr.watches.Load(), tr.boot, tr.killed.Load(), tr.stopped.Load(), tr.inside.Load(), tr.reads.Load(), tr.compared.Load())
	t.fact(tr.gates.Load() > 6 && tr.refreshes.Load() > 6 && tr.watches.Load() > 6 && tr.killed.Load() > 6 && tr.stopped.Load() > 6 && tr.reads.Load() > 50 && tr.directory != nil,
		"all of them were running, and all was done to them")
	if tr.directory == nil {
		return
	}
	tr.hold(ctx, syscall.SIGKILL)
	if !t.short {
		tr.hold(ctx, syscall.SIGCONT)
	}
	tr.settle(ctx)
}

// threesome is the state of the section trio.
type threesome struct {
	*torture
	server *server
	place  place
	boot   int    // the number of the current boot
	id     string // its ID

	revision                                                            atomic.Int64
	gates, refreshes, watches, killed, stopped, inside, reads, compared atomic.Int64
	refreshing                                                          atomic.Int64 // the number of refreshes that run now
	lastKill                                                            atomic.Int64 // when a refresh was last killed, in milliseconds
	wrong                                                               problems

	mu         sync.Mutex
	newest     map[string]int // the newest revision of each value that a reader saw
	generation int
	seen       bool        // whether there was a status of this boot
	directory  fs.FileInfo // what it was at first
}

// count makes the server answer with the next revision, and returns its stamp.
func (tr *threesome) count() string {
	revision := tr.revision.Add(1)
	text := fmt.Sprintf("b%dr%d", tr.boot, revision)
	tree := stamped(text)
	tr.server.answer.Store(answer(func(path string) (int, string, map[string]string) {
		switch {
		case path == flappingPath && revision%2 == 0:
			return 0, text, nil
		case path == flappingPath:
			return http.StatusNotFound, "", nil
		}
		return tree(path)
	}))
	return text
}

// run is one boot: it starts the commands in an order and disturbs them for a time. Its end kills
// them all.
func (tr *threesome) run(ctx context.Context, order []string, long time.Duration) {
	during, stop := context.WithTimeout(ctx, long)
	defer stop()
	var running sync.WaitGroup
	actor := func(pause time.Duration, act func(*rand.Rand)) {
		random := rand.New(rand.NewPCG(tr.seed, tr.random.Uint64()))
		running.Go(func() {
			for during.Err() == nil {
				act(random)
				sleep(during, time.Duration(random.Int64N(int64(pause))))
			}
		})
	}
	for range 2 {
		actor(4*time.Millisecond, func(*rand.Rand) { tr.read() })
	}
	actor(40*time.Millisecond, func(*rand.Rand) { tr.count() })
	for _, name := range order {
		switch name {
		case "gate":
			actor(400*time.Millisecond, func(r *rand.Rand) {
				tr.disturb(during, r, &tr.gates, []int{0}, tr.place.daemonArgs()...)
			})
		case "refresh":
			for range 2 {
				actor(100*time.Millisecond, func(r *rand.Rand) {
					tr.disturb(during, r, &tr.refreshes, []int{0, 75}, tr.place.args("refresh", "--now")...)
				})
			}
		case "watch":
			actor(100*time.Millisecond, func(r *rand.Rand) {
				var codes []int
				if _, err := os.Stat(tr.place.dir); errors.Is(err, fs.ErrNotExist) {
					codes = []int{exitNoDirectory}
				}
				tr.disturb(during, r, &tr.watches, codes, tr.place.args("watch")...)
			})
		}
		sleep(during, time.Duration(tr.random.Int64N(int64(60*time.Millisecond))))
	}
	running.Wait()
}

// disturb runs a command and lets it end, or kills it, or stops it for a while, or kills it while
// it is stopped, at a random moment; every second refresh that it stops is stopped inside the lock
// if possible. codes are the exit codes that the command may end with. A watch must run until it
// is killed, unless it may end with a code.
func (tr *threesome) disturb(ctx context.Context, random *rand.Rand, count *atomic.Int64, codes []int, args ...string) {
	isRefresh, isWatch := args[0] == "refresh", args[0] == "watch"
	if isRefresh {
		tr.refreshing.Add(1)
		defer tr.refreshing.Add(-1)
	}
	count.Add(1) // before it starts, for compare
	cmd, err := tr.begin(ctx, args...)
	if err != nil {
		tr.wrong.add("%v", err)
		return
	}
	within := 80 * time.Millisecond
	if isWatch {
		within = 2 * time.Second
	}
	kill, stop, inLock := random.IntN(2) == 0, random.IntN(2) == 0, random.IntN(2) == 0
	moment, rest := time.Duration(random.Int64N(int64(within))), time.Duration(random.Int64N(int64(300*time.Millisecond)))
	switch {
	case stop && inLock && isRefresh:
		if cmd.stopInside() {
			tr.inside.Add(1)
		}
	default:
		await(ctx, cmd.ended, moment)
		if stop {
			_ = cmd.cmd.Process.Signal(syscall.SIGSTOP)
		}
	}
	if stop {
		tr.stopped.Add(1)
		await(ctx, cmd.ended, rest)
	}
	if kill || isWatch || ctx.Err() != nil {
		if isRefresh {
			tr.lastKill.Store(time.Now().UnixMilli())
			defer func() { tr.lastKill.Store(time.Now().UnixMilli()) }()
		}
		cmd.stop()
	}
	_ = cmd.cmd.Process.Signal(syscall.SIGCONT)
	<-cmd.ended
	tr.judge(cmd, codes)
}

// begin starts a command, which does not end with the context.
func (tr *threesome) begin(ctx context.Context, args ...string) (*started, error) {
	return start(tr.command(context.WithoutCancel(ctx), append(args, "--log-level", "error")...))
}

// judge checks how a command ended.
func (tr *threesome) judge(d *started, codes []int) {
	state := d.cmd.ProcessState
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() && status.Signal() == syscall.SIGKILL {
		tr.killed.Add(1)
		return
	}
	if !slices.Contains(codes, state.ExitCode()) {
		tr.wrong.add("boot %d: imds-ready %s ended with %v: %s", tr.boot, d.cmd.Args[1], state, d.stderr.String())
	}
}

// stopInside stops a process when it has locked the directory, and reports whether it holds the
// lock while it is stopped. If not, the process may have ended.
func (d *started) stopInside() bool {
	pid := d.cmd.Process.Pid
	for !holdsLock(pid) {
		if d.endsWithin(50 * time.Microsecond) {
			return false
		}
	}
	if d.cmd.Process.Signal(syscall.SIGSTOP) != nil {
		return false
	}
	for !isStopped(pid) { // the signal takes effect a little later
		if d.endsWithin(50 * time.Microsecond) {
			return false
		}
	}
	return holdsLock(pid)
}

// holdsLock reports whether a process holds a lock of flock(2).
func holdsLock(pid int) bool {
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(locks)) {
		// Such as "1: FLOCK  ADVISORY  WRITE 708 00:19:1294 0 EOF"; a waiter has "->" before the kind.
		if fields := strings.Fields(line); len(fields) > 4 && fields[1] == "FLOCK" && fields[4] == strconv.Itoa(pid) {
			return true
		}
	}
	return false
}

// isStopped reports whether a process is stopped by a signal.
func isStopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(state, []byte("T"))
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
	v, err := snapshot.Open(tr.place.dir, tr.id)
	for tries := 1; err != nil && tries < 3; tries++ { // it gives up if the files are replaced during each of its reads
		v, err = snapshot.Open(tr.place.dir, tr.id)
	}
	if !tr.seen && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, snapshot.ErrOtherBoot)) {
		return // no gate has begun in this boot
	}
	if err != nil {
		tr.wrong.add("boot %d: Open: %v", tr.boot, err)
		return
	}
	tr.reads.Add(1)
	tr.seen = true
	tr.sameDirectory()
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
	for _, name := range files {
		tr.raw(name)
	}
	tr.compare()
	switch _, err := snapshot.ReadWatch(tr.place.dir, tr.id); {
	case err == nil: // files of another boot were removed before
		tr.raw(filepath.Join(snapshot.WatchDir, watchedPath))
		tr.raw(filepath.Join(snapshot.WatchDir, flappingPath))
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, snapshot.ErrOtherBoot):
		tr.wrong.add("%v", err)
	}
}

// files are the files of the gate besides status.json.
var files = []string{
	snapshot.UserDataFile, snapshot.MetaDataFile, snapshot.NetworkFile, snapshot.TagsFile, snapshot.EnvFile, snapshot.IdentityFile,
}

// sameDirectory checks that the directory is still the same.
func (tr *threesome) sameDirectory() {
	now, err := os.Stat(tr.place.dir)
	if err != nil {
		tr.wrong.add("%v", err)
		return
	}
	if tr.directory == nil {
		tr.directory = now
	}
	a, b := tr.directory.Sys().(*syscall.Stat_t), now.Sys().(*syscall.Stat_t)
	if !os.SameFile(tr.directory, now) || a.Uid != b.Uid || a.Gid != b.Gid || a.Mode != b.Mode {
		tr.wrong.add("boot %d: the directory has inode %d, mode %o and owner %d:%d after %d, %o and %d:%d", tr.boot, b.Ino, b.Mode, b.Uid, b.Gid, a.Ino, a.Mode, a.Uid, a.Gid)
	}
}

// raw reads a file as a script does.
func (tr *threesome) raw(name string) {
	data, err := os.ReadFile(filepath.Join(tr.place.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		tr.wrong.add("%v", err)
		return
	}
	var complete bool
	text := string(data)
	first := stamp.FindString(text)
	switch {
	case strings.HasPrefix(name, snapshot.WatchDir):
		complete = first == text
	case name == snapshot.EnvFile:
		complete = strings.HasPrefix(text, "IMDS_STATE=") && strings.HasSuffix(text, "\n")
	case name == snapshot.UserDataFile:
		complete = strings.HasPrefix(text, first+"x") && strings.HasSuffix(text, "x"+first+"\n") && first != ""
	default:
		complete = json.Valid(data) && strings.HasSuffix(text, "\n")
	}
	if !complete {
		tr.wrong.add("%s is not complete: %.100q", name, text)
	}
	if name == filepath.Join(snapshot.WatchDir, flappingPath) && revisionOf(text)%2 != 0 {
		tr.wrong.add("%s is of revision %d, in which the path does not exist", name, revisionOf(text))
	}
	tr.ages(name, text)
}

// compare compares the digests of the files with those in the status. They may differ only while
// a refresh replaces the files, or after one that was killed, until the next collection.
func (tr *threesome) compare() {
	begun := tr.refreshes.Load()
	st, text, err := snapshot.ReadStatusJSON(tr.place.dir, tr.id)
	if err != nil {
		tr.wrong.add("boot %d: %v", tr.boot, err)
		return
	}
	sums := map[string]string{}
	for _, name := range files {
		if data, err := os.ReadFile(filepath.Join(tr.place.dir, name)); err == nil {
			sum := sha256.Sum256(data)
			sums[name] = hex.EncodeToString(sum[:])
		}
	}
	_, again, err := snapshot.ReadStatusJSON(tr.place.dir, tr.id)
	switch {
	case err != nil || !bytes.Equal(text, again) || st.State == snapshot.Waiting: // a gate is at work
	case tr.refreshing.Load() > 0 || tr.refreshes.Load() != begun:
	case st.CollectedAt == nil || tr.lastKill.Load() >= st.CollectedAt.UnixMilli():
	default:
		tr.compared.Add(1)
		for _, name := range files {
			want, listed := st.Files[name] // without a digest for user-data
			sum, exists := sums[name]
			if listed != exists || want != nil && *want != sum {
				tr.wrong.add("boot %d, state %s, generation %d: %s is not the file in status.json", tr.boot, st.State, st.Generation, name)
			}
		}
	}
}

// revisionOf returns the revision of the first stamp in a text, or 0.
func revisionOf(text string) int {
	_, digits, _ := strings.Cut(stamp.FindString(text), "r")
	revision, _ := strconv.Atoi(digits)
	return revision
}

// ages checks that all values are of this boot and that none is older than one that was read
// before.
func (tr *threesome) ages(key string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, below := range value {
			tr.ages(key+"/"+name, below)
		}
	case string:
		for _, s := range stamp.FindAllString(value, -1) {
			if !strings.HasPrefix(s, fmt.Sprintf("b%dr", tr.boot)) {
				tr.wrong.add("%s is %s in boot %d", key, s, tr.boot)
				return
			}
		}
		n := revisionOf(value)
		if n == 0 {
			return // a value that does not count
		}
		if n < tr.newest[key] {
			tr.wrong.add("%s is of revision %d after one of %d", key, n, tr.newest[key])
		}
		tr.newest[key] = max(n, tr.newest[key])
	}
}

// hold checks that a gate waits for a refresh that is stopped inside the lock, and not only for the
// 2 s for which it waits for another gate, until the refresh gets a signal.
func (tr *threesome) hold(ctx context.Context, signal syscall.Signal) {
	first := tr.torture.run(ctx, tr.place.daemonArgs()...) // the last boot may have ended within a gate
	if first.Exit != 0 {
		tr.fact(false, "a gate is ready when nothing disturbs it: exit %d: %s", first.Exit, first.Stderr)
		return
	}
	var refresh *started
	for range 100 {
		tr.count() // so that there is something to replace
		r, err := tr.begin(ctx, tr.place.args("refresh", "--now")...)
		if err != nil {
			break
		}
		if r.stopInside() {
			refresh = r
			break
		}
		r.stop()
	}
	if refresh == nil {
		tr.fact(false, "a refresh can be stopped inside the lock")
		return
	}
	defer refresh.stop()
	gate, err := tr.begin(ctx, tr.place.daemonArgs()...)
	if err != nil {
		tr.fact(false, "a gate starts while a refresh is stopped: %v", err)
		return
	}
	defer gate.stop()
	early := gate.endsWithin(2500 * time.Millisecond)
	_ = refresh.cmd.Process.Signal(signal)
	ended := gate.endsWithin(20 * time.Second)
	st, err := snapshot.ReadStatus(tr.place.dir)
	tr.fact(!early && ended && gate.cmd.ProcessState.ExitCode() == 0 && err == nil && st.State == snapshot.Ready,
		"a gate waits for a refresh that is stopped inside the lock, and is ready after signal %v to it: state %s %v %s", signal, st.State, err, gate.stderr.String())
}

// settle checks what is left when everything has ended and a last gate, refresh and watch
// have run undisturbed.
func (tr *threesome) settle(ctx context.Context) {
	last := tr.count()
	if tr.revision.Load()%2 != 0 {
		last = tr.count()
	}
	gate := tr.torture.run(ctx, append(tr.place.daemonArgs(), "--log-level", "warn")...)
	refresh := tr.torture.run(ctx, tr.place.args("refresh", "--now", "--log-level", "warn")...)
	tr.fact(gate.Exit == 0 && refresh.Exit == 0 && gate.Stderr+refresh.Stderr == "", "a last gate and a last refresh succeed without a warning: exit %d and %d %s%s", gate.Exit, refresh.Exit, gate.Stderr, refresh.Stderr)

	v, err := snapshot.Open(tr.place.dir, tr.id)
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
	tr.lastWatch(ctx, last)

	compared, before := tr.compared.Load(), len(tr.wrong.list)
	tr.read()
	tr.check(tr.wrong.list[before:], "a last read finds the files in status.json, in the same directory")
	tr.fact(tr.compared.Load() > compared, "it compared them")
	names, err := temporaries(tr.place.dir)
	tr.fact(err == nil && len(names) == 0, "no temporary files are left: %v %v", names, err)
}

// lastWatch checks that a watch sees the last revision, and then that a path is gone.
func (tr *threesome) lastWatch(ctx context.Context, last string) {
	watch, err := tr.begin(ctx, tr.place.args("watch")...)
	if err != nil {
		tr.fact(false, "a last watch starts: %v", err)
		return
	}
	defer watch.stop()
	flapping := func(want string) bool { // reports whether the file is as it should be within 10 s
		for range 200 {
			data, _ := os.ReadFile(filepath.Join(tr.place.dir, snapshot.WatchDir, flappingPath))
			st, err := snapshot.ReadWatch(tr.place.dir, tr.id)
			if err == nil && st.PID == watch.cmd.Process.Pid && string(data) == want && st.Paths[flappingPath].LastAnswerAt != nil && st.Paths[flappingPath].Present == (want != "") {
				return true
			}
			sleep(ctx, 50*time.Millisecond)
		}
		return false
	}
	tr.fact(flapping(last), "a last watch writes %s to the file of a path, and to its status.json", last)
	tr.count()
	tr.fact(flapping(""), "it removes the file when the path is gone")
	_ = watch.cmd.Process.Signal(syscall.SIGTERM)
	ended := watch.endsWithin(10 * time.Second)
	_, err = os.Stat(filepath.Join(tr.place.dir, snapshot.WatchDir, snapshot.StatusFile))
	tr.fact(ended && errors.Is(err, fs.ErrNotExist), "it removes its status.json when it is stopped: %v", err)
}
