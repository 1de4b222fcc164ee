// SPDX-License-Identifier: Apache-2.0

package doc_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/config"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

const recipes = "doc/examples/recipes.md"

// recipe returns the section of the recipes with a heading.
func recipe(t *testing.T, heading string) string {
	t.Helper()
	_, section, ok := strings.Cut(read(t, recipes), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", recipes, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// TestRecipes loads every recipe and compares what it decides with its heading.
func TestRecipes(t *testing.T) {
	decide := func(c *config.Config, class policy.Class) policy.Action {
		return c.Readiness.Policy.Decide(policy.Failure{Class: class, Path: imds.IdentityPath, Required: true})
	}
	tests := map[string]func(c *config.Config) bool{
		"Give up after 90 seconds and boot": func(c *config.Config) bool {
			r := c.Readiness
			return r.Policy.Deadline == 90*time.Second && r.OnTimeout == readiness.Continue && r.OnDisabled == readiness.Continue
		},
		"Never give up": func(c *config.Config) bool {
			return c.Readiness.Policy.Deadline == 0 && c.Readiness.Policy.MaxAttempts == 0 &&
				decide(c, policy.Blocked) == policy.Retry && decide(c, policy.Disabled) == policy.Retry
		},
		"Wait for a role and a tag": func(c *config.Config) bool {
			r := c.Readiness.Require
			return len(r) == 3 && r[1].Path == "meta-data/iam/info" && len(r[2].Equals) == 2 && r[2].Deadline == 10*time.Minute
		},
		"Wait until Auto Scaling brings the instance into service": func(c *config.Config) bool {
			r := c.Readiness.Require
			return len(r) == 2 && r[1].Deadline == 0 && len(r[1].Equals) == 1 && r[1].Equals[0] == "InService"
		},
		"Behave like the AWS SDK": func(c *config.Config) bool {
			return c.Readiness.Policy.MaxAttempts == 4 && decide(c, policy.ConnectionRefused) == policy.Retry && decide(c, "404") == policy.Fail
		},
		"An IPv6-only subnet": func(c *config.Config) bool {
			return len(c.IMDS.Endpoints) == 1 && strings.Contains(c.IMDS.Endpoints[0], "[fd00:ec2::254]")
		},
		"Follow a tag within seconds": func(c *config.Config) bool {
			return slices.Equal(c.Watch.Paths, []string{"meta-data/spot/instance-action", "meta-data/tags/instance/Role"})
		},
		"Several interfaces with policy routing": func(c *config.Config) bool { return c.IMDS.Interface == "ens5" },
	}
	for heading, holds := range tests {
		text := strings.Join(blocksOf(recipe(t, heading), "toml"), "")
		c, err := load(t, text)
		if err != nil {
			t.Errorf("%s: %v", heading, err)
		} else if !holds(c) {
			t.Errorf("%s: the policy does something else:\n%s", heading, text)
		}
	}
	if got := len(blocksOf(read(t, recipes), "toml")); got != len(tests) {
		t.Errorf("%d recipes, %d are tested", got, len(tests))
	}
}

// TestRecipeOfAConsumer looks for the lines of the drop-in in hard.conf, which
// `make boot-test` boots.
func TestRecipeOfAConsumer(t *testing.T) {
	hard := read(t, "doc/examples/hard.conf")
	units := blocksOf(read(t, recipes), "ini")
	for line := range strings.Lines(strings.Join(units, "")) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(hard, "\n"+line) {
			t.Errorf("hard.conf does not contain %s", line)
		}
	}
	if all := fence.FindAllString(read(t, recipes), -1); len(units) != 1 || len(all) != len(units)+len(blocksOf(read(t, recipes), "toml")) {
		t.Errorf("%d blocks, of which %d are units", len(all), len(units))
	}
}

var watchedFile = regexp.MustCompile(`/run/imds/watch/(meta-data/[a-z/-]+)`)

// TestPathUnits checks that `imds-ready watch` writes the files of the path units by
// default, and that the path unit and its service name the same file.
func TestPathUnits(t *testing.T) {
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	for _, name := range []string{"drain.path", "lifecycle.path", "lifecycle.service"} {
		for _, m := range watchedFile.FindAllStringSubmatch(read(t, "doc/examples/"+name), -1) {
			files[name] = append(files[name], m[1])
			if !slices.Contains(c.Watch.Paths, m[1]) {
				t.Errorf("%s: %s is not watched by default", name, m[1])
			}
		}
	}
	if len(files) != 3 || !slices.Equal(files["lifecycle.path"], files["lifecycle.service"]) {
		t.Errorf("the examples name the files %v", files)
	}
}

func TestLinksOfExamples(t *testing.T) {
	for _, name := range []string{"doc/examples/README.md", recipes} {
		for _, m := range linkTo.FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(root, "doc", "examples", m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestPolicy runs the daemon with the policy of README.md. It waits for what the
// policy requires, fails at once where the rule says so, and lets the boot go on.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	example := file(t, "imds-ready.toml", blocks(t, "toml")[0])
	for _, tt := range []struct{ schedule, state, class string }{
		{"404@meta-data/tags/instance/Namex2,ok", snapshot.Ready, ""},
		{"404@meta-data/iam/info", snapshot.Degraded, "404"},
		{"403@put", snapshot.Degraded, "disabled"},
	} {
		w.url, w.dir = simulate(t, tt.schedule), filepath.Join(t.TempDir(), "imds")
		w.run(t, filepath.Join(w.bin, "imds-ready"), "run", "--config", example)
		data, err := os.ReadFile(filepath.Join(w.dir, snapshot.StatusFile))
		if err != nil {
			t.Fatal(err)
		}
		var status snapshot.Status
		if err := json.Unmarshal(data, &status); err != nil {
			t.Fatal(err)
		}
		class := ""
		if status.State != snapshot.Ready && status.LastError != nil {
			class = status.LastError.Class
		}
		if took := status.ReadyAt.Sub(*status.StartedAt); status.State != tt.state || class != tt.class || took > time.Minute {
			t.Errorf("%s: state %s after %v, class %q", tt.schedule, status.State, took, class)
		}
	}
}
