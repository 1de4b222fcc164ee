// SPDX-License-Identifier: Apache-2.0

// Package program builds the programs that are measured, stripped and static as
// the packages ship them.
package program

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// The modules. The daemon is built under its own go.mod, not under the
// benchmarks'.
const (
	daemonModule = "github.com/imds-ready/imds-ready"
	ownModule    = daemonModule + "/bench"
)

// How is the command that builds, for a report.
const How = "CGO_ENABLED=0 go build -trimpath -ldflags '-s -w'"

// Daemon builds imds-ready into a directory and returns its path. The working
// directory has to be in the benchmarks' module, here and below.
func Daemon(ctx context.Context, into string) (string, error) {
	root, err := goTool(ctx, "list", "-m", "-f", "{{.Dir}}", daemonModule)
	if err != nil {
		return "", fmt.Errorf("finding module %s (run this in bench/): %w", daemonModule, err)
	}
	return build(ctx, strings.TrimSpace(root), daemonModule+"/cmd/imds-ready", into)
}

// Own builds a program of the benchmarks' module, by the name of its directory.
func Own(ctx context.Context, name, into string) (string, error) {
	return build(ctx, ".", ownModule+"/"+name, into)
}

func build(ctx context.Context, dir, pkg, into string) (string, error) {
	into, err := filepath.Abs(into)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", pkg, err)
	}
	out := filepath.Join(into, path.Base(pkg))
	_, err = goTool(ctx, "build", "-C", dir, "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, pkg)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", pkg, err)
	}
	return out, nil
}

// Version returns the version of a module that the benchmarks use.
func Version(ctx context.Context, module string) (string, error) {
	out, err := goTool(ctx, "list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		return "", fmt.Errorf("asking for the version of %s: %w", module, err)
	}
	return strings.TrimSpace(out), nil
}

// Size returns a program's size in bytes.
func Size(program string) (int64, error) {
	info, err := os.Stat(program)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// goTool runs the go command and returns what it prints.
func goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
