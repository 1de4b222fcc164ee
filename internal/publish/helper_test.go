// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/snapshot"
)

func TestMain(m *testing.M) {
	if os.Getenv(fullEnv) != "" {
		os.Exit(fullWriter(os.Getenv(fullEnv)))
	}
	if os.Getenv(limitedEnv) != "" {
		os.Exit(limitedWriter(os.Getenv(limitedEnv)))
	}
	goleak.VerifyTestMain(m)
}

// instance returns the answers of a realistic instance.
func instance(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "instance.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bodies map[string]string
	if err := json.Unmarshal(text, &bodies); err != nil {
		t.Fatal(err)
	}
	return leaves(bodies)
}

// build builds a first collection, without missing paths.
func build(leaves map[string][]byte) (Snapshot, []Problem) { return Build(Collection{Leaves: leaves}) }

func leaves(bodies map[string]string) map[string][]byte {
	m := make(map[string][]byte, len(bodies))
	for path, body := range bodies {
		m[path] = []byte(body)
	}
	return m
}

// metaData returns the bodies as leaves below meta-data/.
func metaData(bodies map[string]string) map[string][]byte {
	m := map[string][]byte{}
	for path, body := range bodies {
		m["meta-data/"+path] = []byte(body)
	}
	return m
}

// files builds the files, validates every *.json against its schema, and returns all files.
func files(t testing.TB, in map[string][]byte) (map[string]File, []Problem) {
	t.Helper()
	snap, problems := build(in)
	out := map[string]File{}
	for name, f := range snap.Files(snapshot.Ready) {
		out[name] = f
		if strings.HasSuffix(name, ".json") {
			schematest.Check(t, name, f.Data)
		}
	}
	return out, problems
}

// compact returns the JSON of a file without indentation, or "" if the file is missing.
func compact(t testing.TB, f File) string {
	t.Helper()
	if f.Data == nil {
		return ""
	}
	var v any
	if err := json.Unmarshal(f.Data, &v); err != nil {
		t.Fatalf("%v\n%s", err, f.Data)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// problemText returns the problems as one line, or "" if the list is empty.
func problemText(problems []Problem) string {
	var texts []string
	for _, p := range problems {
		texts = append(texts, p.Path+" "+p.Class)
	}
	return strings.Join(texts, ", ")
}

// open opens a new directory, which is closed at the end of the test.
func open(t testing.TB) *Dir {
	t.Helper()
	d, err := OpenDir(filepath.Join(t.TempDir(), "imds"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// entries returns the names in a directory, including dotfiles but not the lock file.
func entries(t testing.TB, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		if e.Name() != lockFile {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " ")
}

// put writes a file without package publish.
func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// occupy replaces a file, which need not exist, by a directory that os.Remove cannot remove.
func occupy(t *testing.T, d *Dir, name string) {
	t.Helper()
	path := filepath.Join(d.path, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
}
