// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestMain makes the test binary a program under Run as well.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "program" {
		os.Exit(Run("name", program))
	}
	os.Exit(m.Run())
}

func program(ctx context.Context, args []string, stdout io.Writer) error {
	switch args[1] {
	case "works":
		_, err := io.WriteString(stdout, "printed")
		return err
	case "help":
		return fmt.Errorf("parsing: %w", flag.ErrHelp)
	case "interrupted":
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return errors.New("it was ended")
	default:
		return errors.New("no such thing")
	}
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		does, stdout, stderr string
		code                 int
	}{
		{"works", "printed", "", 0},
		{"help", "", "", 0},
		{"fails", "", "name: no such thing\n", 1},
		{"interrupted", "", "name: it was ended\n", 1},
	} {
		t.Run(tc.does, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), os.Args[0], "program", tc.does).Output()
			code, stderr := 0, ""
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				code, stderr = exit.ExitCode(), string(exit.Stderr)
			}
			if string(out) != tc.stdout || stderr != tc.stderr || code != tc.code {
				t.Errorf("printed %q, %q, exit code %d", out, stderr, code)
			}
		})
	}
}
