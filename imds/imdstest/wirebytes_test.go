// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"testing"
	"testing/synctest"
	"time"
)

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
