// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSpec checks the version, the date and the bundled modules of the spec.
func TestSpec(t *testing.T) {
	want, err := exec.CommandContext(t.Context(), "rpm/spec").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, "rpm/imds-ready.spec"); got != string(want) {
		t.Error("the version, the date or a bundled module of the spec is not current: run packaging/rpm/spec --write")
	}
	if n := strings.Count(string(want), "\nProvides:       bundled(golang("); n < 6 {
		t.Errorf("only %d bundled modules", n)
	}
}

// TestModules compares debian/copyright and the build dependencies with go.mod. vendor/
// of the source packages contains every module of go.mod.
func TestModules(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Go      string
		Require []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	var required, described []string
	for _, m := range mod.Require {
		required = append(required, m.Path)
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:Files:|      ) vendor/(.*)/\*$`).FindAllStringSubmatch(read(t, "deb/debian/copyright"), -1) {
		described = append(described, m[1])
	}
	slices.Sort(required)
	slices.Sort(described)
	if len(required) < 6 || !slices.Equal(required, described) {
		t.Errorf("deb/debian/copyright describes the modules\n%s\nand go.mod has\n%s",
			strings.Join(described, "\n"), strings.Join(required, "\n"))
	}

	minor := regexp.MustCompile(`^\d+\.\d+`).FindString(mod.Go)
	for file, text := range map[string]string{
		"deb/debian/control":  "golang-go (>= 2:" + minor + "~)",
		"rpm/imds-ready.spec": "BuildRequires:  golang >= " + minor + "\n",
	} {
		if !strings.Contains(read(t, file), text) {
			t.Errorf("%s does not contain %q", file, text)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
