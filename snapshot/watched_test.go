// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// watching writes files and the status of a watch into a new directory.
func watching(t *testing.T, st WatchStatus, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	put := func(name, text string) {
		file := filepath.Join(dir, WatchDir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		put(name, text)
	}
	put(StatusFile, string(encode(t, st.Normal())))
	return dir
}

// answered is the state of a path that IMDS has answered for.
func answered(present bool) WatchedPath {
	return WatchedPath{LastAnswerAt: new(time.Now()), Present: present}
}

func TestReadWatch(t *testing.T) {
	good := WatchStatus{BootID: "b", PID: os.Getpid(), StartedAt: time.Now(), UpdatedAt: time.Now(), Paths: map[string]WatchedPath{"meta-data/x": answered(true)}}
	dir := watching(t, good, nil)
	for _, boot := range []string{"b", AnyBoot} {
		st, err := ReadWatch(dir, boot)
		if err != nil || st.PID != good.PID || !st.Paths["meta-data/x"].Present || !st.Alive(true) {
			t.Errorf("%+v, %v", st, err)
		}
	}
	for _, tt := range []struct {
		name, text, boot string
		want             error
	}{
		{"another boot", "", "c", ErrOtherBoot},
		{"an unknown boot", "", "", ErrOtherBoot},
		{"not JSON", "{", "b", ErrNotOurs},
		{"no schema", `{"boot_id": "b", "pid": 1}`, "b", ErrNotOurs},
		{"no boot ID", `{"schema": 1, "pid": 1}`, "b", ErrNotOurs},
		{"no process", `{"schema": 1, "boot_id": "b", "pid": 0}`, "b", ErrNotOurs},
		{"a later schema", `{"schema": 2, "boot_id": "b"}`, "b", ErrLaterSchema},
		{"too large", strings.Repeat(" ", MaxStatus+1), "b", ErrNotOurs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := watching(t, good, nil)
			if tt.text != "" {
				if err := os.WriteFile(filepath.Join(dir, WatchDir, StatusFile), []byte(tt.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if st, err := ReadWatch(dir, tt.boot); !errors.Is(err, tt.want) || st.BootID != "" {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
	if _, err := ReadWatch(t.TempDir(), AnyBoot); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestAlive(t *testing.T) {
	const gone = 1 << 30
	for _, tt := range []struct {
		pid      int
		age      time.Duration
		samePIDs bool
		want     bool
	}{
		{os.Getpid(), 0, true, true},
		{os.Getpid(), 80 * time.Second, true, true},
		{os.Getpid(), 100 * time.Second, true, false}, // as after SIGSTOP
		{os.Getpid(), -time.Hour, true, true},         // the clock was set back
		{gone, 0, true, false},
		{gone, 0, false, true},
		{gone, 100 * time.Second, false, false},
	} {
		st := WatchStatus{PID: tt.pid, UpdatedAt: time.Now().Add(-tt.age)}
		if got := st.Alive(tt.samePIDs); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestWatchedLookup(t *testing.T) {
	const spot, groups, iface = "meta-data/spot/instance-action", "meta-data/security-groups", "meta-data/tags/instance/Name"
	st := WatchStatus{BootID: "b", PID: 1, Paths: map[string]WatchedPath{
		spot: answered(true), groups: answered(true), iface: answered(true), "meta-data/empty": answered(true),
		"meta-data/events/recommendations/rebalance": answered(false), "meta-data/never": {}, "meta-data/kept": {Present: true},
		"meta-data/full":     {LastAnswerAt: new(time.Now()), Class: new("cannot-write")},
		"meta-data/iam/info": answered(true), "meta-data/binary": answered(true), "dynamic/instance-identity/document": answered(true),
	}}
	dir := watching(t, st, map[string]string{
		spot: `{"time": "t", "action": {"kind": "terminate", "n": 1.50}}`, groups: "a\nb\n", iface: "<web>\n", "meta-data/empty": "",
		"meta-data/kept": "old", "meta-data/iam/info": "{half", "meta-data/binary": "a\xff", "dynamic/instance-identity/document": `{"region": "r"}`,
	})
	for key, want := range map[string]string{
		"spot/instance-action":               "{\n  \"action\": {\n    \"kind\": \"terminate\",\n    \"n\": 1.50\n  },\n  \"time\": \"t\"\n}",
		"meta-data/spot/instance-action":     "{\n  \"action\": {\n    \"kind\": \"terminate\",\n    \"n\": 1.50\n  },\n  \"time\": \"t\"\n}",
		"spot/instance-action/action":        "{\n  \"kind\": \"terminate\",\n  \"n\": 1.50\n}",
		"spot/instance-action/action/kind":   `"terminate"`,
		"security-groups":                    "[\n  \"a\",\n  \"b\"\n]",
		"security-groups/1":                  `"b"`,
		"tags/instance/Name":                 `"<web>"`,
		"empty":                              `""`,
		"kept":                               `"old"`,
		"identity/region":                    `"r"`,
		"dynamic/instance-identity/document": "{\n  \"region\": \"r\"\n}",
	} {
		if got, err := st.LookupJSON(dir, key); string(got) != want || err != nil || !json.Valid(got) {
			t.Errorf("%s: %s, %v", key, got, err)
		}
	}
	for _, tt := range []struct {
		key, want string
	}{
		{"events/recommendations/rebalance", "watched"},
		{"events/recommendations/rebalance/x", "watched"},
		{"spot/instance-action/none", "watched"},
		{"tags/instance/Name/x", "watched"},
		{"spot", "not watched"},
		{"placement/region", "not watched"},
		{"never", "not watched"},
		{"iam/info", "bad-response"},
		{"binary", "not-utf8"},
		{"full", "cannot-write"},
	} {
		_, err := st.LookupJSON(dir, tt.key)
		got := "not watched"
		if e, ok := errors.AsType[*KeyError](err); ok {
			if got = e.Class; e.Watched {
				got = "watched"
			}
		} else if !errors.Is(err, ErrNotWatched) {
			got = fmt.Sprint(err)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.key, got, tt.want)
		}
	}
	if _, err := st.LookupJSON(dir, "a//b"); !errors.Is(err, ErrBadKey) {
		t.Errorf("%v", err)
	}
}

// A document may be nested as deeply as in meta-data.json, and no deeper.
func TestWatchedNesting(t *testing.T) {
	const name = "meta-data/spot/instance-action"
	st := WatchStatus{BootID: "b", PID: 1, Paths: map[string]WatchedPath{name: answered(true)}}
	for levels, class := range map[int]string{paths.MaxNesting: "", paths.MaxNesting + 1: "bad-response"} {
		dir := watching(t, st, map[string]string{name: strings.Repeat("[", levels) + strings.Repeat("]", levels)})
		_, err := st.LookupJSON(dir, name)
		if e, ok := errors.AsType[*KeyError](err); (err != nil) != (class != "") || ok && e.Class != class {
			t.Errorf("%d levels: %v, want class %q", levels, err, class)
		}
	}
}

// A link in place of a file is not followed.
func TestWatchedLink(t *testing.T) {
	st := WatchStatus{BootID: "b", PID: 1, Paths: map[string]WatchedPath{"meta-data/x": answered(true)}}
	dir := watching(t, st, map[string]string{"meta-data/y": "secret"})
	if err := os.Symlink("y", filepath.Join(dir, WatchDir, "meta-data/x")); err != nil {
		t.Fatal(err)
	}
	if got, err := st.LookupJSON(dir, "x"); err == nil {
		t.Errorf("%s", got)
	}
}

// Walk visits each key that can be looked up once: in the files of the watched paths, or
// else in those of the gate.
func TestWatchedWalk(t *testing.T) {
	st := WatchStatus{BootID: "b", PID: 1, Paths: map[string]WatchedPath{
		"meta-data/spot/instance-action": answered(true), "meta-data/spot/instance-action/action": answered(true),
		"meta-data/events/recommendations/rebalance": answered(false), "meta-data/placement/region": {},
		"meta-data/tags/instance/Name": answered(true), "meta-data/iam/info": answered(true), "user-data": answered(true),
		"dynamic/instance-identity/document": answered(true),
	}}
	dir := watching(t, st, map[string]string{
		"meta-data/spot/instance-action": `{"action": "stop", "at": {"t": 1}}`, "meta-data/tags/instance/Name": "web", "meta-data/iam/info": "{half",
		"dynamic/instance-identity/document": `{"region": "r"}`,
	})
	write(t, dir, Status{State: Ready, BootID: "b", Generation: 1})
	for name, text := range map[string]string{
		IdentityFile: `{"old": "x"}`,
		MetaDataFile: `{"a": "1", "events": {"recommendations": {"rebalance": {"old": 1}}}, "iam": {"info": {"Code": "old"}}, "placement": {"region": "r"},
			"spot": {"instance-action": {"old": 1}, "instance-action-x": "y"}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v, err := Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	all := []string{
		"identity/", "identity/region", "a", "events/", "events/recommendations/", "iam/", "placement/", "placement/region",
		"spot/", "spot/instance-action/", "spot/instance-action/action", "spot/instance-action/at/", "spot/instance-action/at/t",
		"spot/instance-action-x", "tags/instance/Name",
	}
	list := func(key string) (keys []string, err error) {
		err = st.Walk(dir, v, key, func(key string) error {
			keys = append(keys, key)
			return nil
		})
		return keys, err
	}
	for key, want := range map[string][]string{
		"": all, "identity": all[1:2], "spot": all[9:14], "spot/instance-action/": all[10:13], "spot/instance-action/at": all[12:13],
		"tags": all[14:], "tags/instance": all[14:], "tags/instance/Name": all[14:], "placement": all[7:8], "meta-data": all[2:], "events": all[4:5],
	} {
		if keys, err := list(key); !slices.Equal(keys, want) || err != nil {
			t.Errorf("%q: %q, %v, want %q", key, keys, err, want)
		}
	}
	for key, want := range map[string]KeyError{
		"none": {}, "tags/none": {}, "tag": {}, "events/recommendations/rebalance": {Watched: true}, "iam/info/Code": {Class: "bad-response", Path: "meta-data/iam/info"},
	} {
		want.Key = key
		keys, err := list(key)
		if e, ok := errors.AsType[*KeyError](err); !ok || *e != want || keys != nil {
			t.Errorf("%q: %q, %v, want %+v", key, keys, err, want)
		}
	}
	for _, key := range all { // the directories above a path that only watch has are not among them
		if _, err := st.LookupJSON(dir, key); errors.Is(err, ErrNotWatched) {
			if _, err := v.LookupJSON(key); err != nil {
				t.Error(err)
			}
		} else if err != nil {
			t.Error(err)
		}
	}
	for i, last := range all {
		for stop, want := range map[error]error{fs.SkipAll: nil, io.EOF: io.EOF} {
			var keys []string
			err := st.Walk(dir, v, "", func(key string) error {
				if keys = append(keys, key); key == last {
					return stop
				}
				return nil
			})
			if !slices.Equal(keys, all[:i+1]) || !errors.Is(err, want) {
				t.Errorf("%v at %s: %q, %v", stop, last, keys, err)
			}
		}
		var keys []string
		err := st.Walk(dir, v, "", func(key string) error {
			if keys = append(keys, key); key == last {
				return fs.SkipDir
			}
			return nil
		})
		want := slices.DeleteFunc(slices.Clone(all), func(key string) bool {
			return strings.HasSuffix(last, "/") && key != last && strings.HasPrefix(key, last)
		})
		if !slices.Equal(keys, want) || err != nil {
			t.Errorf("skipping %s: %q, %v, want %q", last, keys, err, want)
		}
	}
}
