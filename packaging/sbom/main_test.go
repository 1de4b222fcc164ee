// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var validID = regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`)

// TestDescribe compares the document with what `go version -m` says of the programs.
func TestDescribe(t *testing.T) {
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", dir, "./cmd/...")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(dir, "imds-ready_1.2.3_amd64.deb")
	if err := os.WriteFile(file, []byte("a package"), 0o644); err != nil {
		t.Fatal(err)
	}
	programs := []string{filepath.Join(dir, "imds-ready"), filepath.Join(dir, "imds-sim")}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	out, err := describe("1.2.3", "2026-01-31", file, string(sums), programs)
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	decoder := json.NewDecoder(bytes.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil {
		t.Fatal(err)
	}

	listed, sources := map[string]string{}, map[string]string{}
	contained := map[string]bool{}
	for _, r := range doc.Relationships {
		if r.Element == packageID && r.Type == "CONTAINS" {
			contained[r.Related] = true
		}
	}
	seen := map[string]bool{}
	for _, p := range doc.Packages {
		if !validID.MatchString(p.SPDXID) || seen[p.SPDXID] {
			t.Errorf("the ID %q is not valid or not unique", p.SPDXID)
		}
		seen[p.SPDXID] = true
		if p.SPDXID == packageID {
			continue
		}
		if !contained[p.SPDXID] {
			t.Errorf("%s is in no relationship with the package", p.Name)
		}
		listed[p.Name] = p.VersionInfo
		sources[p.Name] = p.SourceInfo
	}
	version, err := exec.CommandContext(t.Context(), "go", append([]string{"version", "-m"}, programs...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	dependencies := regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)`).FindAllStringSubmatch(string(version), -1)
	if len(dependencies) < 5 {
		t.Fatalf("only %d dependencies found", len(dependencies))
	}
	want := map[string]string{"github.com/imds-ready/imds-ready": "v1.2.3"}
	for _, m := range dependencies {
		want[m[1]] = m[2]
		if sum, ok := strings.CutPrefix(sources[m[1]], "go.sum: "); !ok || !strings.Contains(string(sums), m[1]+" "+m[2]+" "+sum+"\n") {
			t.Errorf("%s has the source %q, which is not a line of go.sum", m[1], sources[m[1]])
		}
	}
	for name, v := range want {
		if listed[name] != v {
			t.Errorf("%s has the version %q, want %q", name, listed[name], v)
		}
	}
	if len(listed) != len(want)+1 || !strings.HasPrefix(string(version), programs[0]+": go"+listed["stdlib"]+"\n") {
		t.Errorf("%d modules with Go %s, want %d", len(listed), listed["stdlib"], len(want)+1)
	}

	if first := doc.Packages[0]; first.Checksums[0].Value != "c0cd5ccfdb563a59366e33e73001b78fdb8cca5a6c48e2f90fffcde44b81f1f6" {
		t.Errorf("the checksum of the package is %s", first.Checksums[0].Value)
	}
	if doc.SPDXVersion != "SPDX-2.3" || doc.CreationInfo.Created != "2026-01-31T00:00:00Z" || !strings.HasPrefix(doc.DocumentNamespace, "https://") {
		t.Errorf("the document begins with %+v", doc.CreationInfo)
	}
	if again, err := describe("1.2.3", "2026-01-31", file, string(sums), programs); err != nil || !bytes.Equal(out, again) {
		t.Errorf("the second document differs: %v", err)
	}
}

func TestDescribeReportsBadInput(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("not a program"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, date, file, program string }{
		{"no day", "today", text, text},
		{"no package", "2026-01-31", text + ".deb", text},
		{"not a Go program", "2026-01-31", text, text},
	} {
		if out, err := describe("1.2.3", tt.date, tt.file, "", []string{tt.program}); err == nil || out != nil {
			t.Errorf("%s: %q, %v", tt.name, out, err)
		}
	}
}
