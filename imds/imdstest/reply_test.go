// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"strings"
	"testing"
	"time"
)

// Every request fault, in process and on a socket: the bytes that the client reads,
// how they end, and the entry of the trace.
func TestFaults(t *testing.T) {
	const id = "meta-data/instance-id"
	const value = "i-0123456789abcdef0"
	for _, tt := range []struct {
		fault string
		path  string // of a GET; if empty, the request is the token PUT
		head  string // how the answer begins
		with  string // another part of the head
		body  string // the complete body, or "*" for any
		end   string
		trace string
	}{
		{"ok", id, "HTTP/1.1 200 OK\r\n", "", value, "eof", " 200"},
		{"200", id, "HTTP/1.1 200 OK\r\n", "", value, "eof", " 200"},
		{"201", id, "HTTP/1.1 201 Created\r\n", "Content-Length: 19\r\n", value, "eof", " 201"},
		{"206", "no/such", "HTTP/1.1 206 Partial Content\r\n", "Content-Length: 0\r\n", "", "eof", " 206"},
		{"204", id, "HTTP/1.1 204 No Content\r\n", "", "", "eof", " 204"},
		{"304", id, "HTTP/1.1 304 Not Modified\r\n", "", "", "eof", " 304"},
		{"101", id, "HTTP/1.1 101 Switching Protocols\r\n", "", "", "eof", " 101"},
		{"401", id, "HTTP/1.1 401 Unauthorized\r\n", "text/html", errorPage(401), "eof", " 401"},
		{"503", "", "HTTP/1.1 503 Service Unavailable\r\n", "text/html", errorPage(503), "eof", " 503"},
		{"429;retry-after=2", id, "HTTP/1.1 429 Too Many Requests\r\n", "Retry-After: 2\r\n", errorPage(429), "eof", " 429 429;retry-after=2"},
		{
			`503;retry-after="Wed, 21 Oct 2015 07:28:00 GMT"`, "", "HTTP/1.1 503 ", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
			errorPage(503), "eof", ` 503 503;retry-after="Wed, 21 Oct 2015 07:28:00 GMT"`,
		},
		{"599", id, "HTTP/1.1 599 \r\n", "", errorPage(599), "eof", " 599"},
		{"redirect", id, "HTTP/1.1 302 Found\r\n", "Location: /latest/redirected\r\n", errorPage(302), "eof", " 302 redirect"},
		{"hang", id, "", "", "", "timeout", " hang"},
		{"hang", "", "", "", "", "timeout", " hang"},
		{"reset", id, "", "", "", "reset", " reset"},
		{"close", id, "", "", "", "eof", " close"},
		{"truncate", id, "HTTP/1.1 200 OK\r\n", "Content-Length: 19\r\n", value[:9], "eof", " 200 truncate"},
		{"truncate", "meta-data/empty", "HTTP/1.1 200 OK\r\n", "Content-Length: 24\r\n", "half of this", "eof", " 200 truncate"},
		{"reset-body", id, "HTTP/1.1 200 OK\r\n", "Content-Length: 19\r\n", value[:9], "reset", " 200 reset-body"},
		{"stall", id, "HTTP/1.1 200 OK\r\n", "Content-Length: 19\r\n", value[:9], "timeout", " 200 stall"},
		{"slow=2ms", id, "HTTP/1.1 200 OK\r\n", "", value, "eof", " 200 slow=2ms"},
		{"drip=1ms", id, "HTTP/1.1 200 OK\r\n", "Content-Length: 19\r\n", value, "eof", " 200 drip=1ms"},
		{"garbage", "", "\x16\x03\x01 this is not HTTP\r\n\r\n", "", "*", "eof", " garbage"},
		{"html", "", "HTTP/1.1 200 OK\r\n", "text/html", loginPage, "eof", " 200 html"},
		{"empty", id, "HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n", "", "eof", " 200 empty"},
		{`body="<a, b>"`, id, "HTTP/1.1 200 OK\r\n", "Content-Length: 6\r\n", "<a, b>", "eof", ` 200 body="<a, b>"`},
		{"big=9437184", id, "HTTP/1.1 200 OK\r\n", "Content-Length: 9437184\r\n", strings.Repeat("x", 9<<20), "eof", " 200 big=9437184"},
		{"chunked", id, "HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\n", "9\r\n" + value[:9] + "\r\na\r\n" + value[9:] + "\r\n0\r\n\r\n", "eof", " 200 chunked"},
		{"chunked", "meta-data/empty", "HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "eof", " 200 chunked"},
		{"utf8", id, "HTTP/1.1 200 OK\r\n", "Content-Length: 21\r\n", value + "\xff\xfe", "eof", " 200 utf8"},
		{"bigheaders", id, "HTTP/1.1 200 OK\r\n", strings.Repeat("X-Padding: "+strings.Repeat("p", 1024)+"\r\n", 17), value, "eof", " 200 bigheaders"},
		{
			"interim=3", id, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "",
			"*", "eof", " 200 interim=3",
		},
		{"badtoken", "", "HTTP/1.1 200 OK\r\n", "Content-Length: 14\r\n", "AQAEA\x01\x1b[31m\x7f==", "eof", " 200 badtoken"},
		{"badtoken", id, "HTTP/1.1 200 OK\r\n", "", value, "eof", " 200"},
		{"ttl=abc", "", "HTTP/1.1 200 OK\r\n", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: abc\r\n", "*", "eof", " 200 ttl=abc"},
		{"ttl=-1", "", "HTTP/1.1 200 OK\r\n", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: -1\r\n", "*", "eof", " 200 ttl=-1"},
		{`ttl=""`, "", "HTTP/1.1 200 OK\r\n", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: \r\n", "*", "eof", ` 200 ttl=""`},
		{"self-listing", "meta-data/services/", "HTTP/1.1 200 OK\r\n", "", "domain\npartition\nloop/", "eof", " 200 self-listing"},
		{"self-listing", "meta-data/loop/services/loop/loop", "HTTP/1.1 200 OK\r\n", "", "domain\npartition\nloop/", "eof", " 200 self-listing"},
		{"self-listing", "meta-data/loop/instance-id", "HTTP/1.1 200 OK\r\n", "", value, "eof", " 200 self-listing"},
		{"self-listing", id, "HTTP/1.1 200 OK\r\n", "", value, "eof", " 200"},
		{
			"dotdot", "meta-data/services", "HTTP/1.1 200 OK\r\n", "",
			"domain\npartition\n..\n../\n.\na/b\n/\ntab\there\n../../api/token", "eof", " 200 dotdot",
		},
		{"dotdot", id, "HTTP/1.1 200 OK\r\n", "", value, "eof", " 200"},
	} {
		t.Run(strings.ReplaceAll(tt.fault, "/", "_")+"@"+strings.ReplaceAll(tt.path, "/", "_"), func(t *testing.T) {
			eachWire(t, func() *Server {
				tree := DefaultTree()
				tree["meta-data/empty"] = ""
				phases := MustSchedule(tt.fault)
				if tt.path != "" { // do not apply it to the token
					phases[0].Method = "GET"
				}
				return New(tree, phases...)
			}, func(t *testing.T, s *Server, w wire) {
				request, trace := putRequest, "PUT api/token"+tt.trace
				if tt.path != "" {
					request, trace = getRequest("/latest/"+tt.path, w.token(t)), "GET "+tt.path+tt.trace
				}
				if tt.end == "timeout" && !w.virtual {
					w.timeout = 100 * time.Millisecond
				}
				answer, end := w.send(t, request)
				head, body, _ := strings.Cut(answer, crlfcrlf)
				if !strings.HasPrefix(answer, tt.head) || !strings.Contains(head+"\r\n", tt.with) || end != tt.end {
					t.Errorf("answer %.300q, %s; want %q, with %.100q, %s", answer, end, tt.head, tt.with, tt.end)
				}
				if tt.body != "*" && body != tt.body {
					t.Errorf("body %.200q, want %.200q", body, tt.body)
				}
				if got := traceText(s.Requests()); !strings.HasSuffix(got, trace) {
					t.Errorf("trace %q, want %q at its end", got, trace)
				}
			})
		})
	}
}

// A fault that removes a header removes it completely.
func TestFaultNoTTL(t *testing.T) {
	eachWire(t, func() *Server { return New(nil, MustSchedule("nottlx1")...) }, func(t *testing.T, s *Server, w wire) {
		if answer, _ := w.send(t, putRequest); strings.Contains(answer, headerTTL) || !strings.Contains(answer, s.Tokens()[0]) {
			t.Errorf("first answer: %q, want a token and no lifetime", answer)
		}
		if answer, _ := w.send(t, putRequest); !strings.Contains(answer, headerTTL+": 60\r\n") {
			t.Errorf("second answer: %q, want a lifetime", answer)
		}
	})
}
