// SPDX-License-Identifier: Apache-2.0

package program

import (
	"context"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBuild(t *testing.T) {
	for _, tc := range []struct {
		name  string
		build func(context.Context, string) (string, error)
	}{
		{"imds-ready", Daemon},
		{"boots", func(ctx context.Context, into string) (string, error) { return Own(ctx, "boots", into) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			out, err := tc.build(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(dir, tc.name); out != want {
				t.Errorf("built %s, want %s", out, want)
			}
			f, err := elf.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Section(".symtab") != nil || f.Section(".interp") != nil {
				t.Error("not stripped, or not static")
			}
			info, err := os.Stat(out)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := Size(out); err != nil || n != info.Size() || n < 1<<20 {
				t.Errorf("size %d, %v", n, err)
			}
		})
	}
}

func TestBuildErrors(t *testing.T) {
	_, err := Own(t.Context(), "no-such-program", t.TempDir())
	want := "building " + ownModule + "/no-such-program: go build: exit status 1: "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("err = %v, want %s", err, want)
	}
	if _, err := Size("/nonexistent/program"); err == nil {
		t.Error("no program has a size")
	}
}

func TestVersion(t *testing.T) {
	if v, err := Version(t.Context(), "github.com/aws/aws-sdk-go-v2/feature/ec2/imds"); err != nil || v != "v1.20.7" {
		t.Errorf("version %q, %v: the results are of v1.20.7", v, err)
	}
	if _, err := Version(t.Context(), "example.com/none"); err == nil {
		t.Error("a module that is not required has a version")
	}
}
