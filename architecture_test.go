// SPDX-License-Identifier: Apache-2.0

// Package architecture holds the rules of ARCHITECTURE.md that a compiler does
// not: which package may import which, and how large a file may grow.
package architecture

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/imds-ready/imds-ready"

// allowed is the map: each package, what it may import of this module, and why
// not more.
var allowed = map[string]struct {
	imports []string
	why     string
}{
	"cmd/imds-ready": {
		[]string{"internal/config", "internal/netevents", "readiness", "policy", "snapshot"},
		"the command only wires; the protocol is reached through readiness",
	},
	"cmd/imds-sim":       {[]string{"imds/imdstest"}, "the simulator is independent of the daemon that it tests"},
	"internal/config":    {[]string{"policy", "imds", "readiness"}, "configuration makes values for these and knows no files of /run/imds"},
	"internal/netevents": {nil, "it knows the kernel and nothing else"},
	"readiness":          {[]string{"imds", "policy", "snapshot"}, "the daemon does not know where its configuration comes from"},
	"imds":               {nil, "the protocol has no opinion: no policy, no files"},
	"imds/imdstest":      {nil, "the simulator is the oracle: it may not share the client's mistakes"},
	"policy":             {nil, "the policy is pure: values in, values out"},
	"snapshot":           {nil, "consumers import it: it brings nothing of the daemon along"},

	"doc":                   {nil, "its tests run the examples of README.md"},
	"doc/man":               {nil, "its tests compare the manual with the code"},
	"doc/schema":            {nil, "schemas are data"},
	"doc/schema/schematest": {[]string{"doc/schema"}, "a test helper"},
}

// onlyIn lists the modules that exactly one package may import, so that each
// can be replaced in one place.
var onlyIn = map[string][]string{
	"github.com/BurntSushi/toml":    {"internal/config"},
	"github.com/coreos/go-systemd/": {"cmd/imds-ready"},
	"github.com/spf13/cobra":        {"cmd/imds-ready", "cmd/imds-sim"},
	"golang.org/x/sys/":             {"snapshot", "imds", "imds/imdstest", "internal/netevents", "cmd/imds-ready"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
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

// A file that outgrows these usually has two ideas in it.
const (
	maxLines     = 250
	maxTestLines = 320
)

func TestFilesAreSmall(t *testing.T) {
	looked := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		looked++
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := 0
		first := ""
		for s := bufio.NewScanner(f); s.Scan(); lines++ {
			if lines == 0 {
				first = s.Text()
			}
		}
		most := maxLines
		if strings.HasSuffix(path, "_test.go") {
			most = maxTestLines
		}
		if lines > most {
			t.Errorf("%s has %d lines, more than %d: has it two ideas?", path, lines, most)
		}
		if first != "// SPDX-License-Identifier: Apache-2.0" {
			t.Errorf("%s does not begin with its licence", path)
		}
		return nil
	})
	if err != nil || looked < 40 {
		t.Errorf("looked at %d files: %v", looked, err)
	}
}
