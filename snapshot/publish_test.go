// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPublish(t *testing.T) {
	d := open(t)
	snap, _ := Build(instance(t))
	var order []string
	sums, err := d.Publish(snap, Ready, func(name string) {
		if _, err := os.Lstat(filepath.Join(d.path, name)); err == nil {
			t.Errorf("%s is there before its turn", name)
		}
		order = append(order, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "user-data signatures.json meta-data.json network.json tags.json identity.json imds.env"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if len(sums) != 7 {
		t.Errorf("%d sums, want 7", len(sums))
	}
	for name, sum := range sums {
		data := get(t, filepath.Join(d.path, name))
		digest := sha256.Sum256([]byte(data))
		secret := name == UserDataFile || name == SignaturesFile
		if secret != (sum == nil) || sum != nil && *sum != hex.EncodeToString(digest[:]) {
			t.Errorf("%s: sum %v", name, sum)
		}
	}
	if list := entries(t, d.path); list+" status.json" != strings.ReplaceAll(all8, " status.json", "")+" status.json" {
		t.Errorf("the directory has %s", list)
	}
}

// Files that the next collection has no content for go; others' files stay.
func TestPublishRemoves(t *testing.T) {
	d := open(t)
	fillDir(t, d)
	snap, _ := Build(leaves(map[string]string{identityPath: `{"instanceId": "i-1"}`}))
	sums, err := d.Publish(snap, Degraded, nil)
	if err != nil || len(sums) != 2 || sums[IdentityFile] == nil || sums[EnvFile] == nil {
		t.Fatalf("%v %v, want identity.json and imds.env", sums, err)
	}
	want := ".hidden .tags.json.bak identity.json imds.env imds.prom status.json tags.json~"
	if list := entries(t, d.path); list != want {
		t.Errorf("left: %s, want %s", list, want)
	}
	if got := get(t, filepath.Join(d.path, EnvFile)); got != "IMDS_STATE=degraded\nIMDS_INSTANCE_ID=i-1\n" {
		t.Errorf("imds.env is %q", got)
	}
}

// The same again is not written again: nobody who watches is woken.
func TestPublishTwice(t *testing.T) {
	d := open(t)
	snap, _ := Build(instance(t))
	inodes := func() map[string]os.FileInfo {
		if _, err := d.Publish(snap, Ready, nil); err != nil {
			t.Fatal(err)
		}
		m := map[string]os.FileInfo{}
		for name := range snap.Files(Ready) {
			info, err := os.Lstat(filepath.Join(d.path, name))
			if err != nil {
				t.Fatal(err)
			}
			m[name] = info
		}
		return m
	}
	first, second := inodes(), inodes()
	for name := range first {
		if !os.SameFile(first[name], second[name]) || !first[name].ModTime().Equal(second[name].ModTime()) {
			t.Errorf("%s was written again", name)
		}
	}
}

// A failure on the way leaves every file whole: old, or new.
func TestPublishFails(t *testing.T) {
	d := open(t)
	fillDir(t, d)
	tags := filepath.Join(d.path, TagsFile)
	if err := os.Remove(tags); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(tags, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	in := instance(t)
	in["user-data"] = []byte("new")
	in[identityPath] = []byte(`{"instanceId": "new"}`)
	snap, _ := Build(in)
	oldIdentity := get(t, filepath.Join(d.path, IdentityFile))
	sums, err := d.Publish(snap, Ready, nil)
	if sums != nil || err == nil || !strings.HasPrefix(err.Error(), "writing "+tags+": ") {
		t.Errorf("%v %v", sums, err)
	}
	if get(t, filepath.Join(d.path, UserDataFile)) != "new" {
		t.Error("user-data, before the failure, is not new")
	}
	if get(t, filepath.Join(d.path, IdentityFile)) != oldIdentity {
		t.Error("identity.json, after the failure, is not the old one")
	}
	// And where only the removal of a file fails.
	delete(in, "meta-data/tags/instance/")
	for path := range in {
		if strings.HasPrefix(path, "meta-data/tags") {
			delete(in, path)
		}
	}
	snap, _ = Build(in)
	if sums, err := d.Publish(snap, Ready, nil); sums != nil || err == nil || !strings.HasPrefix(err.Error(), "removing "+tags+": ") {
		t.Errorf("%v %v", sums, err)
	}
}

// The first collection of a boot that fails on the way leaves nothing that was
// not there: identity.json would say that IMDS is had.
func TestPublishFailsAtFirst(t *testing.T) {
	d := open(t)
	if err := os.MkdirAll(filepath.Join(d.path, EnvFile, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(d.path, TagsFile), "old")
	snap, _ := Build(instance(t))
	sums, err := d.Publish(snap, Ready, nil)
	if sums != nil || err == nil || !strings.HasPrefix(err.Error(), "writing "+filepath.Join(d.path, EnvFile)) {
		t.Errorf("%v %v", sums, err)
	}
	if list, want := entries(t, d.path), "imds.env tags.json"; list != want {
		t.Errorf("left: %s, want %s", list, want)
	}
}

func TestWriteState(t *testing.T) {
	tests := []struct{ name, old, want string }{
		{"no file", "", "IMDS_STATE=skipped\n"},
		{"a file", "IMDS_STATE=ready\nIMDS_REGION=r\nIMDS_MAC=m\n", "IMDS_STATE=skipped\nIMDS_REGION=r\nIMDS_MAC=m\n"},
		{"the same state", "IMDS_STATE=skipped\nIMDS_REGION=r\n", "IMDS_STATE=skipped\nIMDS_REGION=r\n"},
		{"no final newline", "IMDS_STATE=ready\nIMDS_REGION=r", "IMDS_STATE=skipped\nIMDS_REGION=r\n"},
		{"the state elsewhere, twice", "A=b\nIMDS_STATE=x\nIMDS_STATE=\nIMDS_STATES=y\n", "IMDS_STATE=skipped\nA=b\nIMDS_STATES=y\n"},
		{"comments and blanks", "# one's own\n\nA=b\n", "IMDS_STATE=skipped\n# one's own\n\nA=b\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t)
			path := filepath.Join(d.path, EnvFile)
			if tt.old != "" {
				put(t, path, tt.old)
			}
			sum, err := d.WriteState(Skipped)
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
	if _, err := d.WriteState(Degraded); err != nil {
		t.Fatal(err)
	}
	before[EnvFile] = strings.Replace(before[EnvFile], "IMDS_STATE=ready", "IMDS_STATE=degraded", 1)
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
	if _, err := d.Write(UserDataFile, File{Data: []byte("SECRET=1\n"), Secret: true}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(UserDataFile, filepath.Join(d.path, EnvFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteState(Degraded); err != nil {
		t.Fatal(err)
	}
	if got := get(t, filepath.Join(d.path, EnvFile)); got != "IMDS_STATE=degraded\n" {
		t.Errorf("imds.env is %q", got)
	}
	if got := get(t, filepath.Join(d.path, UserDataFile)); got != "SECRET=1\n" {
		t.Errorf("user-data is %q", got)
	}
}

func TestWriteStateFails(t *testing.T) {
	d := open(t)
	if err := os.MkdirAll(filepath.Join(d.path, EnvFile, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := "writing " + filepath.Join(d.path, EnvFile) + ": "
	if sum, err := d.WriteState(Skipped); sum != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v %v, want %s...", sum, err, want)
	}
	d.Close()
	want = "reading " + filepath.Join(d.path, EnvFile) + ": "
	if sum, err := d.WriteState(Skipped); sum != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v %v, want %s...", sum, err, want)
	}
}

// A file whose root could not be had stays as it was; one that is not there any
// more goes.
func TestPublishKeepsWhatFailed(t *testing.T) {
	d := open(t)
	full, _ := Build(map[string][]byte{
		identityPath: []byte(`{"instanceId": "i-1"}`), "meta-data/ami-id": []byte("ami-1"),
		"meta-data/tags/instance/Name": []byte("web"), userDataPath: []byte("#!"),
	})
	if _, err := d.Publish(full, Ready, nil); err != nil {
		t.Fatal(err)
	}
	little, _ := Build(map[string][]byte{identityPath: []byte(`{"instanceId": "i-1"}`)})
	kept := little.Keeping(map[string]string{"meta-data/": "503"})
	if _, err := d.Publish(kept, Ready, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{MetaDataFile: true, TagsFile: true, UserDataFile: false, IdentityFile: true} {
		if _, err := d.root.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}
	if _, err := d.Publish(little, Ready, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := d.root.Stat(MetaDataFile); err == nil {
		t.Errorf("%s is still there, though IMDS has nothing below meta-data/", MetaDataFile)
	}
}
