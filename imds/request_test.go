// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

// sorted returns a request with its headers in alphabetical order, since their
// order means nothing and their spelling does.
func sorted(raw string) string {
	lines := strings.SplitAfter(raw, "\r\n")
	slices.Sort(lines[1 : len(lines)-2])
	return strings.Join(lines, "")
}

func TestRequestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, nil)
		c := w.client(four)
		c.UserAgent, c.TokenTTL = "imds-ready/1.2.3", 90*time.Second
		mustGet(t, c)
		want := []string{
			"PUT /latest/api/token HTTP/1.1\r\n" +
				"Connection: close\r\n" +
				"Content-Length: 0\r\n" +
				"Host: 127.0.0.1:1338\r\n" +
				"User-Agent: imds-ready/1.2.3\r\n" +
				"X-aws-ec2-metadata-token-ttl-seconds: 90\r\n\r\n",
			"GET /latest/meta-data/x HTTP/1.1\r\n" +
				"Connection: close\r\n" +
				"Host: 127.0.0.1:1338\r\n" +
				"User-Agent: imds-ready/1.2.3\r\n" +
				"X-aws-ec2-metadata-token: TOKEN\r\n\r\n",
		}
		for i, raw := range w.raw {
			if got := sorted(raw); got != want[i] {
				t.Errorf("request %d:\n%s\nwant:\n%s", i, got, want[i])
			}
		}
		if len(w.raw) != 2 {
			t.Errorf("%d requests, want 2", len(w.raw))
		}
	})
}

func TestZeroClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, nil)
		c := w.client()
		if got := c.Endpoint(); got != "" {
			t.Errorf("Endpoint before any answer = %q", got)
		}
		if got := mustGet(t, c); got != "ok" {
			t.Errorf("body %q", got)
		}
		w.expect(t, "0s SYN 169.254.169.254:80, 0s PUT 169.254.169.254:80, 0s SYN 169.254.169.254:80, 0s GET 169.254.169.254:80")
		for _, line := range []string{"Host: 169.254.169.254\r\n", "User-Agent: imds-ready\r\n", "-ttl-seconds: 21600\r\n"} {
			if !strings.Contains(w.raw[0], line) {
				t.Errorf("no line %q in %q", line, w.raw[0])
			}
		}
		if got := c.Endpoint(); got != imds.EndpointIPv4 {
			t.Errorf("Endpoint = %q", got)
		}
		if got := c.Requests(); got != 2 {
			t.Errorf("Requests = %d, want 2", got)
		}
	})
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct{ name, base, path, addr, target string }{
		{"listing", four, "meta-data/", "four", "/latest/meta-data/"},
		{"space", four, "meta-data/tags/instance/my tag", "four", "/latest/meta-data/tags/instance/my%20tag"},
		{"percent", four, "a/50%25", "four", "/latest/a/50%2525"},
		{"question mark", four, "a/b?c=d", "four", "/latest/a/b%3Fc=d"},
		{"fragment", four, "a/#b", "four", "/latest/a/%23b"},
		{"unicode", four, "a/Größe", "four", "/latest/a/Gr%C3%B6%C3%9Fe"},
		{"no request smuggled in", four, "a\r\nHost: b", "four", "/latest/a%0D%0AHost:%20b"},
		{"colons of a MAC stay", four, "macs/0e:49:61:0f:c3:11/", "four", "/latest/macs/0e:49:61:0f:c3:11/"},
		{"equals and plus", four, "public-keys/0=a+b", "four", "/latest/public-keys/0=a+b"},
		{"base path", "http://127.0.0.1:80/imds", "a/b", "127.0.0.1:80", "/imds/latest/a/b"},
		{"escaped base path", "http://127.0.0.1/a%2Fb", "c d", "127.0.0.1:80", "/a%2Fb/latest/c%20d"},
		{"IPv6", "http://[::1]", "a", "[::1]:80", "/latest/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWire(nil, nil)
				if _, err := w.client(tt.base).Get(t.Context(), tt.path); err != nil {
					t.Fatal(err)
				}
				base := strings.TrimSuffix(tt.target, tt.target[strings.Index(tt.target, "/latest/"):])
				if want := "PUT " + base + "/latest/api/token HTTP/1.1\r\n"; !strings.HasPrefix(w.raw[0], want) {
					t.Errorf("got %q, want %q", w.raw[0], want)
				}
				w.expect(t, fmt.Sprintf("0s SYN %[1]s, 0s PUT %[1]s, 0s SYN %[1]s, 0s GET %[1]s %[2]s", tt.addr, tt.target))
			})
		})
	}
}

func TestProxiesAreIgnored(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, "http://127.0.0.1:3128")
	}
	t.Setenv("NO_PROXY", "")
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, nil)
		mustGet(t, w.client()) // not a loopback address: net/http would take the proxy
		w.expect(t, "0s SYN 169.254.169.254:80, 0s PUT 169.254.169.254:80, 0s SYN 169.254.169.254:80, 0s GET 169.254.169.254:80")
	})
}

// A service that offers to keep the connection gets a new one all the same.
func TestOneConnectionEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep := "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 2\r\n\r\nok"
		w := newWire(func(p *peer) { p.say(keep) }, func(p *peer) { p.say(keep) })
		c := w.client(four)
		for range 3 {
			mustGet(t, c)
		}
		w.expect(t, "0s SYN four, 0s PUT four"+strings.Repeat(", 0s SYN four, 0s GET four", 3))
		if len(w.ended) != 4 || c.Requests() != 4 {
			t.Errorf("%d connections closed, Requests %d, want 4 and 4", len(w.ended), c.Requests())
		}
	})
}

// Whatever goes wrong, it goes wrong once.
func TestNoRetry(t *testing.T) {
	half := "HTTP/1.1 200 OK\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 9\r\n\r\nx"
	for _, tt := range []struct {
		name   string
		answer script // nil: the connection is refused
	}{
		{"refused", nil},
		{"EOF", silent},
		{"hang", hangs},
		{"not HTTP", says("SSH-2.0-x\r\n")},
		{"half a body", says(half)},
		{"301", says(answer("301 Moved", "Location: http://127.0.0.1:9/\r\n", ""))},
		{"307", says(answer("307 Temporary Redirect", "Location: /latest/y\r\n", ""))},
		{"401", says(answer("401 Unauthorized", "", ""))},
		{"421", says(answer("421 Misdirected Request", "", ""))},
		{"429", says(answer("429 Too Many Requests", "", ""))},
		{"503", says(answer("503 Service Unavailable", "Retry-After: 0\r\n", ""))},
	} {
		for i, method := range []string{"PUT", "GET"} {
			want := i + 1
			t.Run(tt.name+" to a "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWire(tt.answer, nil)
					if method == "GET" {
						w = newWire(nil, tt.answer)
					}
					c := w.client(four)
					w.dial = func(context.Context, string) error {
						if tt.answer == nil && c.Requests() == want {
							return syscall.ECONNREFUSED
						}
						return nil
					}
					if e := mustFail(t, c); e.Op != method {
						t.Errorf("Op = %s: %v", e.Op, e)
					}
					if got := w.count("SYN"); got != want || c.Requests() != want {
						t.Errorf("%d connections, Requests %d, want %d", got, c.Requests(), want)
					}
				})
			})
		}
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, nil)
		c := w.client(four)
		c.Pace = func(ctx context.Context) error {
			w.log("pace")
			select {
			case <-time.After(3 * time.Second): // longer than connect and read timeout
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		mustGet(t, c)
		w.expect(t, "0s pace, 3s SYN four, 3s PUT four, 3s pace, 6s SYN four, 6s GET four")
	})
}
