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

// child is the environment variable that turns this test into the program that it runs.
const child = "PROCESS_TEST_CHILD"

// noRaceSleep keeps the race detector from sleeping a second at the child's exit.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	if what := os.Getenv(child); what != "" {
		os.Exit(behave(what))
	}
	os.Exit(m.Run())
}

// behave is the main function of the child.
func behave(what string) int {
	switch what {
	case "ready":
		say("STATUS=waiting", "STATUS=ready in 1 s\nREADY=1")
	case "almost":
		say("READY=10", "NOT_READY=1", "STATUS=READY=1")
	case "chatty":
		for range 300 {
			say("EXTEND_TIMEOUT_USEC=1")
		}
		say("READY=1", "READY=1")
	case "fails":
		fmt.Println("out of luck")
		return 75
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "hangs":
		fmt.Println("never mind me")
		_ = syscall.Kill(os.Getppid(), syscall.SIGUSR1)
		<-make(chan int)
	case "large":
		b := make([]byte, 64<<20)
		for i := range b {
			b[i] = byte(i)
		}
		fmt.Println(b[len(b)-1])
	case "environment":
		for _, v := range os.Environ() {
			name, _, _ := strings.Cut(v, "=")
			fmt.Println(name)
		}
	}
	return 0
}

func say(states ...string) {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		panic(err)
	}
	defer c.Close()
	for _, s := range states {
		if _, err := c.Write([]byte(s)); err != nil {
			panic(err)
		}
	}
}

// program returns the child with the given behavior.
func program(t *testing.T, what string, env ...string) Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "p") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return Program{Path: self, Env: append(env, child+"="+what, noRaceSleep), Dir: dir}
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		what          string
		ready         bool
		notifications int
		code          int
		printed       string
	}{
		{what: "ready", ready: true, notifications: 2},
		{what: "almost", notifications: 3},
		{what: "chatty", ready: true, notifications: 302}, // all arrive, however soon it exits
		{what: "fails", code: 75, printed: "out of luck"},
		{what: "killed", code: 128 + 9},
	} {
		t.Run(tc.what, func(t *testing.T) {
			r, err := Run(t.Context(), program(t, tc.what))
			if err != nil {
				t.Fatal(err)
			}
			if (r.Ready > 0) != tc.ready || r.Notifications != tc.notifications || r.Code != tc.code {
				t.Errorf("ready after %v, %d notifications, code %d; want ready %t, %d, %d",
					r.Ready, r.Notifications, r.Code, tc.ready, tc.notifications, tc.code)
			}
			if r.Ready > r.Exit || r.Exit <= 0 {
				t.Errorf("ready after %v, gone after %v", r.Ready, r.Exit)
			}
			if r.Peak <= 0 || r.Floor <= 0 || r.Started.IsZero() {
				t.Errorf("no accounts: %+v", r)
			}
			if got := r.Printed; got != tc.printed {
				t.Errorf("printed %q, want %q", got, tc.printed)
			}
		})
	}
}

// TestRunIsCutAtTheEndOfTheContext cuts a child that signals this process once it has printed something.
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
	r, err := Run(ctx, program(t, "hangs"))
	if !errors.Is(err, cause) || !strings.Contains(fmt.Sprint(err), "never mind me") {
		t.Errorf("err = %v, want the cause and the output", err)
	}
	if r.Code != 128+9 || r.Exit <= 0 || r.CPU <= 0 {
		t.Errorf("a run that is cut lacks its accounts: %+v", r)
	}
}

func TestRunMeasuresMemory(t *testing.T) {
	r, err := Run(t.Context(), program(t, "large"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Peak < 64<<20 || r.Peak > 1<<30 || r.Peak <= r.Floor {
		t.Errorf("peak %d, floor %d; 64 MiB were used", r.Peak, r.Floor)
	}
}

func TestRunInheritsNothing(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	r, err := Run(t.Context(), program(t, "environment", "A=b"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(r.Printed)
	slices.Sort(got)
	if want := []string{"A", "GORACE", "NOTIFY_SOCKET", "PATH", child}; !slices.Equal(got, want) {
		t.Errorf("environment %q, want %q", got, want)
	}
}

func TestRunErrors(t *testing.T) {
	missing := program(t, "")
	missing.Path = "/nonexistent/program"
	nowhere := program(t, "")
	nowhere.Dir = "/nonexistent"
	for name, p := range map[string]Program{"no program": missing, "no directory": nowhere} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), p)
			if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(fmt.Sprint(err), "running "+p.Path) {
				t.Errorf("err = %v", err)
			}
		})
	}
}
