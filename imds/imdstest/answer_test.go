// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The protocol, request by request. TOKEN stands for a good token.
func TestProtocol(t *testing.T) {
	put := func(headers string) string { return "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" }
	ttl := func(v string) string { return put("X-aws-ec2-metadata-token-ttl-seconds: " + v + "\r\n") }
	get := func(path string) string { return getRequest(path, "TOKEN") }
	for _, tt := range []struct{ name, request, status, body string }{
		{"TTL 1", ttl("1"), "200 OK", "*"},
		{"TTL 21600", ttl("21600"), "200 OK", "*"},
		{"TTL 0", ttl("0"), "400 Bad Request", errorPage(400)},
		{"TTL 21601", ttl("21601"), "400 Bad Request", errorPage(400)},
		{"TTL of a sign", ttl("+60"), "400 Bad Request", errorPage(400)},
		{"TTL of a word", ttl("abc"), "400 Bad Request", errorPage(400)},
		{"TTL huge", ttl("99999999999999999999"), "400 Bad Request", errorPage(400)},
		{"TTL empty", ttl(""), "400 Bad Request", errorPage(400)},
		{"TTL missing", put(""), "400 Bad Request", errorPage(400)},
		{"forwarded", put("X-aws-ec2-metadata-token-ttl-seconds: 60\r\nX-Forwarded-For: 10.0.0.1\r\n"), "403 Forbidden", errorPage(403)},
		{"forwarded for nobody", put("X-aws-ec2-metadata-token-ttl-seconds: 60\r\nx-forwarded-for:\r\n"), "403 Forbidden", errorPage(403)},
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
		{"half a name", get("/latest/meta-data/pla"), "404 Not Found", errorPage(404)},
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

// The server forgets a token when it is told to, and goes on saying otherwise.
func TestTokenLifetime(t *testing.T) {
	for _, tt := range []struct {
		name                string
		lifetime            time.Duration
		lives, dies         time.Duration // since the token was made
		told                string
		putTTL, statusAfter string
	}{
		{"as told", 0, 59999 * time.Millisecond, 60 * time.Second, "0", "60", "401 Unauthorized"},
		{"early", 10 * time.Second, 9 * time.Second, 10 * time.Second, "51", "60", "401 Unauthorized"},
		{"never later than told", time.Hour, 59 * time.Second, 60 * time.Second, "1", "60", "401 Unauthorized"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(DefaultTree())
				defer s.Close()
				s.TokenLifetime = tt.lifetime
				w := pipeWire(s)
				token := w.token(t)
				after(tt.lives)
				answer, _ := w.send(t, getRequest("/latest/user-data", token))
				if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || !strings.Contains(answer, "\r\n"+headerTTL+": "+tt.told+"\r\n") {
					t.Errorf("while it lives: %q, want 200 and %s s left", answer, tt.told)
				}
				after(tt.dies - tt.lives)
				answer, _ = w.send(t, getRequest("/latest/user-data", token))
				if status, _ := statusAndBody(answer); status != tt.statusAfter || strings.Contains(answer, headerTTL) {
					t.Errorf("afterwards: %q, want %s", answer, tt.statusAfter)
				}
				if r := s.Requests(); !r[1].Token || r[2].Token || r[0].Token {
					t.Errorf("trace says a token was good: %v, want the second only", r)
				}
			})
		})
	}
}

// Tokens look like real ones, are all different, and are in nothing that is told
// about a request.
func TestTokensStaySecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree(), MustSchedule("truncate@put:1s")...)
		defer s.Close()
		var seen []Request
		s.OnRequest = func(r Request) { seen = append(seen, r) }
		w := pipeWire(s)
		w.send(t, putRequest)
		after(time.Second)
		token := w.token(t)
		w.send(t, strings.Replace(getRequest("/latest/user-data", token), "X-aws", "Accept: */*\r\nx-AWS", 1))
		tokens := s.Tokens()
		if len(tokens) != 2 || tokens[0] == tokens[1] || tokens[1] != token {
			t.Fatalf("tokens %q, want the truncated one and %q", tokens, token)
		}
		for _, token := range tokens {
			if !regexp.MustCompile(`^AQAEA[A-Z2-7]{49}==$`).MatchString(token) {
				t.Errorf("token %q does not look like one", token)
			}
			if told := fmt.Sprintf("%+v %+v", s.Trace(), seen); strings.Contains(told, token) {
				t.Errorf("the token is told: %s", told)
			}
		}
		last := s.Trace()[5]
		if !last.Token || last.Header.Get("Accept") != "*/*" || last.Header.Get("Host") != "x" || last.Addr != w.addr {
			t.Errorf("last entry %+v", last)
		}
		if !slices.EqualFunc(seen, s.Trace(), func(a, b Request) bool { return a.String() == b.String() }) {
			t.Errorf("OnRequest saw %v, the trace is %v", seen, s.Trace())
		}
	})
}

// A late path is absent, with its entry and all below it, until its time.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree())
		defer s.Close()
		s.Late = map[string]time.Duration{
			"meta-data/tags/":          2 * time.Second,
			"meta-data/iam/info":       time.Second,
			"meta-data/public-keys":    time.Second,
			"user-data":                time.Second,
			"meta-data/services/domai": time.Hour, // no prefix of a name
		}
		w := pipeWire(s)
		type answers map[string]string // path: body, or status
		check := func(at time.Duration, want answers) {
			t.Helper()
			if now := time.Since(s.start); now != at {
				t.Fatalf("it is %v, want %v", now, at)
			}
			for path, want := range want {
				status, body := w.get(t, path)
				if got := map[bool]string{true: body, false: status}[status == "200 OK"]; got != want {
					t.Errorf("at %v %s: %q, want %q", at, path, got, want)
				}
			}
		}
		const absent = "404 Not Found"
		w.token(t)
		check(0, answers{
			"": "dynamic/\nmeta-data/", "user-data": absent, "meta-data/iam/": "security-credentials/", "meta-data/iam/info": absent,
			"meta-data/tags/": absent, "meta-data/tags": absent, "meta-data/tags/instance/Name": absent,
			"meta-data/public-keys/": absent, "meta-data/public-keys/0/openssh-key": absent, "meta-data/services/": "domain\npartition",
		})
		after(time.Second)
		check(time.Second, answers{
			"": "dynamic/\nmeta-data/\nuser-data", "meta-data/iam": "info\nsecurity-credentials/",
			"meta-data/public-keys/": "0=web-key", "meta-data/tags/instance/": absent,
		})
		_, listing := w.get(t, "meta-data/")
		if strings.Contains(listing, "tags/") || !strings.Contains(listing, "public-keys/") {
			t.Errorf("after 1s the listing is %q", listing)
		}
		after(time.Second)
		check(2*time.Second, answers{"meta-data/tags": "instance/", "meta-data/tags/instance/Name": "web-1"})
	})
}

// net/http reads the answers too.
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
