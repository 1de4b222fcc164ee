// SPDX-License-Identifier: Apache-2.0

package readiness

import "sync"

// waker passes news on to every goroutine that waits for it.
type waker struct {
	mu   sync.Mutex
	next chan struct{}
}

func newWaker() *waker { return &waker{next: make(chan struct{})} }

// wait returns a channel that the next news closes.
func (w *waker) wait() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// follow passes on what the channel sends, until it is closed.
func (w *waker) follow(news <-chan struct{}) {
	for range news {
		w.mu.Lock()
		close(w.next)
		w.next = make(chan struct{})
		w.mu.Unlock()
	}
}
