// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

const (
	// concurrency is how many requests of a round run at the same time, so that a path
	// without an answer does not delay all others.
	concurrency = 4
	// maxRequest cuts a request, whatever the timeouts are, so that a path that comes back
	// is noticed soon.
	maxRequest = 10 * time.Second
)

// answer is how the request for one path ended.
type answer struct {
	path   string
	body   []byte
	absent bool         // IMDS says that the path does not exist
	class  policy.Class // of the failure, or empty
	err    error
}

// ask sends one answer for each path, each within [maxRequest] of its turn. The channel
// has room for all of them, so the requests never wait for their reader. Paths whose last
// request failed come last, so that they do not delay the others again.
func (r *run) ask(ctx context.Context) <-chan answer {
	turns, answers := make(chan string, len(r.Paths)), make(chan answer, len(r.Paths))
	for _, failed := range []bool{false, true} {
		for _, path := range r.Paths {
			if (r.states[path].class != "") == failed {
				turns <- path
			}
		}
	}
	close(turns)
	for range min(concurrency, len(r.Paths)) {
		go func() {
			for path := range turns {
				answers <- r.get(ctx, path)
			}
		}()
	}
	return answers
}

// get makes one request. Only a 404 to the path itself means that it does not exist: one
// to the request for a token is a fault. Nothing, or a page, in place of a JSON document is
// one as well: a path unit would take the page of a proxy for a notice.
func (w *Watcher) get(ctx context.Context, path string) answer {
	ctx, cancel := context.WithTimeout(ctx, maxRequest)
	defer cancel()
	body, err := w.Client.GetWithin(ctx, w.Timeouts, path)
	if err == nil && paths.IsDocument(path) && !plausible(body) {
		err = fmt.Errorf("GET %s: %w", path, retry.ErrContent)
	}
	if err == nil {
		return answer{path: path, body: body}
	}
	f := retry.Classify(err, path, true)
	if f.Class == policy.Status(404) && !f.Token {
		return answer{path: path, absent: true}
	}
	return answer{path: path, class: f.Class, err: err}
}

// plausible reports whether a body may be a JSON document. It is written as it is served
// then, so that a reader sees what IMDS said.
func plausible(document []byte) bool {
	document = bytes.TrimSpace(document)
	return len(document) > 0 && document[0] != '<'
}
