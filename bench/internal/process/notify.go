// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// farewell is what the listener sends itself once the program has ended:
// datagrams are read in order, so none before it is lost.
const farewell = "FAREWELL"

// listener reads a notification socket as systemd does, at once, so that nobody
// who notifies has to wait.
type listener struct {
	path string
	conn *net.UnixConn
	done chan struct{}

	// To be read after close.
	count   int
	readyAt time.Time
	err     error
}

func listen(path string) (*listener, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listening for notifications: %w", err)
	}
	n := &listener{path: path, conn: conn, done: make(chan struct{})}
	go n.read()
	return n, nil
}

func (n *listener) read() {
	defer close(n.done)
	b := make([]byte, 64<<10)
	for {
		size, err := n.conn.Read(b)
		now := time.Now()
		if err != nil {
			n.err = err
			return
		}
		if string(b[:size]) == farewell {
			return
		}
		n.count++
		if n.readyAt.IsZero() && slices.Contains(strings.Split(string(b[:size]), "\n"), "READY=1") {
			n.readyAt = now
		}
	}
}

// close reads what is still queued and ends the listener.
func (n *listener) close() error {
	self, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.path, Net: "unixgram"})
	if err == nil {
		_, err = self.Write([]byte(farewell))
		self.Close()
	}
	if err != nil {
		n.conn.Close() // the reader ends with an error of its own
		<-n.done
		return err
	}
	<-n.done
	n.conn.Close()
	return n.err
}
