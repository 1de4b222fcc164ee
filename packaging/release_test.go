// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// workflows returns the text of each file in .github/workflows by its name.
func workflows(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("workflows %q, %v", files, err)
	}
	all := map[string]string{}
	for _, file := range files {
		all[filepath.Base(file)] = read(t, file)
	}
	return all
}

var (
	uses   = regexp.MustCompile(`uses: (.*)`)
	pinned = regexp.MustCompile(`^[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	step   = regexp.MustCompile(`(?m)^\tstep (.*)$`)
	golang = regexp.MustCompile(`GOTOOLCHAIN[:=] *(go[\d.]+)`)
)

// TestActionsArePinned requires the hash of a commit, because a tag can be moved. Each
// action has one version in all workflows.
func TestActionsArePinned(t *testing.T) {
	versions := map[string]string{}
	for name, text := range workflows(t) {
		for _, m := range uses.FindAllStringSubmatch(text, -1) {
			action, version, _ := strings.Cut(m[1], "@")
			repository := path.Join(strings.Split(action, "/")[:2]...)
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: %s must be pinned by the hash of a commit, with the version as a comment", name, m[1])
			}
			if known, ok := versions[repository]; ok && known != version {
				t.Errorf("%s: %s is %s, and elsewhere %s", name, repository, version, known)
			}
			versions[repository] = version
		}
	}
}

// TestWorkflowsRunCI looks for each step of .ci/run in ci.yml.
func TestWorkflowsRunCI(t *testing.T) {
	ci := workflows(t)["ci.yml"]
	_, matrix, _ := strings.Cut(ci, "target: [")
	matrix, _, _ = strings.Cut(matrix, "]")
	targets := strings.Split(matrix, ", ")
	steps := step.FindAllStringSubmatch(read(t, "../.ci/run"), -1)
	for _, m := range steps {
		if !slices.Contains(targets, m[1]) && !strings.Contains(ci, "run: make "+m[1]+"\n") {
			t.Errorf("ci.yml does not run make %s", m[1])
		}
	}
	if len(steps) < 12 {
		t.Errorf("only %d steps found in .ci/run", len(steps))
	}
}

// TestReleaseFiles holds the workflow to the target that everybody can run, and to the
// compiler of that target, without which the files are not the same.
func TestReleaseFiles(t *testing.T) {
	all := workflows(t)
	if !strings.Contains(all["release.yml"], "- run: make release-files\n") {
		t.Error("release.yml does not run make release-files")
	}
	want := golang.FindStringSubmatch(read(t, "release"))
	if want == nil {
		t.Fatal("packaging/release does not set GOTOOLCHAIN")
	}
	for name, text := range all {
		if got := golang.FindStringSubmatch(text); got == nil || got[1] != want[1] {
			t.Errorf("%s: GOTOOLCHAIN is %q, want %s as in packaging/release", name, got, want[1])
		}
	}
}

// TestDependabotKnowsEveryModule looks for the directory of each go.mod.
func TestDependabotKnowsEveryModule(t *testing.T) {
	text := read(t, "../.github/dependabot.yml")
	_, list, _ := strings.Cut(text, "directories: [")
	list, _, _ = strings.Cut(list, "]")
	var want []string
	for _, pattern := range []string{"go.mod", "*/go.mod", "*/*/go.mod"} {
		found, err := filepath.Glob("../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			want = append(want, strings.TrimPrefix(filepath.Dir(file), ".."))
		}
	}
	want[0] = "/"
	slices.Sort(want)
	if got := strings.Split(list, ", "); !slices.Equal(got, want) {
		t.Errorf("dependabot.yml has the modules %q, want %q", got, want)
	}
}
