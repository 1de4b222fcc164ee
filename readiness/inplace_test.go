// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/readiness"
)

// A directory that is moved away or replaced during the wait: 77 instead of READY=1
// for files that readers do not find.
func TestDirectoryIsMoved(t *testing.T) {
	for _, replace := range []bool{false, true} {
		tr := faulty(t, "")
		dir := tr.dir
		tr.onLog = func(line string) {
			if !strings.Contains(line, "waiting for IMDS") {
				return
			}
			tr.dir += ".old" // where the status is read back
			err := os.Rename(dir, tr.dir)
			if replace {
				err = errors.Join(err, os.Mkdir(dir, 0o755))
			}
			if err != nil {
				t.Error(err)
			}
		}
		tr.run(t)
		if tr.exit != readiness.ExitNoPerm || tr.lastClass() != "cannot-write" || !strings.Contains(tr.status.LastError.Message, dir+":") {
			t.Errorf("exit %d, last error %+v", tr.exit, tr.status.LastError)
		}
		for _, n := range tr.notes {
			if strings.Contains(n.state, "READY=1") {
				t.Errorf("replaced: %t: %q", replace, n.state)
			}
		}
	}
}
