// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == netns.Inside {
		if err := command(context.Background(), os.Args[1:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// TestRun is the whole benchmark, with one small crawl under each configuration.
// Where the kernel gives no namespace to whoever tests, or ip(8) is not there, it
// looks at how that is told.
func TestRun(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	var stdout strings.Builder
	err := run(t.Context(), []string{"-n", "1", "-interfaces", "0"}, &stdout)
	if err != nil {
		for what, hint := range map[string]string{
			"making a network namespace":     "run this as root, or allow user namespaces",
			"joining two network namespaces": "",
		} {
			if strings.Contains(err.Error(), what) && strings.HasSuffix(err.Error(), hint) {
				return
			}
		}
		t.Fatal(err)
	}
	for _, want := range []string{"# Packets of a crawl\n", "| imds-ready, as fast ", "| imds-ready, packets in any one second |    1023 | "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
	if strings.Contains(stdout.String(), "NOT MET") {
		t.Errorf("a crawl of 90 paths is no flood:\n%s", stdout.String())
	}
}

// TestInsideIsNotHere: outside of a namespace of its own nothing is begun.
func TestInsideIsNotHere(t *testing.T) {
	err := command(t.Context(), []string{netns.Inside, "-dir", t.TempDir()}, io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "this is not a network namespace of its own: ") {
		t.Errorf("err = %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-interfaces", "-1"}, {"more"}, {"-x"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	w, err := open("no-such-device")
	if w != nil || err == nil || !strings.HasPrefix(err.Error(), "watching packets: ") {
		t.Errorf("%v, %v", w, err)
	}
	if at, err := timestamp(nil); err == nil || at != 0 {
		t.Errorf("a packet without a time: %v, %v", at, err)
	}
}

func TestBusiest(t *testing.T) {
	for _, tc := range []struct {
		ms   []int
		want int
	}{
		{nil, 0},
		{[]int{5}, 1},
		{[]int{0, 0, 0}, 3},
		{[]int{0, 500, 999, 1000}, 3}, // a window has no end
		{[]int{0, 999, 1000, 1001, 1998, 1999}, 4},
	} {
		var sent []time.Duration
		for _, ms := range tc.ms {
			sent = append(sent, time.Duration(ms)*time.Millisecond)
		}
		if got := busiest(sent, time.Second); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.ms, got, tc.want)
		}
	}
}

// TestBusiestByCounting compares with a count of the window after each packet.
func TestBusiestByCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var sent []time.Duration
		for range rapid.IntRange(0, 100).Draw(t, "packets") {
			sent = append(sent, time.Duration(random.IntN(300)))
		}
		slices.Sort(sent)
		want := 0
		for _, from := range sent {
			n := 0
			for _, at := range sent {
				if at >= from && at < from+50 {
					n++
				}
			}
			want = max(want, n)
		}
		if got := busiest(sent, 50); got != want {
			t.Fatalf("%v: %d, want %d", sent, got, want)
		}
	})
}

const table = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       1       2    3    4    5     6          7         8        9      10    0    0    0     0       0          0
bench0:     100      20    0    0    0     0          0         0      400    2123    0    0    0     0       0          0
 short: 1 2 3
   bad: 1 2 3 4 5 6 7 8 9 x
`

func TestParseTotal(t *testing.T) {
	for _, tc := range []struct {
		device string
		want   int
		err    string
	}{
		{device: "lo", want: 10},
		{device: "bench0", want: 2123},
		{device: "bench", err: "there is no interface bench"},
		{device: "short", err: "3 columns"},
		{device: "bad", err: `parsing "x"`},
	} {
		got, err := parseTotal(table, tc.device)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %d, %v; want %d, %q", tc.device, got, err, tc.want, tc.err)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, tc := range []struct {
		name   string
		crawls []crawl
		met    bool
		says   string
	}{
		{"below", []crawl{{Peak: 1023}, {Peak: 5}, {Config: 1, Peak: 5000}}, true, "1023"},
		{"at the limit", []crawl{{Peak: 5}, {Peak: 1024}}, false, "1024"},
		{"not measured", nil, false, "0"},
	} {
		if got := (outcome{crawls: tc.crawls}).targets(); len(got) != 1 || got[0].Met != tc.met || got[0].Measured != tc.says {
			t.Errorf("%s: %+v, want met %t, %s", tc.name, got, tc.met, tc.says)
		}
	}
}
