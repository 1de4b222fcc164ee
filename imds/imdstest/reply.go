// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reply is an answer before it is written. Its headers always have the same order.
type reply struct {
	status   int
	header   [][2]string
	body     string
	interim  int           // the number of 1xx answers before it
	silent   bool          // the answer to HEAD: the body is not sent
	token    string        // the token that the right answer contains
	lifetime time.Duration // of the token, as the client asked for it
	phase    Phase
}

// textReply is a correct answer.
func textReply(body string) reply {
	a := reply{status: http.StatusOK, body: body}
	a.set("Content-Type", "text/plain")
	return a
}

// errorReply is an error with the page that the real service sends.
func errorReply(status int) reply {
	a := reply{status: status, body: errorPage(status)}
	a.set("Content-Type", "text/html")
	return a
}

// errorPage is the HTML of an error, as the real service writes it.
func errorPage(status int) string {
	return strings.ReplaceAll(`<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
	"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>STATUS</title>
 </head>
 <body>
  <h1>STATUS</h1>
 </body>
</html>
`, "STATUS", strings.TrimSuffix(strconv.Itoa(status)+" - "+http.StatusText(status), " - "))
}

// loginPage is what a captive portal answers to everything.
const loginPage = `<!DOCTYPE html>
<html><head><title>Welcome</title></head>
<body><form action="/login"><input name="user"></form></body></html>
`

// set replaces the values of a header. Without values it removes the header.
func (a *reply) set(key string, values ...string) {
	a.header = slices.DeleteFunc(a.header, func(h [2]string) bool { return h[0] == key })
	for _, v := range values {
		a.header = append(a.header, [2]string{key, v})
	}
}

// inject turns the correct answer into the one that the phase wants. The faults
// of delivery, such as hang, leave it as it is; see [conn.deliver].
func (a reply) inject(p Phase) reply {
	a.phase = p
	number, _ := strconv.Atoi(p.Value) // valid where it is used: Phase.check
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
	case "empty", "body": // empty has no value
		a.status, a.body = http.StatusOK, p.Value
	case "big":
		a.status, a.body = http.StatusOK, strings.Repeat("x", number)
	case "utf8":
		a.body += "\xff\xfe"
	case "bigheaders":
		a.set("X-Padding", slices.Repeat([]string{strings.Repeat("p", 1<<10)}, 17)...)
	case "interim":
		a.interim = number
	case "badtoken":
		a.body = "AQAEA\x01\x1b[31m\x7f=="
	case "nottl":
		a.set(headerTTL)
	case "ttl":
		a.set(headerTTL, p.Value)
	default:
		if status := statusOf(p.Fault); status != 0 {
			return a.injectStatus(status)
		}
	}
	return a
}

// injectStatus answers with a status: a 2xx keeps the body, a 3xx has a
// Location, and the others have an error page.
func (a reply) injectStatus(status int) reply {
	if status/100 == 2 {
		if a.status != http.StatusOK {
			a.body = "" // the page names another status
		}
		a.status = status
		return a
	}
	e := errorReply(status)
	e.phase = a.phase
	if status/100 == 3 {
		e.set("Location", "/latest/redirected") // on this server, so that it sees who follows
	}
	if a.phase.RetryAfter != "" {
		e.set("Retry-After", a.phase.RetryAfter)
	}
	return e
}

// sentStatus is the status that is sent, 0 if there is none.
func (a reply) sentStatus() int {
	switch a.phase.Fault {
	case "hang", "reset", "close", "garbage":
		return 0
	}
	return a.status
}

// wire returns the bytes of the answer: everything before the body, and the body.
func (a reply) wire() (head, body string) {
	var b strings.Builder
	for i := range a.interim {
		status := []int{http.StatusContinue, http.StatusEarlyHints}[i%2]
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n\r\n", status, http.StatusText(status))
	}
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	noContent := a.status < 200 || a.status == http.StatusNoContent
	if noContent || a.status == http.StatusNotModified { // RFC 9110, 6.4.1
		a.body = ""
	}
	if a.phase.Fault == "chunked" {
		a.set("Transfer-Encoding", "chunked")
	} else if !noContent {
		a.set("Content-Length", strconv.Itoa(len(a.body)))
	}
	for _, h := range a.header {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("Date: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n")
	b.WriteString("Server: EC2ws\r\nConnection: close\r\n\r\n")
	if a.silent {
		a.body = ""
	}
	return b.String(), a.body
}
