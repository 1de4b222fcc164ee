// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const child = "SIM_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(child); what != "" {
		os.Exit(behave(what, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// behave is the main function of a child that talks like a simulator.
func behave(what string, args []string) int {
	switch what {
	case "garbage":
		fmt.Println("not JSON")
	case "dies":
		fmt.Fprintln(os.Stderr, "(a child that dies, on purpose)")
		return 3
	}
	fmt.Printf(`{"url":"http://127.0.0.1:1/%s","latency_seconds":0.0005,"start_seconds":7}`+"\n", strings.Join(args, "+"))
	lines := bufio.NewScanner(os.Stdin)
	for n := 1; lines.Scan(); n++ {
		if what == "falters" {
			return 4
		}
		fmt.Printf(`{"puts":%d,"gets":2,"others":4,"peak_per_second":5}`+"\n", n)
	}
	return 0
}

// start starts this test as a simulator.
func start(t *testing.T, what string, args ...string) (*Simulator, error) {
	t.Helper()
	t.Setenv(child, what)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // not a second at the child's exit
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Start(t.Context(), nil, self, args...)
}

func TestSimulator(t *testing.T) {
	s, err := start(t, "works", "-a", "b")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Hello{URL: "http://127.0.0.1:1/-a+b", Latency: 0.0005, Start: 7}); s.Hello != want {
		t.Errorf("hello %+v, want %+v", s.Hello, want)
	}
	if s.PID() <= 1 || s.PID() == os.Getpid() {
		t.Errorf("process %d", s.PID())
	}
	for n := 1; n <= 2; n++ {
		c, err := s.Take()
		if want := (Counts{PUTs: n, GETs: 2, Others: 4, Peak: 5}); err != nil || c != want {
			t.Errorf("counts %+v, %v, want %+v", c, err, want)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStartErrors(t *testing.T) {
	for what, want := range map[string]string{
		"garbage": "starting the simulator: invalid character",
		"dies":    "exit status 3",
	} {
		t.Run(what, func(t *testing.T) {
			if s, err := start(t, what); s != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, %v; want %q", s, err, want)
			}
		})
	}
	if _, err := Start(t.Context(), nil, "/nonexistent/simulator"); err == nil {
		t.Error("a program that is not there was started")
	}
}

func TestTakeOfADeadSimulator(t *testing.T) {
	s, err := start(t, "falters")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(); err == nil || !strings.HasPrefix(err.Error(), "asking the simulator for its counts: ") {
		t.Errorf("err = %v", err)
	}
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("err = %v", err)
	}
}

func TestMonotonic(t *testing.T) {
	first := time.Now()
	a, b := Monotonic(first), Monotonic(first.Add(2*time.Second))
	if d := b - a - 2; d < -0.1 || d > 0.1 || a <= 0 {
		t.Errorf("%v and %v are not two seconds apart", a, b)
	}
}
