// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// child is the environment variable that turns this test into a program that sends the datagrams in it.
const child = "PROCESS_TEST_CHILD"

func TestMain(m *testing.M) {
	if states := os.Getenv(child); states != "" {
		c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		for state := range strings.SplitSeq(states, "|") {
			if err == nil {
				_, err = c.Write([]byte(state))
			}
		}
		if err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program returns a program that runs a script, or sends datagrams.
func program(t *testing.T, script, states string) Program {
	t.Helper()
	dir, err := os.MkdirTemp("", "p") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if states != "" {
		// The race detector would sleep a second at the exit.
		return Program{Path: os.Args[0], Env: []string{child + "=" + states, "GORACE=atexit_sleep_ms=0"}, Dir: dir}
	}
	return Program{Path: "/bin/sh", Args: []string{"-c", script}, Dir: dir}
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		script, states      string
		ready               bool
		notifications, code int
		printed             string
	}{
		{states: "STATUS=waiting|STATUS=ready in 1 s\nREADY=1", ready: true, notifications: 2},
		{states: "READY=10|NOT_READY=1|STATUS=READY=1", notifications: 3},
		// All arrive, however soon it exits.
		{states: strings.Repeat("EXTEND_TIMEOUT_USEC=1|", 300) + "READY=1|READY=1", ready: true, notifications: 302},
		{script: "echo out of luck; exit 75", code: 75, printed: "out of luck"},
		{script: "kill -9 $$", code: 128 + 9},
	} {
		r, err := Run(t.Context(), program(t, tc.script, tc.states))
		if err != nil || (r.Ready > 0) != tc.ready || r.Notifications != tc.notifications || r.Code != tc.code || r.Printed != tc.printed {
			t.Errorf("%+v, %v, want %+v", r, err, tc)
		}
		if r.Exit <= 0 || r.Peak <= 0 || r.Floor <= 0 || r.Started.IsZero() {
			t.Errorf("implausible accounts of %+v: %+v", tc, r)
		}
	}
}

// TestRunIsCutAtTheEndOfTheContext cuts a program that signals this process once it has printed something.
func TestRunIsCutAtTheEndOfTheContext(t *testing.T) {
	cause := errors.New("time is up")
	ctx, cut := context.WithCancelCause(t.Context())
	defer cut(nil)
	printed := make(chan os.Signal, 1)
	signal.Notify(printed, syscall.SIGUSR1)
	defer signal.Stop(printed)
	go func() {
		<-printed
		cut(cause)
	}()
	r, err := Run(ctx, program(t, "echo never mind me; kill -USR1 $PPID; exec sleep 60", ""))
	if !errors.Is(err, cause) || !strings.Contains(fmt.Sprint(err), "never mind me") {
		t.Errorf("err = %v, want the cause and the output", err)
	}
	if r.Code != 128+9 || r.Exit <= 0 || r.Peak <= 0 {
		t.Errorf("a run that is cut lacks its accounts: %+v", r)
	}
}

func TestRunMeasuresMemoryOfChildren(t *testing.T) {
	r, err := Run(t.Context(), program(t, "head -c 67108864 /dev/zero | tail -c 67108864 | wc -c", ""))
	if err != nil || r.Peak < 64<<20 || r.Peak > 1<<30 || r.Peak <= r.Floor {
		t.Errorf("peak %d, floor %d, %v; tail holds 64 MiB", r.Peak, r.Floor, err)
	}
}

func TestRunInheritsNothing(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	p := program(t, "", "")
	p.Path, p.Args, p.Env = "/usr/bin/env", nil, []string{"A=b"}
	r, err := Run(t.Context(), p)
	got := strings.Fields(r.Printed)
	slices.Sort(got)
	if want := []string{"A=b", "NOTIFY_SOCKET=" + p.Dir + "/notify", "PATH=" + os.Getenv("PATH")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("environment %q, %v, want %q", got, err, want)
	}
}

func TestRunErrors(t *testing.T) {
	missing, nowhere := program(t, "", ""), program(t, "", "")
	missing.Path, nowhere.Dir = "/nonexistent/program", "/nonexistent"
	for _, p := range []Program{missing, nowhere} {
		if _, err := Run(t.Context(), p); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(fmt.Sprint(err), "running "+p.Path) {
			t.Errorf("err = %v", err)
		}
	}
}
