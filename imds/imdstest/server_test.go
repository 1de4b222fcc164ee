// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The server forgets a token after TokenLifetime, but reports the lifetime that
// the client asked for.
func TestTokenLifetime(t *testing.T) {
	for _, tt := range []struct {
		name           string
		lifetime       time.Duration
		valid, expired time.Duration // since the token was made
		announced      string        // seconds left, while it is valid
	}{
		{"as announced", 0, 59999 * time.Millisecond, 60 * time.Second, "0"},
		{"early", 10 * time.Second, 9 * time.Second, 10 * time.Second, "51"},
		{"never later than announced", time.Hour, 59 * time.Second, 60 * time.Second, "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(DefaultTree())
				defer s.Close()
				s.TokenLifetime = tt.lifetime
				w := pipeWire(s)
				token := w.token(t)
				after(tt.valid)
				answer, _ := w.send(t, getRequest("/latest/user-data", token))
				if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || !strings.Contains(answer, "\r\n"+headerTTL+": "+tt.announced+"\r\n") {
					t.Errorf("while it is valid: %q, want 200 and %s s left", answer, tt.announced)
				}
				after(tt.expired - tt.valid)
				answer, _ = w.send(t, getRequest("/latest/user-data", token))
				if status, _ := statusAndBody(answer); status != "401 Unauthorized" || strings.Contains(answer, headerTTL) {
					t.Errorf("afterwards: %q, want 401", answer)
				}
				if r := s.Requests(); !r[1].Token || r[2].Token || r[0].Token {
					t.Errorf("the trace has valid tokens in %v, want the second only", r)
				}
			})
		})
	}
}

// Tokens look like real ones, differ from each other, and are in no record of a
// request.
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
			if records := fmt.Sprintf("%+v %+v", s.Trace(), seen); strings.Contains(records, token) {
				t.Errorf("a record contains the token: %s", records)
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

// A server with Forget knows the tokens that are valid, and no others.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree())
		defer s.Close()
		s.Forget = true
		w := pipeWire(s)
		old := w.token(t)
		after(time.Minute)
		if status, _ := w.get(t, "user-data"); status != "200 OK" {
			t.Errorf("%s with a good token", status)
		}
		if answer, _ := w.send(t, getRequest("/latest/user-data", old)); !strings.HasPrefix(answer, "HTTP/1.1 401 ") {
			t.Errorf("%q with an old token", answer)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.trace) != 0 || len(s.tokens) != 0 || len(s.issued) != 1 {
			t.Errorf("kept %v, %d tokens, %d issued", s.trace, len(s.tokens), len(s.issued))
		}
	})
}

// Paths appear and disappear together with their entries and everything below
// them, and leaves change, at the given times.
func TestTreeChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultTree())
		defer s.Close()
		s.Late = map[string]time.Duration{
			"meta-data/tags/":          2 * time.Second,
			"meta-data/iam/info":       time.Second,
			"meta-data/public-keys":    time.Second,
			"user-data":                time.Second,
			"meta-data/mac":            3 * time.Second,
			"meta-data/services/domai": time.Hour, // not a path, only the beginning of one
		}
		s.Gone = map[string]time.Duration{
			"meta-data/tags":           3 * time.Second, // appears, then disappears
			"meta-data/mac/":           time.Second,     // disappears, then comes back
			"meta-data/public-keys/0/": 2 * time.Second,
			"meta-data/spot":           3 * time.Second,
		}
		s.Changes = []Change{
			{"meta-data/hostname", 2 * time.Second, "second"},
			{"meta-data/hostname", time.Second, "first"},
			{"/meta-data/spot/instance-action", time.Second, `{"action":"stop"}`},
			{"meta-data/public-keys/", 2 * time.Second, "1=other"},
		}
		w := pipeWire(s)
		w.token(t)
		const absent = "404 Not Found"
		for _, want := range []map[string]string{{
			"": "dynamic/\nmeta-data/", "user-data": absent, "meta-data/iam/": "security-credentials/", "meta-data/iam/info": absent,
			"meta-data/tags/": absent, "meta-data/tags": absent, "meta-data/tags/instance/Name": absent,
			"meta-data/public-keys/": absent, "meta-data/public-keys/0/openssh-key": absent, "meta-data/services/": "domain\npartition",
			"meta-data/mac": "0e:49:61:0f:c3:11", "meta-data/spot/": absent, "meta-data/hostname": s.tree["meta-data/hostname"],
		}, {
			"": "dynamic/\nmeta-data/\nuser-data", "meta-data/iam": "info\nsecurity-credentials/",
			"meta-data/public-keys/": "0=web-key", "meta-data/public-keys/0/": "openssh-key", "meta-data/tags/instance/": absent,
			"meta-data/mac": absent, "meta-data/spot/": "instance-action", "meta-data/spot/instance-action": `{"action":"stop"}`,
			"meta-data/hostname": "first",
		}, {
			"meta-data/tags": "instance/", "meta-data/tags/instance/Name": "web-1", "meta-data/mac": absent,
			"meta-data/public-keys/": "1=other", "meta-data/public-keys/0/": absent, "meta-data/hostname": "second",
		}, {
			"meta-data/tags": absent, "meta-data/tags/instance/Name": absent, "meta-data/mac": "0e:49:61:0f:c3:11",
			"meta-data/spot/": absent, "meta-data/spot/instance-action": absent, "meta-data/hostname": "second",
		}} {
			now := time.Since(s.start)
			for path, want := range want {
				status, body := w.get(t, path)
				if got := map[bool]string{true: body, false: status}[status == "200 OK"]; got != want {
					t.Errorf("at %v %s: %q, want %q", now, path, got, want)
				}
			}
			_, listing := w.get(t, "meta-data/")
			for entry, from := range map[string]time.Duration{"tags/": 2 * time.Second, "public-keys/": time.Second, "spot/": time.Second} {
				until := map[string]time.Duration{"tags/": 3 * time.Second, "spot/": 3 * time.Second}[entry]
				if got, want := strings.Contains(listing, entry), now >= from && (until == 0 || now < until); got != want {
					t.Errorf("at %v the listing %q has %s: %v, want %v", now, listing, entry, got, want)
				}
			}
			after(time.Second)
		}
		if !maps.Equal(s.tree, DefaultTree()) {
			t.Error("the server changed its tree")
		}
	})
}

// A server without a tree can get a leaf.
func TestChangeOfEmptyTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(nil)
		defer s.Close()
		s.Changes = []Change{{"user-data", 0, "text"}}
		if status, body := pipeWire(s).get(t, "user-data"); status != "200 OK" || body != "text" {
			t.Errorf("%s, %q", status, body)
		}
	})
}
