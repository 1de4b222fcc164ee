// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

// allNames contains the names of all files, sorted as in a directory listing.
const allNames = "identity.json imds.env meta-data.json network.json signatures.json status.json tags.json user-data"

// fillDir writes a complete collection, a status of boot "this", and files that do not
// belong to the daemon.
func fillDir(t *testing.T, d *Dir) snapshot.Status {
	t.Helper()
	snap, _ := build(instance(t))
	sums, _, err := d.Publish(snap, snapshot.Ready, nil)
	if err != nil {
		t.Fatal(err)
	}
	st := snapshot.Status{State: snapshot.Ready, BootID: "this", Generation: 3, Files: sums}
	if err := d.WriteStatus(st); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"imds.prom", ".hidden", ".tags.json.bak", "tags.json~"} {
		put(t, filepath.Join(d.path, name), "mine")
	}
	return st.Normal()
}

const others = ".hidden .tags.json.bak imds.prom tags.json~"

func TestBegin(t *testing.T) {
	tests := []struct {
		name   string
		boot   string
		status string // replaces status.json; "-" removes it
		keeps  bool
	}{
		{name: "the same boot", boot: "this", keeps: true},
		{name: "another boot", boot: "that"},
		{name: "a boot without an ID", boot: ""},
		{name: "no status", boot: "this", status: "-"},
		{name: "a truncated status", boot: "this", status: `{"schema": 1, "boot_id": "this", "sta`},
		{name: "an empty status", boot: "this", status: " "},
		{name: "a later schema", boot: "this", status: `{"schema": 2, "boot_id": "this", "state": "ready"}`},
		{name: "no boot ID in it", boot: "", status: `{"schema": 1, "boot_id": "", "state": "ready"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t)
			before := fillDir(t, d)
			path := filepath.Join(d.path, snapshot.StatusFile)
			switch tt.status {
			case "":
			case "-":
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			default:
				put(t, path, tt.status)
			}
			st, err := d.Begin(tt.boot)
			if err != nil {
				t.Fatal(err)
			}
			list := entries(t, d.path)
			if tt.keeps {
				if !reflect.DeepEqual(st, before) {
					t.Errorf("status %+v, want %+v", st, before)
				}
				for _, name := range strings.Fields(allNames) {
					if !strings.Contains(" "+list+" ", " "+name+" ") {
						t.Errorf("%s was removed: %s", name, list)
					}
				}
				return
			}
			if !reflect.DeepEqual(st, snapshot.Status{}) {
				t.Errorf("status %+v, want the zero Status", st)
			}
			if list != others {
				t.Errorf("left: %s, want %s", list, others)
			}
		})
	}
}

// The temporary files of a killed daemon are removed in any boot. Other files whose names
// begin with a dot are kept.
func TestBeginRemovesTemporaries(t *testing.T) {
	d := open(t)
	fillDir(t, d)
	want := entries(t, d.path)
	victim := filepath.Join(t.TempDir(), "victim")
	put(t, victim, "precious")
	for _, name := range strings.Fields(allNames) {
		put(t, filepath.Join(d.path, atomicfile.Temporary(name)), "half")
	}
	link := filepath.Join(d.path, atomicfile.Temporary(snapshot.EnvFile))
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if st, err := d.Begin("this"); err != nil || st.BootID != "this" {
		t.Fatalf("%+v %v", st, err)
	}
	if list := entries(t, d.path); list != want {
		t.Errorf("left: %s, want %s", list, want)
	}
	if get(t, victim) != "precious" {
		t.Error("a link was followed")
	}
}

// Links in the place of files are removed without following them.
func TestBeginDoesNotFollow(t *testing.T) {
	d := open(t)
	outside := t.TempDir()
	for _, name := range strings.Fields(allNames) {
		put(t, filepath.Join(outside, name), `{"schema": 1, "boot_id": "this", "state": "ready"}`)
		if err := os.Symlink(filepath.Join(outside, name), filepath.Join(d.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	st, err := d.Begin("this")
	if err != nil || st.BootID != "" {
		t.Errorf("a status behind a link is accepted: %+v %v", st, err)
	}
	if list := entries(t, d.path); list != "" {
		t.Errorf("left: %s", list)
	}
	if list := entries(t, outside); list != allNames {
		t.Errorf("outside: %s", list)
	}
}

// If Begin fails, status.json no longer lists files of which some may be gone.
func TestBeginRemovesTheStatusFirst(t *testing.T) {
	d := open(t)
	fillDir(t, d)
	occupy(t, d, snapshot.UserDataFile) // the next one in the order
	if _, err := d.Begin("that"); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(filepath.Join(d.path, snapshot.StatusFile)); err == nil {
		t.Error("status.json is still there")
	}
}

// The error names the file that cannot be removed.
func TestBeginFails(t *testing.T) {
	for _, name := range []string{snapshot.TagsFile, snapshot.StatusFile, atomicfile.Temporary(snapshot.TagsFile)} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			occupy(t, d, name)
			_, err := d.Begin("this")
			if err == nil || !strings.HasPrefix(err.Error(), "removing "+filepath.Join(d.path, name)+": ") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A daemon that is killed between meta-data.json and identity.json leaves files of two
// collections. The next start removes what no status vouches for, so that readers never
// see both, even if that run fails.
func TestBeginRemovesWhatWasNotListed(t *testing.T) {
	d := open(t)
	collection := func(run string) Snapshot {
		s, _ := build(map[string][]byte{"meta-data/ami-id": []byte(run), paths.Identity: []byte(`{"instanceId": "i-1", "imageId": "` + run + `"}`)})
		return s
	}
	sums, _, err := d.Publish(collection("one"), snapshot.Ready, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.WriteStatus(snapshot.Status{BootID: "b", State: snapshot.Ready, Generation: 1, Files: sums}); err != nil {
		t.Fatal(err)
	}
	for name, f := range collection("two").Files(snapshot.Ready) { // killed before identity.json
		if name != snapshot.IdentityFile {
			if _, err := d.Write(name, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	st, err := d.Begin("b")
	if err != nil || st.Files[snapshot.MetaDataFile] != nil || st.Files[snapshot.IdentityFile] == nil {
		t.Fatalf("status lists %v, %v", st.Files, err)
	}
	st.State = snapshot.Failed
	if err := d.WriteStatus(st); err != nil {
		t.Fatal(err)
	}
	v, err := snapshot.Open(d.path, "b")
	if err != nil {
		t.Fatal(err)
	}
	if ami, err := v.Lookup("ami-id"); err == nil {
		t.Errorf("meta-data of the run that was killed: %v", ami)
	}
	if image, err := v.Lookup("identity/imageId"); image != "one" {
		t.Errorf("identity %v, %v, want that of the last collection", image, err)
	}
}
