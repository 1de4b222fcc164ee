// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// identityPath is the path of the identity document.
const identityPath = "dynamic/instance-identity/document"

// document is an ordinary identity document.
const document = `{"accountId":"111122223333","instanceId":"i-0123456789abcdef0","region":"eu-north-1"}`

// answer returns the response to a GET of a path below the version. The status 0 means 200,
// and headers may be nil.
type answer func(path string) (status int, body string, headers map[string]string)

// server is a small IMDS with arbitrary answers. imdstest derives its listings from a tree,
// whereas the answers here need not form a consistent tree.
type server struct {
	url    string
	http   *http.Server
	closed chan struct{} // closed when the goroutine of the server has ended
	down   atomic.Bool   // whether token PUTs get 503
	gets   atomic.Int64  // the number of GETs since expect
	strays problems      // requests that the daemon must never send
	answer atomic.Value  // the current answer

	mu    sync.Mutex
	until int64 // the number of the GET that closes last
	last  chan struct{}
}

// serve starts a server on loopback.
func serve(a answer) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // nothing can be tested without loopback
	}
	s := &server{url: "http://" + l.Addr().String(), closed: make(chan struct{})}
	s.answer.Store(a)
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.http.SetKeepAlivesEnabled(false) // like the real service
	go func() {
		defer close(s.closed)
		_ = s.http.Serve(l)
	}()
	return s
}

// expect sets the answer of the next run and the number of GETs after which last is closed. It
// must not be called while a daemon runs.
func (s *server) expect(a answer, gets int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer.Store(a)
	s.gets.Store(0)
	s.until, s.last = gets, make(chan struct{})
}

// count counts a GET.
func (s *server) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gets.Add(1) == s.until {
		close(s.last)
	}
}

// close ends the server and its connections.
func (s *server) close() {
	s.http.Close()
	<-s.closed
}

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, below := strings.CutPrefix(r.URL.Path, "/latest/")
	if r.Method == http.MethodPut && path == "api/token" {
		if s.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
		_, _ = w.Write([]byte("TOKEN=="))
		return
	}
	s.count()
	if !below || r.Method != http.MethodGet || !isAllowed(path) {
		s.strays.add("a request that the daemon must never send: %s %q", r.Method, r.URL.EscapedPath())
	}
	status, body, headers := s.answer.Load().(answer)(path)
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = w.Write([]byte(body))
}

// isAllowed reports whether the daemon may request a path.
func isAllowed(path string) bool {
	for segment := range strings.SplitSeq(strings.TrimSuffix(path, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return !strings.Contains(path, "security-credentials/") &&
		(strings.HasPrefix(path, "meta-data/") || strings.HasPrefix(path, "dynamic/instance-identity/") || path == "user-data")
}

// ordinary answers with an identity document and the bodies in tree, and with 404 for every
// other path.
func ordinary(identity string, tree map[string]string) answer {
	return func(path string) (int, string, map[string]string) {
		if path == identityPath {
			return 0, identity, nil
		}
		if body, ok := tree[path]; ok {
			return 0, body, nil
		}
		return http.StatusNotFound, "", nil
	}
}
