// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// "localhost" is two addresses and never a name to look up.
func TestLocalhost(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		refused   string // the addresses that refuse, by their beginning
		trace     string
		fails     bool
	}{
		{"the first will do", "http://localhost:1338", "none", "0s SYN four, 0s PUT four, 0s SYN four, 0s GET four", false},
		{"then the second", "http://localhost:1338", "127.", "0s SYN four, 0s SYN six, 0s PUT six, 0s SYN four, 0s SYN six, 0s GET six", false},
		{"neither", "http://localhost:1338", "", "0s SYN four, 0s SYN six", true},
		{"any case", "http://LocalHost:1338", "none", "0s SYN four, 0s PUT four, 0s SYN four, 0s GET four", false},
		{"port 80", "http://localhost/base", "none", "0s SYN 127.0.0.1:80, 0s PUT 127.0.0.1:80, 0s SYN 127.0.0.1:80, 0s GET 127.0.0.1:80 /base/latest/meta-data/x", false},
		{"an address is taken as it is", "http://127.0.0.2:1338", "127.", "0s SYN 127.0.0.2:1338", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(nil, nil)
				w.dial = func(_ context.Context, addr string) error {
					if strings.HasPrefix(addr, tt.refused) {
						return syscall.ECONNREFUSED
					}
					return nil
				}
				c := w.client(tt.url)
				requests := 2
				if tt.fails {
					requests = 1 // two addresses are one request
					if e := mustFail(t, c); !errors.Is(e, syscall.ECONNREFUSED) || e.Connected {
						t.Errorf("got %+v, want refused", e)
					}
				} else {
					mustGet(t, c)
					host := strings.SplitN(strings.TrimPrefix(tt.url, "http://"), "/", 2)[0]
					if !strings.Contains(w.raw[0], "\r\nHost: "+host+"\r\n") {
						t.Errorf("no Host %s in %q", host, w.raw[0])
					}
				}
				w.expect(t, tt.trace)
				if got := c.Requests(); got != requests {
					t.Errorf("Requests = %d, want %d", got, requests)
				}
			})
		})
	}
}

// Both addresses share one connect timeout.
func TestLocalhostTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, nil)
		w.dial = func(ctx context.Context, _ string) error { return blackHole(ctx) }
		e := mustFail(t, w.client("http://localhost:1338"))
		if w.now() != 250*ms || !e.Timeout() || e.Connected {
			t.Errorf("%+v after %v, want a connect timeout after 250ms", e, w.now())
		}
		w.expect(t, "0s SYN four") // nothing is left for the other
	})
}
