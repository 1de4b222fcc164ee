// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"strings"
	"testing"
)

func TestSimulator(t *testing.T) {
	for _, tc := range []struct{ name, script, start, take, stop string }{
		{name: "works", script: `echo '{"url":"http://x"}'; read line; echo '{"gets":2}'; read line; exit 0`},
		{name: "prints garbage", script: "echo not JSON", start: "starting the simulator: invalid character"},
		{name: "exits", script: "exit 3", start: "exit status 3"},
		{name: "falters", script: "echo '{}'; read line; exit 4", take: "asking the simulator for its counts: EOF", stop: "exit status 4"},
	} {
		check := func(doing string, err error, want string) {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s: %v, want %q", tc.name, doing, err, want)
			}
		}
		s, err := Start(t.Context(), nil, "/bin/sh", "-c", tc.script)
		check("starting", err, tc.start)
		if err != nil {
			continue
		}
		c, err := s.Take()
		check("taking", err, tc.take)
		if err == nil && (c != Counts{GETs: 2} || s.URL != "http://x" || s.PID() <= 1) {
			t.Errorf("%s: %+v of %s", tc.name, c, s.URL)
		}
		check("stopping", s.Stop(), tc.stop)
	}
}
