// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
)

// sorted returns a request with its headers in alphabetical order: their order does
// not matter, but their spelling does.
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

// The zero Client has defaults for everything, and ignores proxies. (net/http would use
// one, because the address is not loopback.)
func TestZeroClientIgnoresProxies(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, "http://127.0.0.1:3128")
	}
	t.Setenv("NO_PROXY", "")
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
		if got := c.Endpoint(); got != imds.EndpointIPv4 || c.Requests() != 2 {
			t.Errorf("Endpoint %q, Requests %d", got, c.Requests())
		}
	})
}

// The address of an interface has a zone, which is not sent (RFC 6874 section 1). A line end
// in the name of a program begins no second header.
func TestRequestIsNotSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(nil, nil)
		c := w.client("http://[fe80::1%25lo]:1338")
		c.UserAgent = "a\r\nHost: b"
		mustGet(t, c)
		for _, raw := range w.raw {
			if lines := strings.Split(raw, "\r\n"); !slices.Contains(lines, "Host: [fe80::1]:1338") || !slices.Contains(lines, "User-Agent: a  Host: b") {
				t.Errorf("%q", raw)
			}
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
		{"no second header", four, "a\r\nHost: b", "four", "/latest/a%0D%0AHost:%20b"},
		{"colons of a MAC are kept", four, "macs/0e:49:61:0f:c3:11/", "four", "/latest/macs/0e:49:61:0f:c3:11/"},
		{"equals and plus", four, "public-keys/0=a+b", "four", "/latest/public-keys/0=a+b"},
		{"base path", "http://127.0.0.1:80/imds", "a/b", "127.0.0.1:80", "/imds/latest/a/b"},
		{"escaped base path", "http://127.0.0.1/a%2Fb", "c d", "127.0.0.1:80", "/a%2Fb/latest/c%20d"},
		{"IPv6", "http://[::1]", "a", "[::1]:80", "/latest/a"},
		{"final slash", four + "/", "a", "four", "/latest/a"},
		{"base path with a final slash", "http://127.0.0.1/imds/", "a", "127.0.0.1:80", "/imds/latest/a"},
	} {
		bubble(t, tt.name, func(t *testing.T) {
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
	}
}

// An endpoint that is not plain HTTP is refused before anything is sent.
func TestEndpointsAreHTTP(t *testing.T) {
	for _, endpoint := range []string{"https://127.0.0.1:1338", "ftp://127.0.0.1:1338", "http://", "127.0.0.1:1338", four + "/?x=1", four + "/#x", "http://u:p@127.0.0.1:1338"} {
		bubble(t, endpoint, func(t *testing.T) {
			w := newWire(nil, nil)
			if e := mustFail(t, w.client(endpoint)); e.Connected || e.Status != 0 {
				t.Errorf("got %+v", e)
			}
			w.expect(t, "")
		})
	}
}

// Each request has its own connection, even if the service offers to keep it.
func TestOneConnectionEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep := "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 2\r\n\r\nok"
		w := newWire(func(p *peer) { p.send(keep) }, func(p *peer) { p.send(keep) })
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

// A request without an answer fails once and is not retried. TestStatuses does the same
// for answers.
func TestNoRetry(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer script // if nil, the connection is refused
	}{
		{"refused", nil},
		{"EOF", closes},
		{"hang", hangs},
		{"not HTTP", sends("SSH-2.0-x\r\n")},
		{"half a body", sends(head)},
	} {
		for i, method := range []string{"PUT", "GET"} {
			want := i + 1
			bubble(t, tt.name+" to a "+method, func(t *testing.T) {
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

// "localhost" stands for two addresses and is never looked up.
func TestLocalhost(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		refused   string // the prefix of the addresses that refuse
		trace     string
		fails     bool
	}{
		{"the first answers", "http://localhost:1338", "none", "0s SYN four, 0s PUT four, 0s SYN four, 0s GET four", false},
		{"the second answers", "http://localhost:1338", "127.", "0s SYN four, 0s SYN six, 0s PUT six, 0s SYN four, 0s SYN six, 0s GET six", false},
		{"both refuse", "http://localhost:1338", "", "0s SYN four, 0s SYN six", true},
		{"any case", "http://LocalHost:1338", "none", "0s SYN four, 0s PUT four, 0s SYN four, 0s GET four", false},
		{"port 80", "http://localhost/base", "none", "0s SYN 127.0.0.1:80, 0s PUT 127.0.0.1:80, 0s SYN 127.0.0.1:80, 0s GET 127.0.0.1:80 /base/latest/meta-data/x", false},
		{"another loopback address", "http://127.0.0.2:1338", "127.", "0s SYN 127.0.0.2:1338", true},
	} {
		bubble(t, tt.name, func(t *testing.T) {
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
		w.expect(t, "0s SYN four") // no time is left for the second
	})
}

// Virtual time begins at midnight UTC on 2000-01-01, a Saturday.
func TestRetryAfter(t *testing.T) {
	const (
		long = 20 * 365 * 24 * time.Hour // longer than any wait
		date = "Date: Sat, 01 Jan 2000 12:00:00 GMT\r\n"
	)
	for _, tt := range []struct {
		name, headers string
		want          time.Duration // long stands for that or more
	}{
		{"none", "", 0},
		{"seconds", "Retry-After: 120\r\n", 2 * time.Minute},
		{"zero", "Retry-After: 0\r\n", 0},
		{"spaces", "Retry-After:   7  \r\n", 7 * time.Second},
		{"any case", "retry-after: 7\r\n", 7 * time.Second},
		{"leading zeroes", "Retry-After: 007\r\n", 7 * time.Second},
		{"a year", "Retry-After: 31536000\r\n", 365 * 24 * time.Hour},
		{"past 32 bits", "Retry-After: 4294967297\r\n", long},
		{"past a duration", "Retry-After: 9223372037\r\n", long},
		{"past 64 bits", "Retry-After: 18446744073709551617\r\n", long},
		{"4 KiB of nines", "Retry-After: " + strings.Repeat("9", 4096) + "\r\n", long},
		{"empty", "Retry-After:\r\n", 0},
		{"negative", "Retry-After: -1\r\n", 0},
		{"signed", "Retry-After: +1\r\n", 0},
		{"fraction", "Retry-After: 1.5\r\n", 0},
		{"exponent", "Retry-After: 1e3\r\n", 0},
		{"unit", "Retry-After: 5s\r\n", 0},
		{"words", "Retry-After: soon\r\n", 0},
		{"other digits", "Retry-After: \u0665\r\n", 0},
		{"date, by the local clock", "Retry-After: Sat, 01 Jan 2000 00:00:30 GMT\r\n", 30 * time.Second},
		{"date, by the answer's clock", date + "Retry-After: Sat, 01 Jan 2000 12:00:10 GMT\r\n", 10 * time.Second},
		{"date, the answer's clock years ahead", "Date: Tue, 01 Jul 2025 10:00:00 GMT\r\nRetry-After: Tue, 01 Jul 2025 10:01:00 GMT\r\n", time.Minute},
		{"date, the answer's clock far behind", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nRetry-After: Thu, 01 Jan 1970 00:00:05 GMT\r\n", 5 * time.Second},
		{"date, the answer's clock is garbage", "Date: noon\r\nRetry-After: Sat, 01 Jan 2000 00:00:30 GMT\r\n", 30 * time.Second},
		{"date, RFC 850", date + "Retry-After: Saturday, 01-Jan-00 12:00:10 GMT\r\n", 10 * time.Second},
		{"date, asctime", date + "Retry-After: Sat Jan  1 12:00:10 2000\r\n", 10 * time.Second},
		{"date in the past", date + "Retry-After: Sat, 01 Jan 2000 11:59:59 GMT\r\n", 0},
		{"date now", date + "Retry-After: Sat, 01 Jan 2000 12:00:00 GMT\r\n", 0},
		{"date far away", date + "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", long},
		{"date, half of it", "Retry-After: Sat, 01 Jan\r\n", 0},
		{"RFC 3339", "Retry-After: 2000-01-01T00:01:00Z\r\n", 0},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			for _, status := range []string{"429 Too Many Requests", "503 Service Unavailable"} {
				_, err := get(t, "x", answer(status, tt.headers, "<html>"))
				got := failed(t)(nil, err).RetryAfter
				if got != tt.want && !(tt.want == long && got > long) {
					t.Errorf("%s: RetryAfter = %v, want %v", status, got, tt.want)
				}
			}
		})
	}
}
