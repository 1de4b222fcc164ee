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
)

// The bounds of every process: CPU time of the daemon and of a reader, and memory.
const (
	daemonCPU = 3 * time.Second
	readerCPU = time.Second
	maxMemory = 64 << 20
)

// maxRun ends a process that hangs.
const maxRun = 100 * time.Second

// result is how a process ended.
type result struct {
	Exit   int           `json:"exit"` // 128 plus the signal's number
	CPU    time.Duration `json:"cpu"`
	Memory int64         `json:"memory"` // the largest resident set, in bytes
	Stdout string        `json:"-"`
	Stderr string        `json:"-"`
}

// command returns a process of imds-ready.
func (t *torture) command(ctx context.Context, args ...string) *exec.Cmd {
	return contained(exec.CommandContext(ctx, t.daemon, args...))
}

// contained gives a process an empty environment and makes sure that it does not outlive
// this one.
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

// finish runs a process and returns how it ended, without its memory.
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

// resultOf reads wait4(2).
func resultOf(state *os.ProcessState) result {
	r := result{Exit: state.ExitCode(), CPU: state.UserTime() + state.SystemTime()}
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		r.Exit = 128 + int(status.Signal())
	}
	r.Memory = state.SysUsage().(*syscall.Rusage).Maxrss << 10
	return r
}

// measure is run with the memory that the process used. Linux counts the memory of
// the process that calls exec(2) for the new program too, and this one has trees of
// megabytes, so a small process in between starts it.
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

// measureMain is the process in between: it starts a program and writes how that ended
// to descriptor 3.
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

// place is one directory for the daemon, and its configuration.
type place struct {
	dir, config string
}

// newPlace makes a place whose daemon asks a server on loopback.
func (t *torture) newPlace(url, toml string) place {
	base, err := os.MkdirTemp(t.work, "place.")
	if err != nil {
		panic(err) // nothing can be tested without a disk of our own
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

// daemonArgs are the arguments of run.
func (p place) daemonArgs() []string {
	return []string{"run", "--config", p.config, "--directory", p.dir, "--log-format", "text"}
}

// remove frees the disk.
func (p place) remove() { os.RemoveAll(filepath.Dir(p.dir)) }
