// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/snapshot"
)

// killsPerBoot is the number of kills before the boot ID changes.
const killsPerBoot = 25

// stamp matches the numbers of the boot and of the run, which every value of a run contains.
var stamp = regexp.MustCompile(`b\d+r\d+`)

// stamped returns an answer with a small tree whose values contain the stamp.
func stamped(stamp string) answer {
	const nic = "meta-data/network/interfaces/macs/02:00:00:00:00:01/"
	identity := fmt.Sprintf(`{"accountId":"111122223333","instanceId":"i-%[1]s","region":"%[1]s"}`, stamp)
	return ordinary(identity, map[string]string{
		"meta-data/":                         "ami-id\ninstance-id\nlocal-hostname\nmac\nnetwork/\nplacement/\nsecurity-groups\ntags/",
		"meta-data/ami-id":                   "ami-" + stamp,
		"meta-data/instance-id":              "i-" + stamp,
		"meta-data/local-hostname":           "ip-" + stamp,
		"meta-data/mac":                      "02:00:00:00:00:01",
		"meta-data/network/":                 "interfaces/",
		"meta-data/network/interfaces/":      "macs/",
		"meta-data/network/interfaces/macs/": "02:00:00:00:00:01/",
		nic:                                  "subnet-id\nvpc-id",
		nic + "subnet-id":                    "subnet-" + stamp,
		nic + "vpc-id":                       "vpc-" + stamp,
		"meta-data/placement/":               "region",
		"meta-data/placement/region":         stamp,
		"meta-data/security-groups":          stamp + "\ndefault",
		"meta-data/tags/":                    "instance/",
		"meta-data/tags/instance/":           "Name\nRole",
		"meta-data/tags/instance/Name":       stamp,
		"meta-data/tags/instance/Role":       strings.Repeat(stamp+" ", 500), // several pages
		"user-data":                          stamp + strings.Repeat("x", 60_000) + stamp + "\n",
	})
}

// kills kills the daemon at random moments, in several boots, while readers read.
func (t *torture) kills(ctx context.Context) {
	wanted := 500
	if t.short {
		wanted = 50
	}
	s := serve(stamped("b0r0"))
	defer s.close()
	p := t.newPlace(s.url, "metadata.user_data = true\n")
	defer p.remove()
	bootFile, restore, err := plantBootID(t.work)
	if err != nil {
		t.fact(false, "replacing the boot ID: %v", err)
		return
	}
	defer restore()

	k := &killing{torture: t, server: s, place: p}
	for boot := 1; k.killed < wanted && ctx.Err() == nil; boot++ {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", boot)
		if err := os.WriteFile(bootFile, []byte(id+"\n"), 0o644); err != nil {
			k.wrong.add("%v", err)
			return
		}
		k.boot(ctx, boot, id, min(killsPerBoot, wanted-k.killed))
	}
	t.check(k.wrong.list, "%d kills at random moments, %d complete runs, %d boots: every reader saw complete files of this boot and of one collection (%d reads by programs, %d by Open, %d of the files)",
		k.killed, k.completed, (k.killed+killsPerBoot-1)/killsPerBoot, k.programs.Load(), k.opens.Load(), k.reads.Load())
	t.check(k.waiting.list, "Open never mixed two collections while the gate was waiting (%d of %d reads with values)", len(k.waiting.list), k.whileWaiting.Load())
	t.check(k.leftovers.list, "a kill left at most one temporary file (%d kills left one), the next start removed it, and .lock was never replaced", k.left)
	t.fact(k.killed >= wanted, "%d of %d kills took place", k.killed, wanted)
	t.fact(k.programs.Load() > 0 && k.opens.Load() > 0 && k.reads.Load() > 0, "all readers were running")

	last := t.run(ctx, p.daemonArgs()...)
	st, err := snapshot.ReadStatus(p.dir)
	t.fact(last.Exit == 0 && err == nil && st.State == snapshot.Ready, "the last run ends with %q, exit %d: %v", st.State, last.Exit, err)
	names, err := temporaries(p.dir)
	t.fact(err == nil && len(names) == 0, "the last run leaves no temporary files: %v %v", names, err)
}

// plantBootID mounts a file over the kernel's boot ID, in this mount namespace.
func plantBootID(work string) (file string, restore func(), err error) {
	const kernels = "/proc/sys/kernel/random/boot_id"
	file = filepath.Join(work, "boot_id")
	if err := os.WriteFile(file, []byte(snapshot.BootID()+"\n"), 0o644); err != nil {
		return "", nil, err
	}
	if err := unix.Mount(file, kernels, "", unix.MS_BIND, ""); err != nil {
		return "", nil, fmt.Errorf("mounting over %s: %w", kernels, err)
	}
	return file, func() { _ = unix.Unmount(kernels, unix.MNT_DETACH) }, nil
}

// killing is the state of the section kills.
type killing struct {
	*torture
	server *server
	place  place

	runs, killed, completed, left int
	typical                       time.Duration // how long a run takes that is not killed
	gets                          int64         // the number of GETs of such a run
	lock                          fs.FileInfo

	wrong, waiting, leftovers            problems
	programs, opens, reads, whileWaiting atomic.Int64
}

// boot starts the readers and kills a number of daemons under one boot ID.
func (k *killing) boot(ctx context.Context, boot int, id string, kills int) {
	reading, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	const programs = 4 // the first four readers start processes
	isOfBoot := func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("b%dr", boot)) }
	for i, read := range []func(context.Context){
		func(ctx context.Context) { k.program(ctx, isOfBoot, "get", "identity/region") },
		func(ctx context.Context) { k.program(ctx, isOfBoot, "get", "tags/instance/Name") },
		func(ctx context.Context) { k.program(ctx, isOfBoot, "status", "--json") },
		func(ctx context.Context) { k.program(ctx, isOfBoot, "wait", "--timeout", "50s") },
		func(ctx context.Context) { k.open(id, isOfBoot) },
		func(ctx context.Context) { k.files(id, isOfBoot) },
		func(ctx context.Context) { k.wait(ctx, id) },
	} {
		pause := 100 * time.Millisecond // so that the readers leave time for the daemon
		if i >= programs {
			pause = 3 * time.Millisecond
		}
		readers.Go(func() {
			pace := time.NewTicker(pause)
			defer pace.Stop()
			for reading.Err() == nil {
				read(reading)
				<-pace.C
			}
		})
	}
	for target := k.killed + kills; k.killed < target && ctx.Err() == nil; {
		k.runs++
		k.server.expect(stamped(fmt.Sprintf("b%dr%d", boot, k.runs)), k.gets)
		k.runOnce(ctx)
	}
	stop()
	readers.Wait()
}

// runOnce runs the daemon. In three of four runs it kills the daemon at a random moment,
// unless that has ended before.
func (k *killing) runOnce(ctx context.Context) {
	before := k.temporaries()
	began := time.Now()
	d, err := start(k.command(ctx, append(k.place.daemonArgs(), "--log-level", "error")...))
	if err != nil {
		k.wrong.add("%v", err)
		return
	}
	if k.runs%4 != 1 { // every fourth run is not killed
		k.await(d.ended)
		_ = d.cmd.Process.Kill()
	}
	<-d.ended
	took, state := time.Since(began), d.cmd.ProcessState
	switch status := state.Sys().(syscall.WaitStatus); {
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		k.killed++
	case state.ExitCode() == 0:
		k.completed++
		k.typical, k.gets = took, k.server.gets.Load()
	default:
		k.wrong.add("the daemon ended with %v: %s", state, d.stderr.String())
	}
	k.checkLeftovers(before)
}

// await waits until a random moment of a run, or until the run ends. In every second run the
// moment is one in which the files are written.
func (k *killing) await(ended <-chan struct{}) {
	wait := k.typical
	if k.runs%2 == 0 {
		select {
		case <-k.server.last:
			wait = 10 * time.Millisecond
		case <-ended:
			return
		}
	}
	moment := time.NewTimer(time.Duration(k.random.Int64N(int64(max(wait, time.Millisecond)))))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-ended:
	}
}

// temporaries returns the temporary files in the directory, by name.
func (k *killing) temporaries() map[string]fs.FileInfo {
	names, err := temporaries(k.place.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.leftovers.add("%v", err)
	}
	found := map[string]fs.FileInfo{}
	for _, name := range names {
		if info, err := os.Lstat(filepath.Join(k.place.dir, name)); err == nil {
			found[name] = info
		}
	}
	return found
}

// temporaries returns the names of the temporary files in a directory.
func temporaries(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var found []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), ".tmp") {
			found = append(found, e.Name())
		}
	}
	return found, err
}

// checkLeftovers compares the temporary files with those before the run, which the run must
// have removed before it wrote its first status.
func (k *killing) checkLeftovers(before map[string]fs.FileInfo) {
	now := k.temporaries()
	if len(now) > 1 {
		k.leftovers.add("%d temporary files: %v", len(now), now)
	}
	if len(now) == 1 {
		k.left++
	}
	if st, err := snapshot.ReadStatus(k.place.dir); err == nil && st.StartedAt != nil {
		for name, info := range now {
			if old, ok := before[name]; ok && os.SameFile(old, info) && old.ModTime().Equal(info.ModTime()) && st.StartedAt.After(info.ModTime()) {
				k.leftovers.add("%s survived a start", name)
			}
		}
	}
	lock, err := os.Lstat(filepath.Join(k.place.dir, ".lock"))
	switch {
	case err != nil && k.lock == nil: // killed before it made the lock
	case err != nil:
		k.leftovers.add("the lock file is missing: %v", err)
	case k.lock == nil:
		k.lock = lock
	case !os.SameFile(k.lock, lock) || lock.Mode() != 0o600:
		k.leftovers.add("the lock file was replaced, or has mode %v", lock.Mode())
	}
}

// oneCollection checks that all texts are from the same collection of this boot.
func oneCollection(isOfBoot func(string) bool, texts ...string) error {
	first := ""
	for _, text := range texts {
		for _, s := range stamp.FindAllString(text, -1) {
			if !isOfBoot(s) {
				return fmt.Errorf("%s is from another boot", s)
			}
			if first == "" {
				first = s
			}
			if s != first {
				return fmt.Errorf("%s and %s are from different collections", s, first)
			}
		}
	}
	return nil
}

// program runs a reader once. Its exit code must be 0, or 75 if there is no metadata of this
// boot.
func (k *killing) program(ctx context.Context, isOfBoot func(string) bool, args ...string) {
	r := k.run(ctx, append(args, "--directory", k.place.dir)...)
	if ctx.Err() != nil {
		return // the reader was killed at the end of the boot
	}
	k.programs.Add(1)
	if r.Exit != 0 && r.Exit != 75 || strings.Contains(r.Stderr, "goroutine ") {
		k.wrong.add("imds-ready %s: exit %d: %s", strings.Join(args, " "), r.Exit, r.Stderr)
	}
	if r.Exit == 0 && args[0] == "get" {
		if err := oneCollection(isOfBoot, r.Stdout); err != nil || !stamp.MatchString(r.Stdout) {
			k.wrong.add("imds-ready %s: %q: %v", strings.Join(args, " "), r.Stdout, err)
		}
	}
}

// open reads with package snapshot, as a Go program does.
func (k *killing) open(boot string, isOfBoot func(string) bool) {
	v, err := snapshot.Open(k.place.dir, boot)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, snapshot.ErrOtherBoot) {
		return
	}
	if err != nil {
		k.wrong.add("Open: %v", err)
		return
	}
	k.opens.Add(1)
	var values []string
	for _, key := range []string{"identity", "meta-data"} {
		value, err := v.Lookup(key)
		_, absent := errors.AsType[*snapshot.KeyError](err)
		if v.Status().State == snapshot.Waiting && errors.Is(err, snapshot.ErrReplaced) {
			absent = true
		}
		if err != nil && !absent {
			k.wrong.add("Open: %v", err)
			return
		}
		text, err := json.Marshal(value)
		if err != nil {
			k.wrong.add("Open: %v", err)
		}
		values = append(values, string(text))
		if err := oneCollection(isOfBoot, string(text)); err != nil {
			k.wrong.add("Open: %s: %v", key, err)
		}
	}
	err = oneCollection(isOfBoot, values...)
	switch v.Status().State {
	case snapshot.Waiting:
		k.whileWaiting.Add(1)
		if err != nil {
			k.waiting.add("generation %d: %v", v.Status().Generation, err)
		}
	default:
		if err != nil || !stamp.MatchString(values[0]) || !stamp.MatchString(values[1]) {
			k.wrong.add("Open: state %s: %v: %.200q", v.Status().State, err, values)
		}
	}
}

// files reads every file as a script does, and compares the files with the digests in the
// status if the gate is decided.
func (k *killing) files(boot string, isOfBoot func(string) bool) {
	before, text, err := snapshot.ReadStatusJSON(k.place.dir, boot)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, snapshot.ErrOtherBoot) {
			k.wrong.add("status.json: %v", err)
		}
		return
	}
	contents := map[string]string{}
	var all []string
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(k.place.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		contents[name] = string(data)
		all = append(all, string(data))
		switch {
		case err != nil:
			k.wrong.add("%v", err)
		case strings.HasSuffix(name, ".json") && !json.Valid(data), !strings.HasSuffix(string(data), "\n"):
			k.wrong.add("%s is not complete: %.100q", name, data)
		case name == snapshot.EnvFile && !strings.HasPrefix(string(data), "IMDS_STATE="):
			k.wrong.add("%s is not complete: %.100q", name, data)
		}
		if err := oneCollection(isOfBoot, string(data)); err != nil {
			k.wrong.add("%s: %v", name, err)
		}
	}
	k.reads.Add(1)
	_, again, err := snapshot.ReadStatusJSON(k.place.dir, boot)
	if err != nil || string(again) != string(text) || before.State == snapshot.Waiting {
		return
	}
	if err := oneCollection(isOfBoot, all...); err != nil {
		k.wrong.add("files of a gate that is %s: %v", before.State, err)
	}
	for name, sum := range before.Files {
		digest := sha256.Sum256([]byte(contents[name]))
		if sum != nil && *sum != hex.EncodeToString(digest[:]) {
			k.wrong.add("%s does not have the digest in status.json", name)
		}
	}
	for name := range contents {
		if _, listed := before.Files[name]; !listed {
			k.wrong.add("status.json does not list %s", name)
		}
	}
}

// wait waits for the gate with package snapshot.
func (k *killing) wait(ctx context.Context, boot string) {
	st, err := snapshot.Wait(ctx, k.place.dir, boot, nil)
	if ctx.Err() != nil {
		return
	}
	k.opens.Add(1)
	if err != nil || st.State != snapshot.Ready {
		k.wrong.add("Wait: %s %v", st.State, err)
	}
}
