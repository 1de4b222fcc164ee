// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/internal/atomicfile"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

func TestPublish(t *testing.T) {
	d := open(t)
	snap, _ := build(instance(t))
	var order []string
	sums, _, err := d.Publish(snap, snapshot.Ready, func(name string) {
		if _, err := os.Lstat(filepath.Join(d.path, name)); err == nil {
			t.Errorf("%s already exists", name)
		}
		order = append(order, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "user-data signatures.json meta-data.json network.json tags.json imds.env identity.json"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if len(sums) != 7 {
		t.Errorf("%d sums, want 7", len(sums))
	}
	for name, sum := range sums {
		data := get(t, filepath.Join(d.path, name))
		digest := sha256.Sum256([]byte(data))
		secret := name == snapshot.UserDataFile || name == snapshot.SignaturesFile
		if secret != (sum == nil) || sum != nil && *sum != hex.EncodeToString(digest[:]) {
			t.Errorf("%s: sum %v", name, sum)
		}
	}
	if list := entries(t, d.path); list+" status.json" != strings.ReplaceAll(allNames, " status.json", "")+" status.json" {
		t.Errorf("the directory has %s", list)
	}
}

// Files without content in the next collection are removed. Files that do not belong to
// the daemon are kept.
func TestPublishRemoves(t *testing.T) {
	d := open(t)
	fillDir(t, d)
	snap, _ := build(leaves(map[string]string{paths.Identity: `{"instanceId": "i-1"}`}))
	sums, _, err := d.Publish(snap, snapshot.Degraded, nil)
	if err != nil || len(sums) != 2 || sums[snapshot.IdentityFile] == nil || sums[snapshot.EnvFile] == nil {
		t.Fatalf("%v %v, want identity.json and imds.env", sums, err)
	}
	want := ".hidden .tags.json.bak identity.json imds.env imds.prom status.json tags.json~"
	if list := entries(t, d.path); list != want {
		t.Errorf("left: %s, want %s", list, want)
	}
	if got := get(t, filepath.Join(d.path, snapshot.EnvFile)); got != "IMDS_STATE=degraded\nIMDS_INSTANCE_ID=i-1\n" {
		t.Errorf("imds.env is %q", got)
	}
}

// Publish returns the names of the files that it replaced or removed, and does not replace
// other files, so that programs that watch them are not woken up.
func TestPublishChanges(t *testing.T) {
	d := open(t)
	in := instance(t)
	infos := func() map[string]os.FileInfo {
		m := map[string]os.FileInfo{}
		for name := range strings.FieldsSeq(entries(t, d.path)) {
			info, err := os.Lstat(filepath.Join(d.path, name))
			if err != nil {
				t.Fatal(err)
			}
			m[name] = info
		}
		return m
	}
	for _, step := range []struct {
		name   string
		change func()
		want   string
	}{
		{"first", func() {}, strings.ReplaceAll(allNames, " status.json", "")},
		{"unchanged", func() {}, ""},
		{"a tag", func() { in["meta-data/tags/instance/Name"] = []byte("new") }, "meta-data.json tags.json"},
		{"user-data is removed", func() { delete(in, "user-data") }, "user-data"},
	} {
		step.change()
		before := infos()
		snap, _ := build(in)
		_, changed, err := d.Publish(snap, snapshot.Ready, nil)
		if got := strings.Join(changed, " "); err != nil || got != step.want {
			t.Errorf("%s: %q changed, %v, want %q", step.name, got, err, step.want)
		}
		for name, after := range infos() {
			if old, ok := before[name]; ok && os.SameFile(old, after) == slices.Contains(changed, name) {
				t.Errorf("%s: %s: changed is %q", step.name, name, changed)
			}
		}
	}
}

// After a failure, every file is complete, either old or new.
func TestPublishFails(t *testing.T) {
	d := open(t)
	fillDir(t, d)
	occupy(t, d, snapshot.TagsFile)
	tags := filepath.Join(d.path, snapshot.TagsFile)
	in := instance(t)
	in["user-data"] = []byte("new")
	in[paths.Identity] = []byte(`{"instanceId": "new"}`)
	snap, _ := build(in)
	oldIdentity := get(t, filepath.Join(d.path, snapshot.IdentityFile))
	sums, _, err := d.Publish(snap, snapshot.Ready, nil)
	if sums != nil || err == nil || !strings.HasPrefix(err.Error(), "writing "+tags+": ") {
		t.Errorf("%v %v", sums, err)
	}
	if get(t, filepath.Join(d.path, snapshot.UserDataFile)) != "new" {
		t.Error("user-data, written before the failure, is not new")
	}
	if get(t, filepath.Join(d.path, snapshot.IdentityFile)) != oldIdentity {
		t.Error("identity.json, which is written later, is not the old one")
	}
	// The same is true if the removal of a file fails.
	delete(in, "meta-data/tags/instance/")
	for path := range in {
		if strings.HasPrefix(path, "meta-data/tags") {
			delete(in, path)
		}
	}
	snap, _ = build(in)
	if sums, _, err := d.Publish(snap, snapshot.Ready, nil); sums != nil || err == nil || !strings.HasPrefix(err.Error(), "removing "+tags+": ") {
		t.Errorf("%v %v", sums, err)
	}
}

// If the first collection of a boot fails, the new files are removed again, because
// identity.json would mean that IMDS answered.
func TestPublishFailsAtFirst(t *testing.T) {
	d := open(t)
	occupy(t, d, snapshot.IdentityFile)
	put(t, filepath.Join(d.path, snapshot.TagsFile), "old")
	snap, _ := build(instance(t))
	sums, _, err := d.Publish(snap, snapshot.Ready, nil)
	if sums != nil || err == nil || !strings.HasPrefix(err.Error(), "writing "+filepath.Join(d.path, snapshot.IdentityFile)) {
		t.Errorf("%v %v", sums, err)
	}
	if list, want := entries(t, d.path), "identity.json tags.json"; list != want {
		t.Errorf("left: %s, want %s", list, want)
	}
}

func TestWriteState(t *testing.T) {
	tests := []struct{ name, old, want string }{
		{"missing", "", "IMDS_STATE=skipped\n"},
		{"another state", "IMDS_STATE=ready\nIMDS_REGION=r\nIMDS_MAC=m\n", "IMDS_STATE=skipped\nIMDS_REGION=r\nIMDS_MAC=m\n"},
		{"the same state", "IMDS_STATE=skipped\nIMDS_REGION=r\n", "IMDS_STATE=skipped\nIMDS_REGION=r\n"},
		{"no final newline", "IMDS_STATE=ready\nIMDS_REGION=r", "IMDS_STATE=skipped\nIMDS_REGION=r\n"},
		{"the state elsewhere, twice", "IMDS_MAC=b\nIMDS_STATE=x\nIMDS_STATE=\nIMDS_STATES=y\n", "IMDS_STATE=skipped\nIMDS_MAC=b\n"},
		{"planted variables", "LD_PRELOAD=/tmp/x.so\nIMDS_REGION=r\nPATH=/tmp\nexport IMDS_MAC=m\n", "IMDS_STATE=skipped\nIMDS_REGION=r\n"},
		{"planted values", "IMDS_REGION=$(id)\nIMDS_MAC=-m\nIMDS_IPV6=\nIMDS_AMI_ID\nIMDS_VPC_ID=v\\\nIMDS_SUBNET_ID=s\r\n", "IMDS_STATE=skipped\n"},
		{"too long", "IMDS_REGION=" + strings.Repeat("a", 256) + "\nIMDS_MAC=" + strings.Repeat("a", 255), "IMDS_STATE=skipped\nIMDS_MAC=" + strings.Repeat("a", 255) + "\n"},
		{"comments and blanks", "# a comment\n\nIMDS_MAC=b\n IMDS_REGION=r\n", "IMDS_STATE=skipped\nIMDS_MAC=b\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t)
			path := filepath.Join(d.path, snapshot.EnvFile)
			if tt.old != "" {
				put(t, path, tt.old)
			}
			sum, err := d.WriteState(snapshot.Skipped)
			if err != nil {
				t.Fatal(err)
			}
			if got := get(t, path); got != tt.want {
				t.Errorf("imds.env is %q, want %q", got, tt.want)
			}
			if digest := sha256.Sum256([]byte(tt.want)); sum == nil || *sum != hex.EncodeToString(digest[:]) {
				t.Errorf("sum %v", sum)
			}
		})
	}
}

func TestWriteStateTouchesNothingElse(t *testing.T) {
	d := open(t)
	fillDir(t, d)
	before := map[string]string{}
	list := entries(t, d.path)
	for _, name := range strings.Fields(list) {
		before[name] = get(t, filepath.Join(d.path, name))
	}
	if _, err := d.WriteState(snapshot.Degraded); err != nil {
		t.Fatal(err)
	}
	before[snapshot.EnvFile] = strings.Replace(before[snapshot.EnvFile], "IMDS_STATE=ready", "IMDS_STATE=degraded", 1)
	for name, want := range before {
		if got := get(t, filepath.Join(d.path, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if after := entries(t, d.path); after != list {
		t.Errorf("the directory has %s, before %s", after, list)
	}
}

// A link from imds.env to a secret would make the secret public.
func TestWriteStateDoesNotReadThroughLinks(t *testing.T) {
	d := open(t)
	if _, err := d.Write(snapshot.UserDataFile, File{Data: []byte("SECRET=1\n"), Secret: true}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(snapshot.UserDataFile, filepath.Join(d.path, snapshot.EnvFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteState(snapshot.Degraded); err != nil {
		t.Fatal(err)
	}
	if got := get(t, filepath.Join(d.path, snapshot.EnvFile)); got != "IMDS_STATE=degraded\n" {
		t.Errorf("imds.env is %q", got)
	}
	if got := get(t, filepath.Join(d.path, snapshot.UserDataFile)); got != "SECRET=1\n" {
		t.Errorf("user-data is %q", got)
	}
}

func TestWriteStateFails(t *testing.T) {
	d := open(t)
	occupy(t, d, snapshot.EnvFile)
	want := "writing " + filepath.Join(d.path, snapshot.EnvFile) + ": "
	if sum, err := d.WriteState(snapshot.Skipped); sum != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v %v, want %s...", sum, err, want)
	}
	d.Close()
	want = "reading " + filepath.Join(d.path, snapshot.EnvFile) + ": "
	if sum, err := d.WriteState(snapshot.Skipped); sum != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v %v, want %s...", sum, err, want)
	}
}

// Previous reads only files that the status lists: the tree if it has the digest in the
// status, and the secret files.
func TestPrevious(t *testing.T) {
	d := open(t)
	in := instance(t)
	in[paths.UserData] = []byte("#!")
	full, _ := build(in)
	files, _, err := d.Publish(full, snapshot.Ready, nil)
	if err != nil {
		t.Fatal(err)
	}
	st := snapshot.Status{Files: files, Missing: map[string]string{"meta-data/mac": "404"}}
	p := d.Previous(st)
	if p.lookup("placement/region") == nil || string(p.userData) != "#!" || p.missing["meta-data/mac"] != "404" {
		t.Errorf("got %+v", p)
	}
	if p := d.Previous(snapshot.Status{}); p.metaData != nil || p.userData != nil || p.signatures != (signatureSet{}) {
		t.Errorf("files that no status lists: %+v", p)
	}
	if err := os.WriteFile(filepath.Join(d.path, snapshot.MetaDataFile), []byte(`{"planted": "x"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(d.path, snapshot.UserDataFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := d.Previous(st); p.metaData != nil || p.userData != nil {
		t.Errorf("a changed tree and a file that others can read: %+v", p)
	}
}

// After any failure, status.json and imds.env have the same state, and the digests are those
// of the existing files.
func TestFailedStatusAgrees(t *testing.T) {
	first, second := instance(t), instance(t)
	second["meta-data/placement/region"] = []byte("new")
	second[paths.Identity] = []byte(`{"instanceId": "i-new"}`)
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, d *Dir) // called before the second collection is published
		ends  bool                       // whether publishing succeeds, before a signal ends the run
		env   string                     // how imds.env begins, or empty if it is removed
	}{
		{"a signal after publishing", func(*testing.T, *Dir) {}, true, "IMDS_STATE=failed\nIMDS_INSTANCE_ID=i-new\n"},
		{"an error after imds.env", func(t *testing.T, d *Dir) { occupy(t, d, atomicfile.Temporary(snapshot.IdentityFile)) }, false, "IMDS_STATE=failed\nIMDS_INSTANCE_ID=i-new\n"},
		{"an error before imds.env", func(t *testing.T, d *Dir) { occupy(t, d, atomicfile.Temporary(snapshot.TagsFile)) }, false, "IMDS_STATE=failed\nIMDS_INSTANCE_ID=i-0abcdef1234567890\n"},
		{"imds.env cannot be written", func(t *testing.T, d *Dir) { occupy(t, d, atomicfile.Temporary(snapshot.EnvFile)) }, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t)
			old, _ := build(first)
			sums, _, err := d.Publish(old, snapshot.Ready, nil)
			if err != nil {
				t.Fatal(err)
			}
			st := snapshot.Status{State: snapshot.Ready, BootID: "b", Generation: 1, Files: sums}
			if err := d.WriteFinalStatus(st); err != nil {
				t.Fatal(err)
			}
			second["meta-data/tags/instance/Name"] = []byte("new")
			tt.spoil(t, d)
			s, _ := build(second)
			if _, _, err := d.Publish(s, snapshot.Ready, nil); (err == nil) != tt.ends {
				t.Fatal(err)
			}
			before := maps.Clone(st.Files)
			st.State = snapshot.Failed
			if err := d.WriteFinalStatus(st); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(st.Files, before) {
				t.Error("the caller's map was changed")
			}
			got, err := os.ReadFile(filepath.Join(d.path, snapshot.EnvFile))
			if !strings.HasPrefix(string(got), tt.env) || (err == nil) != (tt.env != "") {
				t.Errorf("imds.env is %q %v, want %q", got, err, tt.env)
			}
			read, err := d.Status()
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range order() {
				data, err := os.ReadFile(filepath.Join(d.path, name))
				sum, listed := read.Files[name]
				if (err == nil) != listed {
					t.Errorf("%s: listed %t, %v", name, listed, err)
				}
				want := File{Data: data, Secret: name == snapshot.UserDataFile || name == snapshot.SignaturesFile}.Sum()
				if listed && (sum == nil) != (want == nil) || sum != nil && *sum != *want {
					t.Errorf("%s: wrong digest", name)
				}
			}
		})
	}
}

// A gate that fails before it publishes does not create imds.env, and keeps that of an
// earlier run.
func TestFailedWaitLeavesFiles(t *testing.T) {
	d := open(t)
	if err := d.WriteFinalStatus(snapshot.Status{State: snapshot.Failed, BootID: "b"}); err != nil {
		t.Fatal(err)
	}
	if st, err := d.Status(); err != nil || len(st.Files) != 0 || entries(t, d.path) != snapshot.StatusFile {
		t.Errorf("%+v %v, files %s", st, err, entries(t, d.path))
	}
	put(t, filepath.Join(d.path, snapshot.EnvFile), "IMDS_STATE=ready\n")
	st := snapshot.Status{State: snapshot.Failed, BootID: "b", Files: map[string]*string{snapshot.EnvFile: new("sum")}}
	if err := d.WriteFinalStatus(st); err != nil {
		t.Fatal(err)
	}
	if st, err := d.Status(); err != nil || len(st.Files) != 1 || get(t, filepath.Join(d.path, snapshot.EnvFile)) != "IMDS_STATE=ready\n" {
		t.Errorf("%+v %v", st, err)
	}
}
