// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// published is a directory with the files of the realistic instance.
func published(t testing.TB, st Status) *Dir {
	t.Helper()
	d := open(t)
	snap, _ := Build(instance(t))
	if _, err := d.Publish(snap, Ready, nil); err != nil {
		t.Fatal(err)
	}
	st.BootID = "b"
	if st.State == "" {
		st.State, st.Generation = Ready, 1
	}
	if err := d.WriteStatus(st); err != nil {
		t.Fatal(err)
	}
	return d
}

// values opens what a directory has.
func values(t testing.TB, dir string) *Values {
	t.Helper()
	v, err := Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// jsonText is a value as compact JSON.
func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLookup(t *testing.T) {
	v := values(t, published(t, Status{}).path)
	tests := []struct{ name, key, want string }{
		{"a leaf", "instance-id", `"i-0abcdef1234567890"`},
		{"the prefix of IMDS", "meta-data/instance-id", `"i-0abcdef1234567890"`},
		{"a leaf in a directory", "placement/region", `"eu-west-1"`},
		{"a directory", "placement", `{"availability-zone":"eu-west-1b","availability-zone-id":"euw1-az3","region":"eu-west-1"}`},
		{"a directory as IMDS writes it", "placement/", `{"availability-zone":"eu-west-1b","availability-zone-id":"euw1-az3","region":"eu-west-1"}`},
		{"a key of the identity document", "identity/accountId", `"123456789012"`},
		{"the path of the identity document", "dynamic/instance-identity/document/region", `"eu-west-1"`},
		{"an array of the identity document", "identity/marketplaceProductCodes", `["3iplms73etrdhxdepv72l6ywj"]`},
		{"an item", "identity/marketplaceProductCodes/0", `"3iplms73etrdhxdepv72l6ywj"`},
		{"a tag", "tags/instance/Name", `"web-1"`},
		{"a list", "security-groups", `["default","web \u0026 mail \u003ceu\u003e"]`},
		{"an item of a list", "security-groups/0", `"default"`},
		{"in a document", "iam/info/InstanceProfileArn", `"arn:aws:iam::123456789012:instance-profile/web"`},
		{"in an array of a document", "events/maintenance/scheduled/0/Code", `"system-reboot"`},
		{"an empty array", "events/maintenance/history", `[]`},
		{"a key with colons", "network/interfaces/macs/02:00:00:00:00:01/device-number", `"1"`},
		{"a public key", "public-keys/0/name", `"ops key"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := v.Lookup(tt.key)
			if err != nil || jsonText(t, got) != tt.want {
				t.Errorf("%s %v, want %s", jsonText(t, got), err, tt.want)
			}
		})
	}
	for _, root := range []struct{ key, file string }{
		{"meta-data", MetaDataFile}, {"identity", IdentityFile}, {"dynamic/instance-identity/document", IdentityFile},
	} {
		got, err := v.Lookup(root.key)
		if want := get(t, filepath.Join("testdata", "golden", root.file)); err != nil || indented(t, got) != want {
			t.Errorf("%s: %v\n%s", root.key, err, indented(t, got))
		}
	}
}

func indented(t testing.TB, v any) string {
	t.Helper()
	text, err := encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What JSON a value is of stays, and a number is as it is written.
func TestLookupTypes(t *testing.T) {
	d := published(t, Status{})
	put(t, filepath.Join(d.path, MetaDataFile), `{"n": 1.50e3, "big": 123456789012345678901234567890, "yes": true, "no": false,
		"null": null, "deep": {"null": null, "a": [null, [1, "x"]]}, "identity": "odd", "meta-data": {"meta-data": "odder"},
		"dynamic": {"instance-identity": {"document": "oddest"}}}`)
	v := values(t, d.path)
	for key, want := range map[string]any{
		"n": json.Number("1.50e3"), "big": json.Number("123456789012345678901234567890"), "yes": true, "no": false,
		"null": nil, "deep/null": nil, "deep/a/0": nil, "deep/a/1/1": "x", "deep/a/1": []any{json.Number("1"), "x"},
		"deep/a/2": nil, "deep/a/-1": nil, "deep/a/01": nil, "deep/a/+1": nil, "deep/a/4294967296": nil, "n/0": nil, "yes/x": nil,
		"meta-data/identity": "odd", "meta-data/meta-data/meta-data": "odder", "identity/region": "eu-west-1",
		"meta-data/dynamic/instance-identity/document": "oddest",
	} {
		got, err := v.Lookup(key)
		if _, absent := errors.AsType[*KeyError](err); !reflect.DeepEqual(got, want) || absent != (want == nil) || !absent && err != nil {
			t.Errorf("%s: %#v %v, want %#v", key, got, err, want)
		}
	}
}

func TestList(t *testing.T) {
	v := values(t, published(t, Status{}).path)
	all, err := v.List("")
	if err != nil || !slices.IsSorted(all[12:]) {
		t.Errorf("%q %v", all, err)
	}
	for _, key := range []string{
		"identity/", "identity/accountId", "ami-id", "placement/", "placement/region", "security-groups", "iam/info/Code",
		"public-keys/0/openssh-key", "network/interfaces/macs/02:00:00:00:00:01/ipv6s", "events/maintenance/scheduled",
	} {
		if !slices.Contains(all, key) {
			t.Errorf("there is no %s in %q", key, all)
		}
	}
	for _, key := range []string{"identity/kernelId", "security-groups/", "meta-data/", "events/maintenance/scheduled/0/"} {
		if slices.Contains(all, key) {
			t.Errorf("there is %s", key)
		}
	}
	for key, want := range map[string]string{
		"placement":           "placement/availability-zone placement/availability-zone-id placement/region",
		"placement/":          "placement/availability-zone placement/availability-zone-id placement/region",
		"meta-data/placement": "placement/availability-zone placement/availability-zone-id placement/region",
		"public-keys":         "public-keys/0/ public-keys/0/name public-keys/0/openssh-key",
		"ami-id":              "ami-id", "security-groups": "security-groups", "iam": "iam/info/ iam/info/Code " +
			"iam/info/InstanceProfileArn iam/info/InstanceProfileId iam/info/LastUpdated",
		"dynamic/instance-identity/document/region": "identity/region",
	} {
		if got, err := v.List(key); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q %v", key, got, err)
		}
	}
	below, err := v.List("meta-data")
	if err != nil || !slices.Equal(below, all[len(all)-len(below):]) || below[0] != "ami-id" {
		t.Errorf("meta-data: %q %v", below, err)
	}
	if _, err := v.List("no/such"); !isAbsent(err) {
		t.Error(err)
	}
	if _, err := v.List("../x"); !errors.Is(err, ErrBadKey) {
		t.Error(err)
	}
}

func isAbsent(err error) bool {
	_, ok := errors.AsType[*KeyError](err)
	return ok
}

// A file in the place of a file: one is read, the other said to be bad.
func TestOpenBadFiles(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	put(t, secret, `{"instance-id": "not ours"}`)
	for name, plant := range map[string]func(path string) error{
		"empty":     func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"half":      func(p string) error { return os.WriteFile(p, []byte(`{"a": "b"`), 0o644) },
		"two":       func(p string) error { return os.WriteFile(p, []byte(`{"a": "b"} {}`), 0o644) },
		"null":      func(p string) error { return os.WriteFile(p, []byte(`null`), 0o644) },
		"array":     func(p string) error { return os.WriteFile(p, []byte(`["a"]`), 0o644) },
		"deep":      func(p string) error { return os.WriteFile(p, []byte(strings.Repeat(`{"a":`, 20000)), 0o644) },
		"link":      func(p string) error { return os.Symlink(secret, p) },
		"directory": func(p string) error { return os.Mkdir(p, 0o755) },
		"huge":      func(p string) error { return os.WriteFile(p, make([]byte, maxRead+1), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			d := published(t, Status{})
			path := filepath.Join(d.path, MetaDataFile)
			if err := errors.Join(os.Remove(path), plant(path)); err != nil {
				t.Fatal(err)
			}
			v := values(t, d.path)
			if got, err := v.Lookup("instance-id"); !errors.Is(err, ErrNotOurs) || got != nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%v %v", got, err)
			}
			if _, err := v.List(""); !errors.Is(err, ErrNotOurs) {
				t.Error(err)
			}
			if got, err := v.Lookup("identity/region"); err != nil || got != "eu-west-1" {
				t.Errorf("%v %v", got, err)
			}
		})
	}
}

func TestOpenWithoutFiles(t *testing.T) {
	d := open(t)
	if _, err := Open(d.path, "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := d.WriteStatus(Status{State: Skipped, BootID: "b"}); err != nil {
		t.Fatal(err)
	}
	v := values(t, d.path)
	for _, key := range []string{"instance-id", "meta-data", "identity", "identity/region"} {
		if got, err := v.Lookup(key); !isAbsent(err) || got != nil || err.Error() != `no such key: "`+key+`"` {
			t.Errorf("%s: %v %v", key, got, err)
		}
	}
	if keys, err := v.List(""); err != nil || len(keys) != 0 || v.Status().State != Skipped {
		t.Errorf("%q %v %+v", keys, err, v.Status())
	}
}

// A reader beside a daemon that writes all the time always finds its key.
func TestOpenBesideTheWriter(t *testing.T) {
	d := published(t, Status{})
	snap, _ := Build(instance(t))
	var writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		for {
			if _, err := d.Publish(snap, Ready, nil); err != nil {
				t.Error(err)
			}
			if err := d.WriteStatus(Status{State: Ready, BootID: "b", Generation: 1}); err != nil {
				t.Error(err)
			}
			if err := os.Remove(filepath.Join(d.path, IdentityFile)); err != nil { // so that it is written anew
				t.Error(err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range 300 {
		if got, err := values(t, d.path).Lookup("instance-id"); err != nil || got != "i-0abcdef1234567890" {
			t.Errorf("%v %v", got, err)
		}
	}
	close(done)
	writer.Wait()
}
