// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const minimal = `{"schema": 1, "state": "ready", "boot_id": "b"`

func TestReadStatus(t *testing.T) {
	tests := []struct {
		name, text string
		want       error // nil if the file is valid
		wantText   string
	}{
		{"minimal", minimal + "}", nil, ""},
		{"unknown keys", minimal + `, "new": {"a": [1]}}`, nil, ""},
		{"empty", "", ErrNotOurs, "unexpected end"},
		{"truncated", minimal, ErrNotOurs, "unexpected end"},
		{"trailing garbage", minimal + "} x", ErrNotOurs, "after top-level value"},
		{"array", "[]", ErrNotOurs, "cannot unmarshal array"},
		{"null", "null", ErrNotOurs, "schema is missing or less than 1"},
		{"no schema", `{"state": "ready", "boot_id": "b"}`, ErrNotOurs, "schema is missing or less than 1"},
		{"schema a string", `{"schema": "1", "state": "ready", "boot_id": "b"}`, ErrNotOurs, "schema"},
		{"schema a fraction", `{"schema": 1.5, "state": "ready", "boot_id": "b"}`, ErrNotOurs, "schema"},
		{"schema 0", `{"schema": 0, "state": "ready", "boot_id": "b"}`, ErrNotOurs, "schema is missing or less than 1"},
		{"schema 2", `{"schema": 2, "state": ["new"], "boot_id": 7}`, ErrLaterSchema, "its schema is 2, but this program supports only 1"},
		{"no state", `{"schema": 1, "boot_id": "b"}`, ErrNotOurs, "unknown state"},
		{"unknown state", `{"schema": 1, "state": "READY", "boot_id": "b"}`, ErrNotOurs, `unknown state "READY"`},
		{"no boot", `{"schema": 1, "state": "ready"}`, ErrNotOurs, "boot_id is missing"},
		{"a wrong type", minimal + `, "attempts": "5"}`, ErrNotOurs, "attempts"},
		{"a wrong time", minimal + `, "ready_at": "yesterday"}`, ErrNotOurs, "yesterday"},
		{"a wrong duration", minimal + `, "elapsed_seconds": "5s"}`, ErrNotOurs, "seconds"},
		{"HTML", "<!DOCTYPE html>", ErrNotOurs, "invalid character"},
		{"huge", strings.Repeat(" ", MaxStatus+1), ErrNotOurs, "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, StatusFile)
			put(t, path, tt.text)
			st, err := ReadStatus(dir)
			if tt.want == nil {
				if err != nil || st.State != Ready || st.BootID != "b" || st.Errors == nil || st.Required == nil {
					t.Errorf("%+v %v", st, err)
				}
				return
			}
			if !errors.Is(err, tt.want) || st.State != "" {
				t.Fatalf("%+v %v, want %v", st, err, tt.want)
			}
			if text := err.Error(); !strings.HasPrefix(text, "reading "+path+": ") || !strings.Contains(text, tt.wantText) ||
				strings.Contains(text, "\n") {
				t.Errorf("error %q, want %q in it", text, tt.wantText)
			}
			if other := map[error]error{ErrNotOurs: ErrLaterSchema, ErrLaterSchema: ErrNotOurs}[tt.want]; errors.Is(err, other) {
				t.Errorf("error %q is also %q", err, other)
			}
		})
	}
}

func TestReadStatusMissing(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing")} {
		if _, err := ReadStatus(path); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Anything but a regular file in the place of status.json is rejected, without
// following a link and without blocking on a FIFO.
func TestReadStatusOfNoFile(t *testing.T) {
	good := filepath.Join(t.TempDir(), "good")
	put(t, good, minimal+"}")
	for name, plant := range map[string]func(path string) error{
		"link":      func(p string) error { return os.Symlink(good, p) },
		"directory": func(p string) error { return os.Mkdir(p, 0o755) },
		"FIFO":      func(p string) error { return unix.Mkfifo(p, 0o644) },
		"socket":    func(p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o644, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := plant(filepath.Join(dir, StatusFile)); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadStatus(dir); !errors.Is(err, ErrNotOurs) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
		})
	}
}

func FuzzParseStatus(f *testing.F) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	f.Add(encode(f, Status{
		BootID: "b", DeadlineAt: &at, Elapsed: Seconds(2300 * time.Millisecond), Endpoint: new("http://127.0.0.1:1338"),
		Errors: map[string]int{"503": 1}, ExitCode: new(0), Files: map[string]*string{"user-data": nil},
		LastError: &LastError{At: at, Class: "503"}, Missing: map[string]string{"x": "404"}, PID: new(4711),
		Required: map[string]Requirement{"x": {Class: new("404")}}, State: Ready, UpdatedAt: &at,
	}.Normal()))
	for _, text := range []string{
		"", "{}", "null", minimal + "}", `{"schema": 2}`, `{"schema": 1e0}`, minimal + `, "elapsed_seconds": 1e18}`,
		minimal + `, "files": {"a": null, "b": "c"}, "last_error": {}, "required": {"x": null}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := ParseStatus(data)
		if err != nil {
			if !errors.Is(err, ErrNotOurs) && !errors.Is(err, ErrLaterSchema) {
				t.Errorf("the error is neither ErrNotOurs nor ErrLaterSchema: %v", err)
			}
			return
		}
		// Writing the status and reading it again does not change it.
		text := encode(t, st.Normal())
		again, err := ParseStatus(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if second := encode(t, again); string(second) != string(text) {
			t.Errorf("%s\nbecomes\n%s", text, second)
		}
	})
}

func TestReadNetwork(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadNetwork(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want %v", err, fs.ErrNotExist)
	}
	file := filepath.Join(dir, NetworkFile)
	for content, want := range map[string]error{"{\"interfaces\": []}\n": nil, "": ErrNotOurs, "{": ErrNotOurs, "{}{}": ErrNotOurs, "[]": ErrNotOurs} {
		put(t, file, content)
		if got, err := ReadNetwork(dir); !errors.Is(err, want) || err == nil && string(got)+"\n" != content {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), file); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadNetwork(dir); !errors.Is(err, ErrNotOurs) {
		t.Errorf("a link: %v, want %v", err, ErrNotOurs)
	}
}
