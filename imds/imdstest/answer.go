// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parts of the protocol (AWS EC2 User Guide, "Use the Instance Metadata Service
// to access instance metadata").
const (
	headerToken = "X-Aws-Ec2-Metadata-Token"
	headerTTL   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	tokenPath   = "api/token"
	maxTTL      = 21600 // seconds
)

// token is the server's record of a token: the end of the lifetime that the client
// asked for, and when the server stops accepting it, both since the start.
type token struct{ announced, expires time.Duration }

// target is what a URL path asks for.
type target struct {
	path    string // below the version, or the whole path if it has none
	version bool   // the path is below a version
	root    bool   // the path is the list of versions
	token   bool   // the path is the token's, which exists below latest only
}

// target interprets a URL path.
func (s *Server) target(urlPath string) target {
	rest, ok := strings.CutPrefix(urlPath, strings.TrimSuffix(s.BasePath, "/")+"/")
	version, below, _ := strings.Cut(rest, "/")
	_, err := time.Parse(time.DateOnly, version)
	switch {
	case ok && rest == "":
		return target{path: urlPath, root: true}
	case ok && (version == "latest" || version == "1.0" || err == nil):
		return target{path: below, version: true, token: version == "latest" && below == tokenPath}
	}
	return target{path: urlPath}
}

// answer returns the trace entry and the answer of a request to an address. The
// request is nil if it was not HTTP. The lock must be held.
func (s *Server) answer(now time.Duration, addr string, req *http.Request) (Request, reply) {
	r := Request{Kind: "BAD", At: now, Addr: addr, Status: http.StatusBadRequest}
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
	r.Token = known && now < issued.expires

	tree := s.treeAt(now)
	e := event{family: family(addr), method: r.Kind, path: r.Path}
	e.token = r.Kind == http.MethodPut && t.token
	e.directory = r.Kind == http.MethodGet && t.version && tree.isDirectory(t.path)
	p := s.decide(now, e)

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
		a.set(headerTTL, strconv.Itoa(int((issued.announced-now)/time.Second)))
	}
	a = a.inject(p)
	s.issue(a, now)
	a.silent = r.Kind == http.MethodHead
	r.Status, r.Fault = a.sentStatus(), p.fault()
	return r, a
}

// tokenReply answers the PUT of the token.
func tokenReply(h http.Header) reply {
	if len(h.Values("X-Forwarded-For")) > 0 {
		return errorReply(http.StatusForbidden)
	}
	ttl, err := strconv.ParseUint(h.Get(headerTTL), 10, 16)
	if err != nil || ttl < 1 || ttl > maxTTL {
		return errorReply(http.StatusBadRequest)
	}
	// Like a real token, and different each time.
	a := textReply("AQAEA" + rand.Text() + rand.Text()[:23] + "==")
	a.token, a.lifetime = a.body, time.Duration(ttl)*time.Second
	a.set(headerTTL, strconv.FormatUint(ttl, 10))
	return a
}

// issue remembers a token that is sent, even in part. The lock must be held.
func (s *Server) issue(a reply, now time.Duration) {
	if a.token == "" || !strings.HasPrefix(a.body, a.token) || a.sentStatus() == 0 {
		return
	}
	issued := token{announced: now + a.lifetime, expires: now + a.lifetime}
	if s.TokenLifetime > 0 {
		issued.expires = now + min(a.lifetime, s.TokenLifetime)
	}
	if !s.Forget {
		s.tokens = append(s.tokens, a.token)
	}
	maps.DeleteFunc(s.issued, func(_ string, t token) bool { return now >= t.expires })
	s.issued[a.token] = issued
}

// reply answers a GET of a target.
func (t Tree) reply(of target, p Phase) reply {
	path := of.path
	if p.Fault == "self-listing" {
		path = withoutLoops(path)
	}
	body, isLeaf := t.leaf(path)
	entries := t.list(path)
	switch {
	case of.root:
		return textReply("1.0\n2021-01-03\nlatest")
	case of.version && isLeaf:
		return textReply(body)
	case !of.version || entries == nil:
		return errorReply(http.StatusNotFound)
	case p.Fault == "self-listing":
		entries = append(entries, loop+"/")
	case p.Fault == "dotdot":
		entries = append(entries, "..", "../", ".", "a/b", "/", "tab\there", "../../api/token")
	}
	return textReply(strings.Join(entries, "\n"))
}

// loop is the entry by which a directory contains itself.
const loop = "loop"

// withoutLoops removes the entries of a self-listing from a path.
func withoutLoops(path string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == loop }), "/")
}

// isDirectory reports whether the faults of listings apply to a path: whether it
// is a directory once its loops are removed, or has loops.
func (t Tree) isDirectory(path string) bool {
	plain := withoutLoops(path)
	_, isLeaf := t.leaf(plain)
	return path != plain || !isLeaf && t.list(plain) != nil
}
