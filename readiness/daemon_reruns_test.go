// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// rerun runs the daemon again in the same directory.
func (tr *trial) rerun(t *testing.T, schedule string) *trial {
	t.Helper()
	next := faulty(t, schedule)
	next.dir = tr.dir
	return next.run(t)
}

// plant writes a file, as an earlier run would.
func plant(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The generation counts the successful collections of one boot. A run that fails does
// not count and removes no file.
func TestRerunsOfOneBoot(t *testing.T) {
	first := faulty(t, "").run(t)
	identity := first.file(t, "identity.json")
	failing := first.rerun(t, "400")
	last := failing.rerun(t, "")
	for _, tt := range []struct {
		tr         *trial
		state      string
		generation int
	}{{first, "ready", 1}, {failing, "failed", 1}, {last, "ready", 2}} {
		if tt.tr.status.State != tt.state || tt.tr.status.Generation != tt.generation {
			t.Errorf("state %s, generation %d, want %s, %d", tt.tr.status.State, tt.tr.status.Generation, tt.state, tt.generation)
		}
		if got := len(tt.tr.status.Files); got != len(everything)-1 {
			t.Errorf("%s: status lists %v", tt.state, tt.tr.status.Files)
		}
	}
	if last.file(t, "identity.json") != identity || !slices.Equal(last.names(t), everything) {
		t.Errorf("files %q", last.names(t))
	}
	if last.status.LastError != nil || len(last.status.Errors) != 0 {
		t.Errorf("the third run has the errors of the second: %+v", last.status)
	}
}

// During a second wait, the state is waiting and the files are kept.
func TestRerunIsWaiting(t *testing.T) {
	first := faulty(t, "").run(t)
	next := faulty(t, "503").limits(2, 0)
	next.dir = first.dir
	var seen snapshot.Status
	next.notify = func(string) error {
		if len(next.datagrams) == 1 {
			seen, _ = snapshot.ReadStatus(next.dir)
		}
		return nil
	}
	next.run(t)
	if seen.State != snapshot.Waiting || seen.PID == nil || seen.ExitCode != nil || seen.ReadyAt != nil {
		t.Errorf("during the wait: %+v", seen)
	}
	if !maps.EqualFunc(seen.Files, first.status.Files, func(a, b *string) bool { return *a == *b }) {
		t.Errorf("files during the wait: %v", seen.Files)
	}
}

// The files of another boot are removed before anything is written, even if the gate
// fails. Unknown files are kept.
func TestRerunAfterAnotherBoot(t *testing.T) {
	for name, status := range map[string]string{
		"another boot": "", "no status": "-", "not JSON": "{", "unknown schema": `{"schema": 0}`,
	} {
		for _, schedule := range []string{"", "400"} {
			t.Run(name+" "+schedule, func(t *testing.T) {
				first := faulty(t, "").run(t)
				plant(t, first.dir, "somebody-elses", "x")
				plant(t, first.dir, ".tags.json.tmp", "x")
				plant(t, first.dir, "user-data", "x")
				switch status {
				case "":
					old := first.file(t, "status.json")
					plant(t, first.dir, "status.json", strings.Replace(old, bootID, "99999999-2222-3333-4444-555555555555", 1))
				case "-":
					if err := os.Remove(filepath.Join(first.dir, "status.json")); err != nil {
						t.Fatal(err)
					}
				default:
					plant(t, first.dir, "status.json", status)
				}
				next := first.rerun(t, schedule)
				want := slices.Clone(everything)
				if schedule != "" {
					want = slices.Clone(onlyStatus)
				}
				want = append(want, "somebody-elses")
				slices.Sort(want)
				if got := next.names(t); !slices.Equal(got, want) {
					t.Errorf("files %q, want %q", got, want)
				}
				if want := map[bool]int{true: 1, false: 0}[schedule == ""]; next.status.Generation != want {
					t.Errorf("generation %d, want %d", next.status.Generation, want)
				}
			})
		}
	}
}

// A collection with fewer values removes the files that have none. A degraded gate
// without a collection removes nothing.
func TestRerunWithLess(t *testing.T) {
	first := faulty(t, "")
	first.config.Metadata.UserData, first.config.Metadata.Signatures = true, true
	first.run(t)
	degraded := faulty(t, "400@put")
	degraded.dir, degraded.config.OnTimeout = first.dir, readiness.Continue
	degraded.run(t)
	if got := len(degraded.names(t)); got != len(everything)+2 || !strings.HasPrefix(degraded.file(t, "imds.env"), "IMDS_STATE=degraded\nIMDS_INSTANCE_ID=") {
		t.Errorf("files %q, imds.env:\n%s", degraded.names(t), degraded.file(t, "imds.env"))
	}
	less := newTrial(t, imdstest.New(imdstest.DefaultTree().Without("meta-data/network", "meta-data/tags")))
	less.dir = first.dir
	less.run(t)
	if got := less.names(t); !slices.Equal(got, []string{"identity.json", "imds.env", "meta-data.json", "status.json"}) ||
		less.status.Files["tags.json"] != nil || len(less.status.Missing) != 0 {
		t.Errorf("files %q, status %+v", got, less.status)
	}
}
