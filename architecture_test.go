// SPDX-License-Identifier: Apache-2.0

// Package architecture checks the rules of ARCHITECTURE.md that a compiler does
// not check: which package may import which.
package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/imds-ready/imds-ready"

// allowed is the map: what each package may import of this module, and why not
// more.
var allowed = map[string]struct {
	imports []string
	why     string
}{
	"cmd/imds-ready": {
		[]string{"imds", "internal/config", "internal/hints", "internal/netevents", "internal/refresh", "internal/watch", "internal/words", "policy", "readiness", "snapshot"},
		"the command only wires and prints",
	},
	"cmd/imds-sim":    {[]string{"imds/imdstest"}, "the simulator is independent of the daemon that it tests"},
	"internal/config": {[]string{"imds", "internal/paths", "internal/words", "policy", "readiness"}, "it makes values for these and knows no files of /run/imds"},
	"readiness": {
		[]string{
			"imds", "internal/collect", "internal/gather", "internal/hints", "internal/metrics", "internal/paths", "internal/publish",
			"internal/words", "policy", "retry", "snapshot",
		},
		"the daemon does not know where its configuration comes from",
	},
	"internal/refresh": {
		[]string{
			"imds", "internal/collect", "internal/gather", "internal/hints", "internal/metrics", "internal/publish",
			"internal/words", "policy", "readiness", "retry", "snapshot",
		},
		"like the daemon, it does not know where its configuration comes from",
	},
	"internal/gather":  {[]string{"imds", "internal/collect", "internal/paths", "internal/publish", "internal/words", "policy", "retry"}, "the gate and a refresh share it, so it knows neither"},
	"internal/hints":   {[]string{"internal/paths", "policy", "retry"}, "the gate and a refresh share it, so it knows neither"},
	"internal/metrics": {[]string{"internal/atomicfile", "snapshot"}, "it writes gauges and makes no requests"},
	"internal/watch": {
		[]string{"imds", "internal/atomicfile", "internal/hints", "internal/metrics", "internal/paths", "internal/words", "policy", "retry", "snapshot"},
		"it runs after the boot and knows nothing of the gate",
	},
	"internal/collect":    {[]string{"imds", "internal/paths", "internal/words", "policy", "retry"}, "it collects paths and knows no files"},
	"internal/publish":    {[]string{"internal/atomicfile", "internal/paths", "internal/words", "snapshot"}, "it writes files and makes no requests"},
	"retry":               {[]string{"imds", "internal/paths", "internal/words", "policy"}, "Go programs import it: it brings nothing of the daemon along"},
	"imds":                {[]string{"internal/paths"}, "the protocol has no opinion: no policy, no files"},
	"imds/imdstest":       {nil, "the simulator checks the client, so it must not share the client's mistakes"},
	"policy":              {nil, "the policy is pure: values in, values out"},
	"snapshot":            {[]string{"internal/atomicfile", "internal/paths", "internal/words"}, "Go programs import it: it brings nothing of the daemon along"},
	"internal/atomicfile": {nil, "it knows the file system and nothing else"},
	"internal/netevents":  {nil, "it knows the kernel and nothing else"},
	"internal/paths":      {nil, "it is at the bottom"},
	"internal/words":      {nil, "it is at the bottom"},

	"packaging":             {nil, "its tests compare the packages with go.mod and CHANGELOG.md"},
	"packaging/sbom":        {nil, "it knows packages and nothing of the program"},
	"test/boot/probe":       {nil, "it stands for a program that is not ours"},
	"test/torture":          {[]string{"imds/imdstest", "snapshot"}, "it runs the programs as a user does, and reads the files as a Go program does"},
	"doc":                   {nil, "its tests run the examples of README.md"},
	"doc/man":               {nil, "its tests compare the manual with the code"},
	"doc/schema":            {nil, "schemas are data"},
	"doc/schema/schematest": {[]string{"doc/schema"}, "a test helper"},
}

// forbidden lists what some packages must not even import indirectly.
var forbidden = map[string]struct {
	packages []string
	why      string
}{
	"snapshot": {[]string{"net/http", "net"}, "programs that only read files must not grow by an HTTP client"},
	"policy":   {[]string{"net", "log/slog"}, "the policy is pure"},
	"cmd/imds-ready": {
		[]string{"net/http", "crypto/tls"},
		"a program at boot must not load and initialize TLS and HTTP/2 to speak plain HTTP/1.1 with one service",
	},
}

// onlyIn lists the modules that exactly one package may import, so that each
// can be replaced in one place.
var onlyIn = map[string][]string{
	"github.com/BurntSushi/toml":    {"internal/config"},
	"github.com/coreos/go-systemd/": {"cmd/imds-ready"},
	"github.com/spf13/cobra":        {"cmd/imds-ready", "cmd/imds-sim"},
	"golang.org/x/sys/":             {"snapshot", "internal/atomicfile", "internal/publish", "imds", "imds/imdstest", "internal/netevents", "cmd/imds-ready", "test/boot/probe", "test/torture"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if name == "" { // this package
			continue
		}
		rule, ok := allowed[name]
		if !ok {
			t.Errorf("%s is not on the map: add it to ARCHITECTURE.md and to this test", name)
		}
		seen++
		for _, f := range forbidden[name].packages {
			if slices.Contains(p.Deps, f) {
				t.Errorf("%s depends on %s: %s", name, f, forbidden[name].why)
			}
		}
		for _, i := range p.Imports {
			if local, ok := strings.CutPrefix(i, module+"/"); ok && !slices.Contains(rule.imports, local) {
				t.Errorf("%s imports %s, which it may not: %s", name, local, rule.why)
			}
			for prefix, packages := range onlyIn {
				if strings.HasPrefix(i, prefix) && !slices.Contains(packages, name) {
					t.Errorf("%s imports %s, which belongs to %v", name, i, packages)
				}
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d packages were looked at", seen)
	}
}

// TestFilesNameTheirLicense looks at every Go file of every module here. Source packages
// contain the modules of others in vendor/.
func TestFilesNameTheirLicense(t *testing.T) {
	looked := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && path == "vendor" {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		looked++
		data, err := os.ReadFile(path)
		if !strings.HasPrefix(string(data), "// SPDX-License-Identifier: Apache-2.0\n") {
			t.Errorf("%s does not begin with its license", path)
		}
		return err
	})
	if err != nil || looked < 40 {
		t.Errorf("looked at %d files: %v", looked, err)
	}
}

// TestSecurityNamesTests looks for each test and each fact of the boot test that
// SECURITY.md names.
func TestSecurityNamesTests(t *testing.T) {
	page, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests, facts strings.Builder
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		into := &facts
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasSuffix(path, "_test.go"):
			into = &tests
		case !strings.HasPrefix(path, "test/boot/"):
			return nil
		}
		data, err := os.ReadFile(path)
		into.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`|\"([^\"]+)\"").FindAllStringSubmatch(string(page), -1)
	if len(named) < 30 {
		t.Errorf("only %d names found", len(named))
	}
	for _, m := range named {
		if m[1] != "" && !strings.Contains(tests.String(), "func "+m[1]+"(") || !strings.Contains(facts.String(), m[2]) {
			t.Errorf("SECURITY.md names %s, which is not a test here", m[0])
		}
	}
}
