// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// dripEvery is the pause of drip between two bytes, unless it says another.
const dripEvery = 100 * time.Millisecond

// deliver writes an answer, or what the fault makes of it. A write that fails
// means that the client is gone; there is nobody to tell.
func (c *conn) deliver(a reply) {
	if !c.pause(c.server.Latency) {
		return
	}
	head := a.head()
	body := a.body // after head, which drops one that must not be
	if a.silent {
		body = ""
	}
	half := body[:len(body)/2]
	switch a.phase.Fault {
	case "hang":
		<-c.gone.Done()
	case "reset":
		c.reset()
	case "close":
	case "garbage":
		c.write("\x16\x03\x01 this is not HTTP\r\n\r\n\x00\xff")
	case "truncate":
		c.write(head + half)
	case "reset-body":
		c.write(head + half)
		c.reset()
	case "stall":
		c.write(head + half)
		<-c.gone.Done()
	case "slow":
		d, _ := time.ParseDuration(a.phase.Value) // checked
		if c.pause(d) {
			c.write(head + body)
		}
	case "drip":
		c.drip(head, body, a.phase.Value)
	case "chunked":
		c.write(head + chunk(half) + chunk(body[len(half):]) + "0\r\n\r\n")
	default:
		c.write(head + body)
	}
}

// drip writes the headers, then a byte at a time.
func (c *conn) drip(head, body, value string) {
	every := dripEvery
	if value != "" {
		every, _ = time.ParseDuration(value) // checked
	}
	if !c.write(head) {
		return
	}
	for i := range len(body) {
		if !c.pause(every) || !c.write(body[i:i+1]) {
			return
		}
	}
}

// write reports whether all of s was written.
func (c *conn) write(s string) bool {
	_, err := io.WriteString(c, s)
	return err == nil
}

// head is everything before the body, always in the same order.
func (a *reply) head() string {
	var b strings.Builder
	for i := range a.interim {
		status := []int{http.StatusContinue, http.StatusEarlyHints}[i%2]
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n\r\n", status, http.StatusText(status))
	}
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	if a.bodyless() {
		a.body = ""
	}
	if a.phase.Fault == "chunked" {
		a.set("Transfer-Encoding", "chunked")
	} else if a.status >= 200 && a.status != http.StatusNoContent {
		a.set("Content-Length", fmt.Sprint(len(a.body)))
	}
	for _, h := range a.header {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("Date: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
	b.WriteString("Server: EC2ws\r\nConnection: close\r\n\r\n")
	return b.String()
}

// bodyless reports whether HTTP allows this status no body (RFC 9110, 6.4.1).
func (a *reply) bodyless() bool {
	return a.status < 200 || a.status == http.StatusNoContent || a.status == http.StatusNotModified
}

// chunk is one chunk of a chunked body; an empty one would end it.
func chunk(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(s), s)
}
