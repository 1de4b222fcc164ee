// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/imds-ready/imds-ready/snapshot"
)

// The limits of the CPU time of a daemon and of a reader, and of the memory of both.
const (
	daemonCPU = 3 * time.Second
	readerCPU = time.Second
	maxMemory = 64 << 20
)

// maxRun is the time after which a process that hangs is killed.
const maxRun = 100 * time.Second

// result is how a process ended.
type result struct {
	Exit   int           `json:"exit"` // after a signal, 128 plus its number
	CPU    time.Duration `json:"cpu"`
	Memory int64         `json:"memory"` // the largest resident set, in bytes
	Stdout string        `json:"-"`
	Stderr string        `json:"-"`
}

// command returns a process of imds-ready.
func (t *torture) command(ctx context.Context, args ...string) *exec.Cmd {
	return contained(exec.CommandContext(ctx, t.daemon, args...))
}

// contained gives a process an empty environment, and has it killed when this process ends.
func contained(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs imds-ready and returns how it ended.
func (t *torture) run(ctx context.Context, args ...string) result {
	ctx, cancel := context.WithTimeout(ctx, maxRun)
	defer cancel()
	return finish(t.command(ctx, args...))
}

// finish runs a process and returns how it ended. Only measure reports the memory correctly.
func finish(cmd *exec.Cmd) result {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		return result{Exit: -1, Stderr: err.Error()}
	}
	r := resultOf(cmd.ProcessState)
	r.Stdout, r.Stderr = stdout.String(), stderr.String()
	return r
}

// resultOf returns the result that wait4(2) reported.
func resultOf(state *os.ProcessState) result {
	r := result{Exit: state.ExitCode(), CPU: state.UserTime() + state.SystemTime()}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		r.Exit = 128 + int(status.Signal())
	}
	r.Memory = int64(state.SysUsage().(*syscall.Rusage).Maxrss) << 10 //nolint:unconvert // an int32 on 32-bit architectures
	return r
}

// measure is like run, but also returns the peak memory of imds-ready. Linux includes the
// memory of the process that calls exec(2) in the peak of the new program. This process holds
// megabytes of trees, so a small intermediate process starts imds-ready.
func (t *torture) measure(ctx context.Context, args ...string) result {
	self, err := os.Executable()
	if err != nil {
		return result{Exit: -1, Stderr: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, maxRun)
	defer cancel()
	cmd := contained(exec.CommandContext(ctx, self, append([]string{measureCommand, t.daemon}, args...)...))
	file, err := os.CreateTemp(t.work, "measured.")
	if err != nil {
		return result{Exit: -1, Stderr: err.Error()}
	}
	defer os.Remove(file.Name())
	defer file.Close()
	cmd.ExtraFiles = []*os.File{file}
	outer := finish(cmd)
	inner := result{Exit: -1}
	data, err := os.ReadFile(file.Name())
	if err == nil {
		err = json.Unmarshal(data, &inner)
	}
	inner.Stdout, inner.Stderr = outer.Stdout, outer.Stderr
	if err != nil || outer.Exit != 0 {
		return result{Exit: -1, Stderr: fmt.Sprintf("measuring: %v, exit %d, %s", err, outer.Exit, outer.Stderr)}
	}
	return inner
}

// measureMain is the intermediate process. It runs a program and writes its result to
// descriptor 3.
func measureMain(args []string) int {
	syscall.CloseOnExec(3)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.NewFile(3, "result")).Encode(resultOf(cmd.ProcessState)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// place is a directory for the daemon and a configuration file.
type place struct {
	dir, config string
}

// newPlace returns a new place whose configuration names a server on loopback.
func (t *torture) newPlace(url, toml string) place {
	base, err := os.MkdirTemp(t.work, "place.")
	if err != nil {
		panic(err) // nothing can be tested without a work directory
	}
	p := place{dir: filepath.Join(base, "imds"), config: filepath.Join(base, "imds-ready.toml")}
	p.configure(url, toml)
	return p
}

// configure replaces the configuration.
func (p place) configure(url, toml string) {
	text := fmt.Sprintf("endpoint.url = %q\n%s", url, toml)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		panic(err)
	}
}

// daemonArgs returns the arguments of imds-ready run.
func (p place) daemonArgs() []string {
	return p.args("run")
}

// args returns the arguments of another command that writes to the directory.
func (p place) args(command string, more ...string) []string {
	return append([]string{command, "--config", p.config, "--directory", p.dir, "--log-format", "text"}, more...)
}

// remove removes the files.
func (p place) remove() { os.RemoveAll(filepath.Dir(p.dir)) }

// awaitStatus waits until a daemon has written its first status.json, at most 10 s.
func (p place) awaitStatus(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if _, err := os.Lstat(filepath.Join(p.dir, snapshot.StatusFile)); err == nil {
			return
		}
		sleep(ctx, time.Millisecond)
	}
}
