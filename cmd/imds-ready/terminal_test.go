// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/snapshot"
)

// onTerminal is a process whose stdout and stderr are a terminal.
type onTerminal struct {
	cmd    *exec.Cmd
	master *os.File
	read   chan struct{}

	mu   sync.Mutex
	text string
}

// startOnTerminal starts imds-ready on a new pseudo terminal (pts(4)) of this width.
func startOnTerminal(t *testing.T, columns uint16, env []string, args ...string) *onTerminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close() // so that the terminal ends with the process
	binary, err := exec.LookPath("imds-ready")
	if err != nil {
		t.Fatal(err)
	}
	o := &onTerminal{cmd: exec.CommandContext(t.Context(), binary, args...), master: master, read: make(chan struct{})}
	o.cmd.Env = append([]string{"GORACE=atexit_sleep_ms=0", "TERM=xterm"}, env...)
	o.cmd.Stdout, o.cmd.Stderr = slave, slave
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go o.reader()
	t.Cleanup(func() {
		_ = o.cmd.Process.Kill()
		<-o.read
		master.Close()
	})
	return o
}

// reader reads until no process has the terminal open any more, which is EIO.
func (o *onTerminal) reader() {
	defer close(o.read)
	buf := make([]byte, 4<<10)
	for {
		n, err := o.master.Read(buf)
		o.mu.Lock()
		o.text += string(buf[:n])
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (o *onTerminal) screen() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text
}

// shows waits until the terminal shows a match.
func (o *onTerminal) shows(t *testing.T, want string) {
	t.Helper()
	re := regexp.MustCompile(want)
	if !until(patience, func() bool { return re.MatchString(o.screen()) }) {
		t.Fatalf("the terminal never shows %q:\n%q", want, o.screen())
	}
}

// ends waits for the end and returns the complete output.
func (o *onTerminal) ends(t *testing.T, want int) string {
	t.Helper()
	select {
	case <-o.read:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	_ = o.cmd.Wait() // the state has the exit code
	if got := o.cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("it ends with %d, not %d:\n%q", got, want, o.screen())
	}
	return o.screen()
}

// statusIn writes a status of this boot to dir.
func statusIn(t *testing.T, dir string, change func(*snapshot.Status)) {
	t.Helper()
	d, err := publish.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	now := time.Now()
	st := snapshot.Status{
		State: snapshot.Waiting, BootID: snapshot.BootID(), PID: new(os.Getpid()), Attempts: 7, Version: "1",
		StartedAt: &now, UpdatedAt: &now, DeadlineAt: new(now.Add(5 * time.Minute)),
		LastError: &snapshot.LastError{At: now, Class: "connection-refused", Message: "refused\nby \x1b[2Jsomebody", Hint: "wait"},
	}
	change(&st)
	if err := d.WriteStatus(st); err != nil {
		t.Fatal(err)
	}
}

// On a terminal one line is rewritten in place and removed at the end.
func TestProgressOnATerminal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "imds")
	o := startOnTerminal(t, 200, nil, "wait", "--directory", dir)
	o.shows(t, `\rwaiting for imds-ready, \d+ ms: no status from this boot in `+regexp.QuoteMeta(dir)+`\x1b\[K`)
	statusIn(t, dir, func(*snapshot.Status) {})
	o.shows(t, `\rwaiting for IMDS, (\d+ ms|[\d.]+ s) of 5 min, connection-refused, 7 attempts\x1b\[K`)
	statusIn(t, dir, func(st *snapshot.Status) { st.Required = map[string]snapshot.Requirement{"x": {OK: true}} })
	o.shows(t, `\rcollecting the metadata, (\d+ ms|[\d.]+ s)\x1b\[K`)
	statusIn(t, dir, func(st *snapshot.Status) { st.State, st.PID, st.ExitCode = snapshot.Ready, nil, new(0) })
	if screen := o.ends(t, 0); !strings.HasSuffix(screen, "\r\x1b[K") || strings.Contains(screen, "\n") {
		t.Errorf("the terminal shows %q", screen)
	}
}

// A narrow terminal shows a part of it, a dumb one nothing. The error remains.
func TestProgressOnOtherTerminals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "imds")
	statusIn(t, dir, func(*snapshot.Status) {})
	screen := startOnTerminal(t, 20, nil, "wait", "--timeout", "50ms", "--directory", dir).ends(t, 75)
	if !strings.HasPrefix(screen, "\rwaiting for IMDS, 1\x1b[K") && !regexp.MustCompile(`^\rwaiting for IMDS, .\x1b\[K`).MatchString(screen) {
		t.Errorf("the narrow terminal shows %q", screen)
	}
	if !strings.Contains(screen, "\r\x1b[Kimds-ready: timed out after 50ms: ") ||
		!strings.Contains(screen, "connection-refused: refused by [2Jsomebody\r\nimds-ready: hint: wait\r\n") {
		t.Errorf("the narrow terminal shows %q", screen)
	}
	screen = startOnTerminal(t, 80, []string{"TERM=dumb"}, "wait", "--timeout", "50ms", "--directory", dir).ends(t, 75)
	if !strings.HasPrefix(screen, "imds-ready: timed out") || strings.Contains(screen, "\x1b") {
		t.Errorf("the dumb terminal shows %q", screen)
	}
}

func TestStatusColor(t *testing.T) {
	for _, tt := range []struct {
		name, state string
		env         []string
		exit        int
		want        string
	}{
		{"ready", snapshot.Ready, nil, 0, "\x1b[32mready since "},
		{"degraded", snapshot.Degraded, nil, 0, "\x1b[33mdegraded since "},
		{"skipped", snapshot.Skipped, nil, 0, "\x1b[33mskipped since "},
		{"waiting", snapshot.Waiting, nil, 75, "\x1b[33mwaiting since "},
		{"failed", snapshot.Failed, nil, 69, "\x1b[31mfailed since "},
		{"NO_COLOR", snapshot.Ready, []string{"NO_COLOR=1"}, 0, "state:       ready since "},
		{"an empty NO_COLOR", snapshot.Ready, []string{"NO_COLOR="}, 0, "\x1b[32mready since "},
		{"a dumb terminal", snapshot.Ready, []string{"TERM=dumb"}, 0, "state:       ready since "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "imds")
			statusIn(t, dir, func(st *snapshot.Status) { st.State, st.ExitCode = tt.state, new(69) })
			screen := startOnTerminal(t, 80, tt.env, "status", "--directory", dir).ends(t, tt.exit)
			if !strings.Contains(screen, tt.want) || strings.Contains(tt.want, "\x1b") != strings.Contains(screen, "\x1b") {
				t.Errorf("it shows %q", screen)
			}
		})
	}
}
