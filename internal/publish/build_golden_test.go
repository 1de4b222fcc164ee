// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
)

// The files of a realistic instance are compared byte by byte. After an intended change, run
// UPDATE_GOLDEN=1 go test ./internal/publish -run Golden, and review the difference.
func TestGolden(t *testing.T) {
	out, problems := files(t, instance(t))
	if len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
	for name, f := range out {
		path := filepath.Join("testdata", "golden", name)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			put(t, path, string(f.Data))
		}
		if want := get(t, path); want != string(f.Data) {
			t.Errorf("%s is\n%s\nwant\n%s", name, f.Data, want)
		}
		if bytes.Contains(f.Data, []byte("NEVER-IN-A-FILE")) {
			t.Errorf("%s contains credentials", name)
		}
	}
	list := entries(t, filepath.Join("testdata", "golden"))
	if want := strings.Join([]string{
		snapshot.IdentityFile, snapshot.EnvFile, snapshot.MetaDataFile, snapshot.NetworkFile, snapshot.SignaturesFile, snapshot.TagsFile, snapshot.UserDataFile,
	}, " "); list != want {
		t.Errorf("golden files: %s, want %s", list, want)
	}
}
