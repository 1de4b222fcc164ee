// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"crypto/rand"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of the protocol (AWS EC2 User Guide, "Use the Instance Metadata
// Service to access instance metadata").
const (
	headerToken = "X-Aws-Ec2-Metadata-Token"
	headerTTL   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	tokenPath   = "api/token"
	maxTTL      = 21600 // seconds
)

// reply is one answer before it is written. Headers keep their order, so that
// its bytes are always the same.
type reply struct {
	status   int
	header   [][2]string
	body     string
	interim  int  // how many 1xx go before it
	silent   bool // an answer to HEAD: the body is not sent
	token    string
	lifetime time.Duration // of the token, as the client is told
	phase    Phase
}

// answer decides about a request, records it, and returns what to send. A nil
// request is one that was not HTTP.
func (s *Server) answer(c *conn, req *http.Request) reply {
	s.mu.Lock()
	r, a := s.decideRequest(c, req)
	s.record(r)
	s.mu.Unlock()
	s.note(r)
	return a
}

// decideRequest is answer, under the lock.
func (s *Server) decideRequest(c *conn, req *http.Request) (Request, reply) {
	now := time.Now()
	r := Request{Kind: "BAD", At: now.Sub(s.start), Addr: c.addr, Status: http.StatusBadRequest}
	if req == nil {
		return r, errorReply(r.Status)
	}
	t := s.target(req.URL.Path)
	r.Kind, r.Path, r.Header = req.Method, t.path, req.Header.Clone()
	if req.Host != "" {
		r.Header.Set("Host", req.Host)
	}
	r.Header.Del(headerToken)
	issued, known := s.issued[req.Header.Get(headerToken)]
	r.Token = known && now.Before(issued.dies)

	tree := view{tree: s.tree, late: s.Late, now: r.At}
	e := event{family: family(c.addr), method: r.Kind, path: r.Path}
	e.token = r.Kind == http.MethodPut && t.token
	e.directory = r.Kind == http.MethodGet && t.version && tree.selfListed(t.path)
	p := s.decide(r.At, e)

	var a reply
	switch {
	case e.token:
		a = tokenReply(req.Header)
	case r.Kind != http.MethodGet && r.Kind != http.MethodHead:
		a = errorReply(http.StatusMethodNotAllowed)
	case !r.Token:
		a = errorReply(http.StatusUnauthorized)
	default:
		a = tree.reply(t, p)
		a.add(headerTTL, strconv.Itoa(int(issued.told.Sub(now)/time.Second)))
	}
	a = a.inject(p)
	s.issue(a, now)
	a.silent = r.Kind == http.MethodHead
	r.Status, r.Fault = a.sentStatus(), p.fault()
	return r, a
}

// tokenReply answers the token PUT.
func tokenReply(h http.Header) reply {
	if len(h.Values("X-Forwarded-For")) > 0 {
		return errorReply(http.StatusForbidden)
	}
	ttl, err := strconv.ParseUint(h.Get(headerTTL), 10, 16)
	if err != nil || ttl < 1 || ttl > maxTTL {
		return errorReply(http.StatusBadRequest)
	}
	a := textReply(newToken())
	a.token, a.lifetime = a.body, time.Duration(ttl)*time.Second
	a.add(headerTTL, strconv.FormatUint(ttl, 10))
	return a
}

// issue takes note of a token that goes out, in whole or in part, under the
// lock.
func (s *Server) issue(a reply, now time.Time) {
	if a.token == "" || !strings.HasPrefix(a.body, a.token) || a.sentStatus() == 0 {
		return
	}
	issued := token{told: now.Add(a.lifetime), dies: now.Add(a.lifetime)}
	if s.TokenLifetime > 0 {
		issued.dies = now.Add(min(a.lifetime, s.TokenLifetime))
	}
	if !s.Forget {
		s.tokens = append(s.tokens, a.token)
	}
	maps.DeleteFunc(s.issued, func(_ string, t token) bool { return !now.Before(t.dies) })
	s.issued[a.token] = issued
}

// token is what the server knows of one: when it ends as the client was told,
// and when it really does.
type token struct{ told, dies time.Time }

// newToken returns 56 characters that look like a real token's, never the same
// twice.
func newToken() string {
	return "AQAEA" + rand.Text() + rand.Text()[:23] + "=="
}

// textReply is a good answer.
func textReply(body string) reply {
	a := reply{status: http.StatusOK, body: body}
	a.add("Content-Type", "text/plain")
	return a
}

// errorReply is an error with the page that the real service sends.
func errorReply(status int) reply {
	a := reply{status: status, body: errorPage(status)}
	a.add("Content-Type", "text/html")
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

// add appends a header.
func (a *reply) add(key, value string) {
	a.header = append(a.header, [2]string{key, value})
}
