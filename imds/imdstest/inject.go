// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"net/http"
	"strconv"
	"strings"
)

// inject turns the right answer into what the phase wants. The faults of
// delivery, such as hang, leave it as it is; see [conn.deliver].
func (a reply) inject(p Phase) reply {
	a.phase = p
	if status := statusOf(p.Fault); status != 0 {
		return a.injectStatus(status)
	}
	switch p.Fault {
	case "redirect":
		return a.injectStatus(http.StatusFound)
	case "truncate", "reset-body", "stall":
		if len(a.body) < 2 {
			a.body = "half of this is not sent"
		}
	case "html":
		a.status, a.body = http.StatusOK, loginPage
		a.set("Content-Type", "text/html")
	case "empty":
		a.status, a.body = http.StatusOK, ""
	case "body":
		a.status, a.body = http.StatusOK, p.Value
	case "big":
		n, _ := strconv.Atoi(p.Value) // checked
		a.status, a.body = http.StatusOK, strings.Repeat("x", n)
	case "utf8":
		a.body += "\xff\xfe"
	case "bigheaders":
		for range 17 {
			a.add("X-Padding", strings.Repeat("p", 1<<10))
		}
	case "interim":
		a.interim, _ = strconv.Atoi(p.Value) // checked
	case "badtoken":
		a.body = "AQAEA\x01\x1b[31m\x7f=="
	case "nottl":
		a.remove(headerTTL)
	case "ttl":
		a.set(headerTTL, p.Value)
	}
	return a
}

// injectStatus answers with a status: a 2xx keeps the body, a 3xx says where
// else, and anything else is an error page.
func (a reply) injectStatus(status int) reply {
	if status/100 == 2 {
		if a.status != http.StatusOK {
			a.body = "" // a page about another status would lie
		}
		a.status = status
		return a
	}
	e := errorReply(status)
	e.phase = a.phase
	if status/100 == 3 {
		// On this very server, so that a client that follows it is seen.
		e.add("Location", "/latest/redirected")
	}
	if a.phase.RetryAfter != "" {
		e.add("Retry-After", a.phase.RetryAfter)
	}
	return e
}

// sentStatus is the status that goes over the wire, 0 when none does.
func (a reply) sentStatus() int {
	switch a.phase.Fault {
	case "hang", "reset", "close", "garbage":
		return 0
	}
	return a.status
}

// set replaces a header, or appends it.
func (a *reply) set(key, value string) {
	a.remove(key)
	a.add(key, value)
}

// remove drops a header.
func (a *reply) remove(key string) {
	var kept [][2]string
	for _, h := range a.header {
		if h[0] != key {
			kept = append(kept, h)
		}
	}
	a.header = kept
}

// loginPage is what a captive portal answers to everything.
const loginPage = `<!DOCTYPE html>
<html><head><title>Welcome</title></head>
<body><form action="/login"><input name="user"></form></body></html>
`
