// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The protocol, request by request. TOKEN stands for a valid token.
func TestProtocol(t *testing.T) {
	put := func(headers string) string { return "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" }
	ttl := func(v string) string { return put("X-aws-ec2-metadata-token-ttl-seconds: " + v + "\r\n") }
	get := func(path string) string { return getRequest(path, "TOKEN") }
	for _, tt := range []struct{ name, request, status, body string }{
		{"TTL 1", ttl("1"), "200 OK", "*"},
		{"TTL 21600", ttl("21600"), "200 OK", "*"},
		{"TTL 0", ttl("0"), "400 Bad Request", errorPage(400)},
		{"TTL 21601", ttl("21601"), "400 Bad Request", errorPage(400)},
		{"TTL with a sign", ttl("+60"), "400 Bad Request", errorPage(400)},
		{"TTL of a word", ttl("abc"), "400 Bad Request", errorPage(400)},
		{"TTL huge", ttl("99999999999999999999"), "400 Bad Request", errorPage(400)},
		{"TTL empty", ttl(""), "400 Bad Request", errorPage(400)},
		{"TTL missing", put(""), "400 Bad Request", errorPage(400)},
		{"forwarded", put("X-aws-ec2-metadata-token-ttl-seconds: 60\r\nX-Forwarded-For: 10.0.0.1\r\n"), "403 Forbidden", errorPage(403)},
		{"empty forwarded header", put("X-aws-ec2-metadata-token-ttl-seconds: 60\r\nx-forwarded-for:\r\n"), "403 Forbidden", errorPage(403)},
		{"token of a dated version", strings.Replace(ttl("60"), "latest", "2021-01-03", 1), "405 Method Not Allowed", errorPage(405)},
		{"GET of the token", get("/latest/api/token"), "404 Not Found", errorPage(404)},
		{"no token", "GET /latest/user-data HTTP/1.1\r\nHost: x\r\n\r\n", "401 Unauthorized", errorPage(401)},
		{"no token, no path", "GET /latest/no/such HTTP/1.1\r\nHost: x\r\n\r\n", "401 Unauthorized", errorPage(401)},
		{"wrong token", getRequest("/latest/user-data", "AQAEwrong=="), "401 Unauthorized", errorPage(401)},
		{"leaf", get("/latest/meta-data/mac"), "200 OK", "0e:49:61:0f:c3:11"},
		{"leaf of a dated version", get("/2021-01-03/meta-data/mac"), "200 OK", "0e:49:61:0f:c3:11"},
		{"leaf of the first version", get("/1.0/meta-data/mac"), "200 OK", "0e:49:61:0f:c3:11"},
		{"leaf with a slash", get("/latest/meta-data/mac/"), "404 Not Found", errorPage(404)},
		{"escaped path", get("/latest/meta-data/tags/instance/cost%3Acenter"), "200 OK", `R&D, "42" = 6*7`},
		{"query", get("/latest/meta-data/mac?x=y"), "200 OK", "0e:49:61:0f:c3:11"},
		{"listing", get("/latest/meta-data/placement/"), "200 OK", "availability-zone\navailability-zone-id\nregion"},
		{"listing without a slash", get("/latest/meta-data/placement"), "200 OK", "availability-zone\navailability-zone-id\nregion"},
		{"listing of directories", get("/latest/meta-data/iam/"), "200 OK", "info\nsecurity-credentials/"},
		{"listing of the version", get("/latest/"), "200 OK", "dynamic/\nmeta-data/\nuser-data"},
		{"listing of the version without a slash", get("/latest"), "200 OK", "dynamic/\nmeta-data/\nuser-data"},
		{"versions", get("/"), "200 OK", "1.0\n2021-01-03\nlatest"},
		{"keys by name", get("/latest/meta-data/public-keys/"), "200 OK", "0=web-key"},
		{"key by number", get("/latest/meta-data/public-keys/0/"), "200 OK", "openssh-key"},
		{"part of a name", get("/latest/meta-data/pla"), "404 Not Found", errorPage(404)},
		{"two slashes", get("/latest//meta-data/mac"), "404 Not Found", errorPage(404)},
		{"dots", get("/latest/meta-data/../user-data"), "404 Not Found", errorPage(404)},
		{"no version", get("/meta-data/mac"), "404 Not Found", errorPage(404)},
		{"redirected", get("/latest/redirected"), "404 Not Found", errorPage(404)},
		{"HEAD", strings.Replace(get("/latest/meta-data/mac"), "GET", "HEAD", 1), "200 OK", ""},
		{"POST", strings.Replace(get("/latest/meta-data/mac"), "GET", "POST", 1), "405 Method Not Allowed", errorPage(405)},
		{"PUT elsewhere", strings.Replace(get("/latest/meta-data/mac"), "GET", "PUT", 1), "405 Method Not Allowed", errorPage(405)},
		{"not HTTP", "hello\r\n\r\n", "400 Bad Request", errorPage(400)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachWire(t, func() *Server { return New(DefaultTree()) }, func(t *testing.T, s *Server, w wire) {
				answer, end := w.send(t, strings.Replace(tt.request, "TOKEN", w.token(t), 1))
				status, body := statusAndBody(answer)
				if status != tt.status || tt.body != "*" && body != tt.body || end != "eof" {
					t.Errorf("%s, body %q, %s; want %s, body %q, eof", status, body, end, tt.status, tt.body)
				}
				for _, want := range []string{"\r\nServer: EC2ws\r\n", "\r\nConnection: close\r\n"} {
					if !strings.Contains(answer, want) {
						t.Errorf("answer %q without %q", answer, want)
					}
				}
				if r := s.Requests()[1]; !strings.HasPrefix(status, fmt.Sprint(r.Status)) {
					t.Errorf("traced as %d", r.Status)
				}
			})
		})
	}
}

func TestBasePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree(), MustSchedule("404@meta-data/mac")...)
		defer s.Close()
		s.BasePath = "/some/base"
		w := pipeWire(s)
		answer, _ := w.send(t, strings.Replace(putRequest, "/latest", "/some/base/latest", 1))
		_, token := statusAndBody(answer)
		for path, want := range map[string]string{
			"/some/base/latest/meta-data/system": "200 OK",
			"/some/base/latest/meta-data/mac":    "404 Not Found",
			"/latest/meta-data/system":           "404 Not Found",
			"/some/base":                         "404 Not Found",
			"/some/base/":                        "200 OK",
		} {
			answer, _ := w.send(t, getRequest(path, token))
			if status, _ := statusAndBody(answer); status != want {
				t.Errorf("%s: %s, want %s", path, status, want)
			}
		}
	})
}

// A request over 64 KiB is answered before it is read to its end.
func TestTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree())
		defer s.Close()
		answer, end := pipeWire(s).send(t, "GET /"+strings.Repeat("x", 2*maxRequest)+crlfcrlf)
		if status, _ := statusAndBody(answer); status != "400 Bad Request" || end != "eof" {
			t.Errorf("%s, %s", status, end)
		}
		if got := traceText(s.Trace()); got != "0s SYN\n0s BAD 400" {
			t.Errorf("trace %q", got)
		}
	})
}

// A client of net/http can read the answers.
func TestHTTPClient(t *testing.T) {
	s := New(DefaultTree())
	defer s.Close()
	url, err := s.Listen("[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/latest/api/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(headerTTL, "60")
	client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close || resp.ContentLength != 56 || resp.Header.Get(headerTTL) != "60" {
		t.Errorf("answer %+v", resp)
	}
}

// The bytes of an ordinary exchange.
func TestExactBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree())
		defer s.Close()
		w := pipeWire(s)
		put, end := w.send(t, putRequest)
		token := s.Tokens()[0]
		want := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60\r\nContent-Length: 56\r\n" +
			"Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nServer: EC2ws\r\nConnection: close\r\n\r\n" + token
		if put != want || end != "eof" {
			t.Errorf("PUT:\n%q, %s, want\n%q", put, end, want)
		}
		after(1500 * time.Millisecond)
		get, end := w.send(t, getRequest("/latest/meta-data/instance-id", token))
		want = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 58\r\nContent-Length: 19\r\n" +
			"Date: Sat, 01 Jan 2000 00:00:01 GMT\r\nServer: EC2ws\r\nConnection: close\r\n\r\ni-0123456789abcdef0"
		if get != want || end != "eof" {
			t.Errorf("GET:\n%q, %s, want\n%q", get, end, want)
		}
		get, _ = w.send(t, getRequest("/latest/no/such", token))
		want = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 58\r\nContent-Length: 337\r\n" +
			"Date: Sat, 01 Jan 2000 00:00:01 GMT\r\nServer: EC2ws\r\nConnection: close\r\n\r\n" + errorPage(404)
		if get != want {
			t.Errorf("GET:\n%q, want\n%q", get, want)
		}
		wantTrace := "0s SYN\n0s PUT api/token 200\n1.5s SYN\n1.5s GET meta-data/instance-id 200\n1.5s SYN\n1.5s GET no/such 404"
		if got := traceText(s.Trace()); got != wantTrace {
			t.Errorf("trace:\n%s\nwant:\n%s", got, wantTrace)
		}
	})
}
