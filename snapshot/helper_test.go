// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden is the directory with the files of a realistic instance. The tests of
// package publish check that the package writes exactly these files.
const golden = "../internal/publish/testdata/golden"

// published returns a directory with the files of the realistic instance and the
// status st, whose state is ready by default. It copies the golden files because
// importing package publish would create an import cycle.
func published(t testing.TB, st Status) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "imds")
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	st.BootID = "b"
	if st.State == "" {
		st.State, st.Generation = Ready, 1
	}
	write(t, dir, st)
	return dir
}

// write replaces status.json in dir, as the daemon does.
func write(t testing.TB, dir string, st Status) {
	t.Helper()
	temporary := filepath.Join(dir, ".status.json.tmp")
	if err := errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(temporary, encode(t, st.Normal()), 0o644),
		os.Rename(temporary, filepath.Join(dir, StatusFile)),
	); err != nil {
		t.Fatal(err)
	}
}

// encode returns v as the daemon writes it.
func encode(t testing.TB, v any) []byte {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

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
