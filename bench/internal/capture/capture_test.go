// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestStartErrors(t *testing.T) {
	c, err := Start("no-such-device")
	if c != nil || err == nil || !strings.HasPrefix(err.Error(), "watching packets: ") {
		t.Errorf("%v, %v", c, err)
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
		var sent []Packet
		for _, ms := range tc.ms {
			sent = append(sent, Packet{At: time.Duration(ms) * time.Millisecond})
		}
		if got := Busiest(sent, time.Second); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.ms, got, tc.want)
		}
	}
}

// TestBusiestByCounting compares with a count of the window after each packet.
func TestBusiestByCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var sent []Packet
		for range rapid.IntRange(0, 100).Draw(t, "packets") {
			sent = append(sent, Packet{At: time.Duration(random.IntN(300))})
		}
		slices.SortFunc(sent, func(a, b Packet) int { return cmp.Compare(a.At, b.At) })
		want := 0
		for _, from := range sent {
			n := 0
			for _, at := range sent {
				if at.At >= from.At && at.At < from.At+50 {
					n++
				}
			}
			want = max(want, n)
		}
		if got := Busiest(sent, 50); got != want {
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

func TestAsks(t *testing.T) {
	packet := func(header int, protocol, flags byte) []byte {
		p := make([]byte, header+20)
		p[0], p[9], p[header+13] = byte(0x40|header/4), protocol, flags
		return p
	}
	short := packet(20, 6, 2)
	other := packet(20, 6, 2)
	other[0] = 0x65
	for _, tc := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"SYN", packet(20, 6, 0x02), true},
		{"behind options", packet(24, 6, 0x02), true},
		{"with ECN", packet(20, 6, 0xc2), true},
		{"SYN, ACK", packet(20, 6, 0x12), false},
		{"RST, ACK", packet(20, 6, 0x14), false},
		{"UDP", packet(20, 17, 0x02), false},
		{"not IPv4", other, false},
		{"cut", short[:33], false},
		{"nothing", nil, false},
	} {
		if got := asks(tc.packet); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
