// SPDX-License-Identifier: Apache-2.0

package mock

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The bounds of all waits. The programs need milliseconds, but the machine may be
// busy.
const (
	startWithin = 20 * time.Second
	runWithin   = 60 * time.Second
	pollEvery   = 10 * time.Millisecond
)

// mockTool is the mock's package, pinned in go.mod.
const mockTool = "github.com/aws/amazon-ec2-metadata-mock/cmd/ec2-metadata-mock"

// build compiles a package to a file in dir. The daemon is built in its own module,
// with the dependencies of a release.
func build(t *testing.T, dir, name, module, pkg string) string {
	t.Helper()
	binary := filepath.Join(dir, name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, pkg)
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	return binary
}

// freePort returns a port of loopback that is not in use.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// aemm is a running mock.
type aemm struct {
	base string
	log  string // the path of its log
}

// startMock runs the mock in the background until the test ends. config is its
// JSON configuration. The mock does not see the environment or the home directory of
// the user.
func startMock(t *testing.T, binary string, port int, config string) *aemm {
	t.Helper()
	home := t.TempDir()
	m := &aemm{base: fmt.Sprintf("http://127.0.0.1:%d", port), log: filepath.Join(home, "mock.log")}
	write(t, filepath.Join(home, "config.json"), config)
	log, err := os.Create(m.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own
	cmd := exec.CommandContext(context.Background(), binary, "--imdsv2", "--hostname", "127.0.0.1", "--port", fmt.Sprint(port),
		"--config-file", filepath.Join(home, "config.json"))
	cmd.Env, cmd.Dir = []string{"HOME=" + home}, home
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
	})
	m.await(t, ended)
	return m
}

// await waits until the mock accepts connections.
func (m *aemm) await(t *testing.T, ended <-chan struct{}) {
	t.Helper()
	until(t, startWithin, "the mock listens", func() bool {
		select {
		case <-ended:
			t.Fatalf("the mock ended:\n%s", read(t, m.log))
		default:
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", m.base[len("http://"):])
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// until polls until a condition is met, for a limited time.
func until(t *testing.T, within time.Duration, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	end := time.After(within)
	for !met() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("timed out after %v waiting until %s", within, what)
		}
	}
}

// daemon is one run of imds-ready.
type daemon struct {
	cmd    *exec.Cmd
	dir    string
	stderr string // the path of its standard error
}

// startDaemon runs imds-ready run in the background, for at most runWithin. Its
// environment names a proxy that does not work, because requests to IMDS must never
// use a proxy.
func startDaemon(t *testing.T, binary, config string) *daemon {
	t.Helper()
	work := t.TempDir()
	d := &daemon{dir: filepath.Join(work, "imds"), stderr: filepath.Join(work, "stderr")}
	write(t, filepath.Join(work, "config.toml"), config)
	stderr, err := os.Create(d.stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	ctx, cancel := context.WithTimeout(context.Background(), runWithin)
	t.Cleanup(cancel)
	d.cmd = exec.CommandContext(ctx, binary, "run", "--log-level", "debug",
		"--config", filepath.Join(work, "config.toml"), "--directory", d.dir)
	d.cmd.Env = []string{"HTTP_PROXY=http://127.0.0.1:9", "http_proxy=http://127.0.0.1:9"}
	d.cmd.Stderr = stderr
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return d
}

// finish waits for exit code 0.
func (d *daemon) finish(t *testing.T) {
	t.Helper()
	if err := d.cmd.Wait(); err != nil {
		t.Fatalf("imds-ready run: %v\n%s", err, read(t, d.stderr))
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

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
