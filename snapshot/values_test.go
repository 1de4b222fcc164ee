// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// values opens a directory.
func values(t testing.TB, dir string) *Values {
	t.Helper()
	v, err := Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// jsonText returns a value as compact JSON.
func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLookup(t *testing.T) {
	v := values(t, published(t, Status{}))
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
		if want := get(t, filepath.Join(golden, root.file)); err != nil || string(encode(t, got)) != want {
			t.Errorf("%s: %v\n%s", root.key, err, encode(t, got))
		}
	}
}

// A value keeps its JSON type, and a number keeps its digits.
func TestLookupTypes(t *testing.T) {
	dir := published(t, Status{})
	put(t, filepath.Join(dir, MetaDataFile), `{"n": 1.50e3, "big": 123456789012345678901234567890, "yes": true, "no": false,
		"null": null, "deep": {"null": null, "a": [null, [1, "x"]]}, "identity": "odd", "meta-data": {"meta-data": "odder"},
		"dynamic": {"instance-identity": {"document": "oddest"}}}`)
	v := values(t, dir)
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
	v := values(t, published(t, Status{}))
	all, err := v.List("")
	if err != nil || !slices.IsSorted(all[12:]) {
		t.Errorf("%q %v", all, err)
	}
	for _, key := range []string{
		"identity/", "identity/accountId", "ami-id", "placement/", "placement/region", "security-groups", "iam/info/Code",
		"public-keys/0/openssh-key", "network/interfaces/macs/02:00:00:00:00:01/ipv6s", "events/maintenance/scheduled",
	} {
		if !slices.Contains(all, key) {
			t.Errorf("%s is missing in %q", key, all)
		}
	}
	for _, key := range []string{"identity/kernelId", "security-groups/", "meta-data/", "events/maintenance/scheduled/0/"} {
		if slices.Contains(all, key) {
			t.Errorf("%s is listed", key)
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

// nested returns the JSON of n nested objects. Files with more than 64 are rejected.
func nested(n int) []byte {
	return []byte(strings.Repeat(`{"[":`, n-1) + "{}" + strings.Repeat("}", n-1))
}

// If meta-data.json is invalid, its keys have an error that names it, and the identity
// document can still be read.
func TestOpenBadFiles(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	put(t, secret, `{"instance-id": "not ours"}`)
	for name, plant := range map[string]func(path string) error{
		"empty":              func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"truncated":          func(p string) error { return os.WriteFile(p, []byte(`{"a": "b"`), 0o644) },
		"two objects":        func(p string) error { return os.WriteFile(p, []byte(`{"a": "b"} {}`), 0o644) },
		"null":               func(p string) error { return os.WriteFile(p, []byte(`null`), 0o644) },
		"array":              func(p string) error { return os.WriteFile(p, []byte(`["a"]`), 0o644) },
		"deep":               func(p string) error { return os.WriteFile(p, nested(65), 0o644) },
		"very deep":          func(p string) error { return os.WriteFile(p, nested(9000), 0o644) },
		"deep and truncated": func(p string) error { return os.WriteFile(p, []byte(strings.Repeat(`{"a":`, 20000)), 0o644) },
		"link":               func(p string) error { return os.Symlink(secret, p) },
		"directory":          func(p string) error { return os.Mkdir(p, 0o755) },
		"huge":               func(p string) error { return os.WriteFile(p, make([]byte, MaxFile+1), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := published(t, Status{})
			path := filepath.Join(dir, MetaDataFile)
			if err := errors.Join(os.Remove(path), plant(path)); err != nil {
				t.Fatal(err)
			}
			v := values(t, dir)
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
	dir := t.TempDir()
	if _, err := Open(dir, "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	write(t, dir, Status{State: Skipped, BootID: "b"})
	v := values(t, dir)
	for _, key := range []string{"instance-id", "meta-data", "identity", "identity/region"} {
		if got, err := v.Lookup(key); !isAbsent(err) || got != nil || err.Error() != `no such key: "`+key+`"` {
			t.Errorf("%s: %v %v", key, got, err)
		}
	}
	if keys, err := v.List(""); err != nil || len(keys) != 0 || v.Status().State != Skipped {
		t.Errorf("%q %v %+v", keys, err, v.Status())
	}
}

func TestKeyErrors(t *testing.T) {
	v := values(t, published(t, Status{
		State: Degraded, Generation: 1,
		Missing: map[string]string{
			"meta-data/spot/instance-action": "503", "meta-data/ancestor-ami-ids": "too-large", "meta-data/elastic-inference/": "read-timeout",
		},
		Required: map[string]Requirement{
			"meta-data/tags/instance/Role": {Class: new("404")}, paths.Identity: {OK: true, Class: new("503")},
			"meta-data/elastic-gpus/": {Class: new("empty")},
		},
	}))
	tests := []struct{ name, key, path, want string }{
		{"a failed key", "ancestor-ami-ids", "meta-data/ancestor-ami-ids", `"ancestor-ami-ids": meta-data/ancestor-ami-ids could not be fetched: too-large`},
		{"with the prefix", "meta-data/ancestor-ami-ids", "meta-data/ancestor-ami-ids", `"meta-data/ancestor-ami-ids": meta-data/ancestor-ami-ids could not be fetched: too-large`},
		{"in a document", "spot/instance-action/time", "meta-data/spot/instance-action", `"spot/instance-action/time": meta-data/spot/instance-action could not be fetched: 503`},
		{"a listing", "elastic-inference", "meta-data/elastic-inference/", `"elastic-inference": meta-data/elastic-inference/ could not be fetched: read-timeout`},
		{"in a listing", "elastic-inference/x", "meta-data/elastic-inference/", `"elastic-inference/x": meta-data/elastic-inference/ could not be fetched: read-timeout`},
		{"required, but absent", "tags/instance/Role", "", `no such key: "tags/instance/Role"`},
		{"a required listing", "elastic-gpus/associations", "meta-data/elastic-gpus/", `"elastic-gpus/associations": meta-data/elastic-gpus/ could not be fetched: empty`},
		{"fetched", "identity/nothing-like-it", "", `no such key: "identity/nothing-like-it"`},
		{"credentials", "iam/security-credentials/web", "", `no such key: "iam/security-credentials/web": credentials are never written to files: request them from IMDS`},
		{"other credentials", "identity-credentials/ec2/security-credentials/ec2-instance", "", "credentials are never written to files"},
		{"no class", "regio", "", `no such key: "regio"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := v.Lookup(tt.key)
			e, ok := errors.AsType[*KeyError](err)
			if !ok || got != nil || e.Key != tt.key || e.Path != tt.path || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v %#v, want %s", got, err, tt.want)
			}
		})
	}
}

// digests returns the files of a status that lists only this meta-data.json.
func digests(metaData string) map[string]*string {
	sum := sha256.Sum256([]byte(metaData))
	return map[string]*string{MetaDataFile: new(hex.EncodeToString(sum[:]))}
}

// While the gate is waiting, a file counts as absent unless the status lists its digest:
// a daemon may be replacing the files, or was killed between two of them.
func TestOpenWhileWaiting(t *testing.T) {
	const now, before = `{"n": 2}`, `{"n": 1}`
	for _, tt := range []struct {
		name, state string
		files       map[string]*string
		want        bool
	}{
		{"listed", Waiting, digests(now), true},
		{"replaced later", Waiting, digests(before), false},
		{"never listed", Waiting, nil, false},
		{"a final status", Failed, digests(before), true},
	} {
		dir := t.TempDir()
		write(t, dir, Status{State: tt.state, BootID: "b", Generation: 1, Files: tt.files})
		put(t, filepath.Join(dir, MetaDataFile), now)
		v, err := Open(dir, "b")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Lookup("n"); (err == nil) != tt.want || err != nil && !errors.Is(err, ErrReplaced) {
			t.Errorf("%s: %v, want a value: %v", tt.name, err, tt.want)
		}
	}
}

// A file that a run removed, because a daemon was killed before it listed it, may have
// had the key. Before the first collection there is nothing to miss.
func TestOpenAfterRemoval(t *testing.T) {
	for generation, want := range []bool{false, true} {
		dir := t.TempDir()
		write(t, dir, Status{State: Waiting, BootID: "b", Generation: generation})
		v, err := Open(dir, "b")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Lookup("n"); errors.Is(err, ErrReplaced) != want {
			t.Errorf("generation %d: %v, want ErrReplaced: %v", generation, err, want)
		}
	}
}

// Everything that Open returns is from the same moment, even if the daemon publishes
// while Open reads.
func TestOpenWhilePublishing(t *testing.T) {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tt := range map[string]struct {
		publish func(n int) *Status // returns the status to write after the nth read of the status, or nil
		reads   int
		wantErr string
	}{
		"nothing happens":        {func(int) *Status { return nil }, 1, ""},
		"only the state changes": {func(int) *Status { return &Status{State: Ready, BootID: "b", StartedAt: &started} }, 1, ""},
		"another collection":     {func(int) *Status { return &Status{State: Ready, BootID: "b", Generation: 2, StartedAt: &started} }, 2, ""},
		"another run":            {func(int) *Status { return &Status{State: Waiting, BootID: "b", Files: digests(`{"n": 0}`)} }, 2, ""},
		"another boot":           {func(int) *Status { return &Status{State: Ready, BootID: "c"} }, 1, "status from another boot"},
		"one collection after another": {func(n int) *Status {
			return &Status{State: Ready, BootID: "b", Generation: n, StartedAt: &started}
		}, maxReads, "the files were replaced during each of 10 reads"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, Status{State: Waiting, BootID: "b", StartedAt: &started, Files: digests(`{"n": 0}`)})
			put(t, filepath.Join(dir, MetaDataFile), `{"n": 0}`)
			reads := 0
			v, err := open(dir, "b", func() {
				reads++
				if st := tt.publish(reads); st != nil {
					put(t, filepath.Join(dir, MetaDataFile), fmt.Sprintf(`{"n": %d}`, st.Generation))
					write(t, dir, *st)
				}
			})
			if reads != tt.reads {
				t.Errorf("%d reads, want %d", reads, tt.reads)
			}
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || v != nil {
					t.Errorf("%v, want %s", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n, err := v.Lookup("n"); err != nil || fmt.Sprint(n) != fmt.Sprint(v.Status().Generation) {
				t.Errorf("generation %d with the values of %v, %v", v.Status().Generation, n, err)
			}
		})
	}
}

// While a refresh replaces the files of a decided gate, Open reads until they are those that
// the status lists. If the refresh was killed meanwhile, the files are used as they are.
func TestOpenWhileRefreshing(t *testing.T) {
	for name, tt := range map[string]struct {
		written int // the read before which the refresh writes its status
		reads   int
	}{
		"a refresh":        {4, 5},
		"a killed refresh": {maxReads + 1, maxReads},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, Status{State: Ready, BootID: "b", Generation: 1, Files: digests(`{"n": 1}`)})
				put(t, filepath.Join(dir, MetaDataFile), `{"n": 2}`)
				reads, start := 0, time.Now()
				v, err := open(dir, "b", func() {
					if reads++; reads == tt.written {
						write(t, dir, Status{State: Ready, BootID: "b", Generation: 2, Files: digests(`{"n": 2}`)})
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if n, err := v.Lookup("n"); err != nil || fmt.Sprint(n) != "2" || reads != tt.reads || time.Since(start) > maxReads*replaceTime {
					t.Errorf("%v %v after %d reads in %v, want %d", n, err, reads, time.Since(start), tt.reads)
				}
			})
		})
	}
}

// Walk obeys the errors of visit.
func TestWalk(t *testing.T) {
	v := values(t, published(t, Status{}))
	stop := errors.New("stop")
	for _, tt := range []struct {
		name, key string
		at        string // the key for which visit returns err
		err       error
		want      string // the first keys and the last one
		wantErr   error
	}{
		{"no error", "placement", "", nil, "placement/availability-zone placement/availability-zone-id placement/region", nil},
		{"skipping a leaf skips nothing", "placement", "placement/availability-zone", fs.SkipDir, "placement/availability-zone placement/availability-zone-id placement/region", nil},
		{"skipping an object", "public-keys", "public-keys/0/", fs.SkipDir, "public-keys/0/", nil},
		{"the end", "placement", "placement/availability-zone-id", fs.SkipAll, "placement/availability-zone placement/availability-zone-id", nil},
		{"the end in the identity document", "", "identity/", fs.SkipAll, "identity/", nil},
		{"an error below", "iam", "iam/info/Code", stop, "iam/info/ iam/info/Code", stop},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var keys []string
			err := v.Walk(tt.key, func(key string) error {
				keys = append(keys, key)
				if key == tt.at {
					return tt.err
				}
				return nil
			})
			if got := strings.Join(keys, " "); !errors.Is(err, tt.wantErr) || got != tt.want {
				t.Errorf("%q %v, want %q %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
	// The identity document is skipped, and meta-data is not.
	n := 0
	err := v.Walk("", func(key string) error {
		if n++; strings.HasPrefix(key, "identity/") && key != "identity/" {
			t.Errorf("%s is visited", key)
		}
		return fs.SkipDir
	})
	if err != nil || n < 10 {
		t.Errorf("%d keys, %v", n, err)
	}
}
