// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// maxParallel is how many hostile servers run at the same time. There can be more of them
// than processors, because a daemon spends most of its time on pacing its requests.
const maxParallel = 8

// hostile runs the daemon and the readers against each hostile server.
func (t *torture) hostile(ctx context.Context) {
	deadline := 30 * time.Second
	if t.short {
		deadline = 2 * time.Second
	}
	var all []func()
	for _, m := range modes() {
		if strings.Contains(m.name, t.match) {
			all = append(all, func() { t.hostileMode(ctx, m, deadline) })
		}
	}
	inParallel(all)
}

// inParallel runs all functions, at most maxParallel of them at the same time.
func inParallel(all []func()) {
	slots := make(chan struct{}, maxParallel)
	var running sync.WaitGroup
	for _, f := range all {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			f()
		})
	}
	running.Wait()
}

// hostileMode runs one mode: the daemon, once for each of its answers in the same
// directory, and then the readers.
func (t *torture) hostileMode(ctx context.Context, m mode, deadline time.Duration) {
	s := serve(m.answers[0])
	defer s.close()
	p := t.newPlace(s.url, fmt.Sprintf(`retry.deadline = "3s"
metadata.collect_deadline = "%v"
metadata.concurrency = 16
metadata.requests_per_second = 200
metadata.user_data = true
metadata.signatures = true
`, deadline))
	defer p.remove()
	for _, a := range m.answers {
		s.answer.Store(a)
		if !t.checkDaemon(ctx, m.name, p, m.exits) {
			return
		}
	}
	t.check(s.strays.list, "%s: %d requests, all of them for valid paths", m.name, s.gets.Load())
	t.checkFiles(m.name, p)
	t.checkReaders(ctx, m.name, p)
}

// checkDaemon runs the daemon and checks its resource usage, exit code and status. It
// reports whether the readers can be checked.
func (t *torture) checkDaemon(ctx context.Context, name string, p place, exits []int) bool {
	r := t.measure(ctx, append(p.daemonArgs(), "--log-level", "error")...)
	st, err := snapshot.ReadStatus(p.dir)
	var wrong []string
	if !slices.Contains(exits, r.Exit) {
		wrong = append(wrong, fmt.Sprintf("exit %d, want one of %v: %.500s", r.Exit, exits, r.Stderr))
	}
	if r.CPU > daemonCPU || r.Memory > maxMemory {
		wrong = append(wrong, "too much CPU time or memory")
	}
	size := int64(0)
	if info, err := os.Stat(filepath.Join(p.dir, snapshot.StatusFile)); err == nil {
		size = info.Size()
	}
	if err != nil || st.ExitCode == nil || *st.ExitCode != r.Exit || size > snapshot.MaxStatus {
		wrong = append(wrong, fmt.Sprintf("status.json of %d bytes, state %q, %v", size, st.State, err))
	}
	t.check(wrong, "%s: exit %d, %.2f s of CPU, %d MiB, status.json of %d KiB, %d paths missing and %d more",
		name, r.Exit, r.CPU.Seconds(), r.Memory>>20, size>>10, len(st.Missing), st.MissingMore)
	return err == nil
}

// plainLine matches a line of imds.env that systemd and a shell read alike.
var plainLine = regexp.MustCompile(`^IMDS_[A-Z0-9_]+=[A-Za-z0-9/][A-Za-z0-9._:/@+-]{0,254}$`)

// checkFiles checks that only known files were written and that they are valid.
func (t *torture) checkFiles(name string, p place) {
	known := []string{
		".lock", snapshot.StatusFile, snapshot.IdentityFile, snapshot.MetaDataFile, snapshot.NetworkFile,
		snapshot.TagsFile, snapshot.EnvFile, snapshot.UserDataFile, snapshot.SignaturesFile,
	}
	var wrong []string
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(p.dir, e.Name()))
		switch {
		case !slices.Contains(known, e.Name()) || !e.Type().IsRegular() || err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: %v, %v", e.Name(), e.Type(), err))
		case strings.HasSuffix(e.Name(), ".json") && (!json.Valid(data) || len(data) > 8<<20):
			wrong = append(wrong, fmt.Sprintf("%s: %d bytes, valid JSON: %v", e.Name(), len(data), json.Valid(data)))
		case e.Name() == snapshot.EnvFile:
			for line := range strings.Lines(string(data)) {
				if !plainLine.MatchString(strings.TrimSuffix(line, "\n")) {
					wrong = append(wrong, fmt.Sprintf("imds.env has the line %.100q", line))
				}
			}
		}
	}
	t.check(wrong, "%s: %d files, all valid", name, len(entries))
}

// absentKeys are keys that do not exist on any server, so that get searches for similar ones.
var absentKeys = []string{"no-such-key", strings.Repeat("placement/regiom/", 30), strings.Repeat("x", 4096)}

// checkReaders runs every reader on the files that the daemon wrote.
func (t *torture) checkReaders(ctx context.Context, name string, p place) {
	st, err := snapshot.ReadStatus(p.dir)
	if err != nil {
		t.fact(false, "%s: readers: %v", name, err)
		return
	}
	gate, value := 0, []int{0}
	if st.State == snapshot.Failed {
		gate, value = *st.ExitCode, []int{75}
	}
	if st.Generation > 0 {
		value = []int{0} // an earlier run has written values
	}
	absent := []int{1, 75}
	readers := []struct {
		exits []int
		args  []string
	}{
		{[]int{gate}, []string{"status"}},
		{[]int{gate}, []string{"status", "--json"}},
		{[]int{gate}, []string{"wait", "--timeout", "5s"}},
		{value, []string{"get", "identity/instanceId"}},
		{value, []string{"get", "--list"}},
		{append(value, absent...), []string{"get", "meta-data"}},
	}
	for _, key := range absentKeys {
		readers = append(readers, struct {
			exits []int
			args  []string
		}{absent, []string{"get", key}})
	}
	var wrong []string
	most := result{}
	for _, reader := range readers {
		r := t.measure(ctx, append(reader.args, "--directory", p.dir)...)
		most.CPU, most.Memory = max(most.CPU, r.CPU), max(most.Memory, r.Memory)
		if !slices.Contains(reader.exits, r.Exit) || r.CPU > readerCPU || r.Memory > maxMemory {
			wrong = append(wrong, fmt.Sprintf("%.60q: exit %d, want one of %v, %.2f s of CPU, %d MiB: %.300s",
				reader.args, r.Exit, reader.exits, r.CPU.Seconds(), r.Memory>>20, r.Stderr))
		}
		if reader.args[0] != "get" && strings.ContainsFunc(r.Stdout, isUnsafe) {
			wrong = append(wrong, fmt.Sprintf("%q prints control characters", reader.args))
		}
	}
	t.check(wrong, "%s: %d readers, at most %.2f s of CPU and %d MiB each", name, len(readers), most.CPU.Seconds(), most.Memory>>20)
}

// isUnsafe reports whether a character can control a terminal. Only status and wait promise
// to replace such characters: get prints values unchanged.
func isUnsafe(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
}
