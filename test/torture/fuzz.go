// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// required are the fuzz targets that must exist, so that none is lost unnoticed.
var required = []string{
	"FuzzAnswer", "FuzzParseListing", "FuzzBuild", "FuzzMerge", "FuzzLoad", "FuzzParseStatus", "FuzzLookup", "FuzzRetryAfter",
}

var fuzzTarget = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// fuzzTargets finds the fuzz targets of this module, by directory.
func fuzzTargets() (map[string][]string, error) {
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir // another module
			}
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, match := range fuzzTarget.FindAllStringSubmatch(string(text), -1) {
			dir := filepath.ToSlash(filepath.Dir(path))
			found[dir] = append(found[dir], match[1])
		}
		return err
	})
	return found, err
}

// fuzzBinary returns the path of the test binary that build creates for a directory.
func fuzzBinary(work, dir string) string {
	return filepath.Join(work, strings.ReplaceAll(dir, "/", "-")+".test")
}

// fuzz runs every fuzz target with a fixed number of inputs, two at a time. With a time
// instead, some runs fail with "context deadline exceeded" when it is over (Go issue 75804).
func (t *torture) fuzz(ctx context.Context) {
	inputs := 10_000
	if t.short {
		inputs = 1000
	}
	targets, err := fuzzTargets()
	if err != nil {
		t.fact(false, "finding the fuzz targets: %v", err)
		return
	}
	var all []string
	var running sync.WaitGroup
	slots := make(chan struct{}, 2)
	for dir, names := range targets {
		for _, name := range names {
			all = append(all, name)
			slots <- struct{}{}
			running.Go(func() {
				defer func() { <-slots }()
				t.fuzzOne(ctx, dir, name, inputs)
			})
		}
	}
	running.Wait()
	for _, name := range required {
		if !slices.Contains(all, name) {
			t.fact(false, "the fuzz target %s does not exist", name)
		}
	}
}

var executions = regexp.MustCompile(`execs: (\d+)`)

// fuzzOne runs one target. Like go test, it writes a failing input to testdata/fuzz in the
// package.
func (t *torture) fuzzOne(ctx context.Context, dir, name string, inputs int) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Second)
	defer cancel()
	cmd := contained(exec.CommandContext(ctx, fuzzBinary(t.work, dir),
		"-test.run=^$", "-test.fuzz=^"+name+"$", fmt.Sprintf("-test.fuzztime=%dx", inputs), "-test.parallel=1",
		"-test.fuzzminimizetime=10x", // the default is a minute for each new input, which is too long
		"-test.fuzzcachedir="+filepath.Join(t.work, "fuzz")))
	cmd.Dir = dir
	start := time.Now()
	r := finish(cmd)
	execs := 0
	for _, match := range executions.FindAllStringSubmatch(r.Stdout+r.Stderr, -1) {
		execs, _ = strconv.Atoi(match[1])
	}
	text := ""
	if r.Exit != 0 {
		text = "\n" + r.Stdout + r.Stderr
	}
	t.fact(r.Exit == 0 && execs >= inputs, "%s of %s: %d inputs in %v%s", name, dir, execs, time.Since(start).Round(time.Millisecond), text)
}
