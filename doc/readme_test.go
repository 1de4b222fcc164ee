// SPDX-License-Identifier: Apache-2.0

package doc_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// root is the folder of the repository.
const root = ".."

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// blocks returns the fenced blocks of README.md in a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	found := blocksOf(read(t, "README.md"), language)
	if len(found) == 0 {
		t.Fatalf("README.md has no block of %s", language)
	}
	return found
}

// blocksOf returns the fenced blocks of a text in a language.
func blocksOf(text, language string) (found []string) {
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	return found
}

func TestEveryLanguageIsTested(t *testing.T) {
	tested := []string{"sh", "python", "go", "yaml", "toml", "ini"}
	for _, m := range fence.FindAllStringSubmatch(read(t, "README.md"), -1) {
		if !slices.Contains(tested, m[1]) {
			t.Errorf("no test runs a block of %s:\n%s", m[1], m[2])
		}
	}
}

// load loads text as the configuration file imds-ready.toml.
func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "imds-ready.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Options{File: file, Getenv: func(string) string { return "" }})
}

func TestConfigurations(t *testing.T) {
	for _, text := range blocks(t, "toml") {
		c, err := load(t, text)
		if err != nil {
			t.Errorf("%v in\n%s", err, text)
			continue
		}
		if !slices.ContainsFunc(c.Settings, func(s config.Setting) bool { return s.Source.Line > 0 }) {
			t.Errorf("no key is set by\n%s", text)
		}
	}
}

// TestMistake makes the mistake whose message README.md and the manual show.
func TestMistake(t *testing.T) {
	_, err := load(t, "[retry]\ndeadline = 5\n")
	if err == nil {
		t.Fatal("the configuration is valid")
	}
	_, message, _ := strings.Cut(err.Error(), "imds-ready.toml:")
	message = "imds-ready.toml:" + message
	for _, name := range []string{"README.md", "doc/man/imds-ready.toml.5"} {
		text := strings.Join(strings.Fields(read(t, name)), " ")
		if !strings.Contains(text, message) {
			t.Errorf("%s does not show %s", name, message)
		}
	}
}

// TestDropIn looks for each line of the drop-in in the examples, which
// `make boot-test` boots.
func TestDropIn(t *testing.T) {
	examples := read(t, "doc/examples/hard.conf") + read(t, "doc/examples/vendor.conf")
	for _, text := range blocks(t, "ini") {
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") && !strings.Contains(examples, "\n"+line) {
				t.Errorf("the examples do not contain %s", line)
			}
		}
	}
	soft := "EnvironmentFile=-/run/imds/imds.env"
	if !strings.Contains(read(t, "README.md"), soft) || !strings.Contains(read(t, "doc/examples/soft.conf"), soft) {
		t.Errorf("README.md or soft.conf does not contain %s", soft)
	}
}

var (
	fileRow  = regexp.MustCompile("(?m)^\\| (`[a-z].*?) \\|")
	quoted   = regexp.MustCompile("`([^`]+)`")
	codeRow  = regexp.MustCompile(`(?m)^\| (\d+) \|`)
	runFile  = regexp.MustCompile(`/run/imds/([a-z-]+(?:\.[a-z]+)?)`)
	linkTo   = regexp.MustCompile(`\]\(([^)#]+)\)`)
	makeGoal = regexp.MustCompile("(?m)(?:^    |`|or: )make ([a-z-]+)")
)

func TestTables(t *testing.T) {
	text := read(t, "README.md")
	var files []string
	for _, row := range fileRow.FindAllStringSubmatch(text, -1) {
		for _, m := range quoted.FindAllStringSubmatch(row[1], -1) {
			if !strings.HasPrefix(m[1], "make ") { // of the table of what was booted
				files = append(files, m[1])
			}
		}
	}
	known := []string{
		snapshot.StatusFile, snapshot.IdentityFile, snapshot.MetaDataFile, snapshot.NetworkFile, snapshot.TagsFile,
		snapshot.EnvFile, snapshot.UserDataFile, snapshot.SignaturesFile, snapshot.WatchDir + "/",
	}
	if !slices.Equal(files, known) {
		t.Errorf("files %q, want %q", files, known)
	}
	for _, m := range runFile.FindAllStringSubmatch(text, -1) {
		if m[1] != snapshot.WatchDir && !slices.Contains(known, m[1]) {
			t.Errorf("imds-ready does not write %s", m[0])
		}
	}
	const exitUsage = 64
	want := []int{
		int(readiness.ExitOK), int(readiness.ExitFailure), exitUsage, int(readiness.ExitUnavailable), int(readiness.ExitTempFail),
		int(readiness.ExitProtocol), int(readiness.ExitNoPerm), int(readiness.ExitConfig),
	}
	var codes []int
	for _, m := range codeRow.FindAllStringSubmatch(text, -1) {
		code, _ := strconv.Atoi(m[1]) // the expression matches digits only
		codes = append(codes, code)
	}
	if !slices.Equal(codes, want) {
		t.Errorf("exit codes %v, want %v", codes, want)
	}
}

func TestLinksAndTargets(t *testing.T) {
	links, goals := 0, 0
	for _, m := range linkTo.FindAllStringSubmatch(fence.ReplaceAllString(read(t, "README.md"), ""), -1) {
		links++
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Error(err)
		}
	}
	for _, m := range makeGoal.FindAllStringSubmatch(read(t, "README.md"), -1) {
		goals++
		if !strings.Contains(read(t, "Makefile"), "\n"+m[1]+":") {
			t.Errorf("the Makefile has no target %s", m[1])
		}
	}
	if links < 7 || goals < 5 {
		t.Errorf("only %d links and %d targets found", links, goals)
	}
}
