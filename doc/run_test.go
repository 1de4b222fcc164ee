// SPDX-License-Identifier: Apache-2.0

package doc_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// patience bounds each program; the slowest one takes about three seconds.
const patience = time.Minute

// world stands for a machine whose gate is ready: it has the programs and the
// files of the simulator's instance.
type world struct {
	bin, dir, empty string
	url             string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{bin: t.TempDir(), dir: filepath.Join(t.TempDir(), "imds"), empty: filepath.Join(t.TempDir(), "empty.toml")}
	// The sources are stat-ed so that go test does not reuse a cached result after
	// a program has changed.
	sources, err := filepath.Glob(filepath.Join(root, "cmd", "*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", w.bin, "./cmd/...")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	if err := os.WriteFile(w.empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.url = simulate(t, "ok")
	w.run(t, filepath.Join(w.bin, "imds-ready"), "run", "--config", w.empty)
	return w
}

// simulate starts a simulator on loopback that follows a schedule of faults.
func simulate(t *testing.T, schedule string) (url string) {
	t.Helper()
	s := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(schedule)...)
	t.Cleanup(func() { s.Close() })
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// localize replaces the paths and ports in an example of README.md with those of the
// test, so that no example touches the files, configuration or ports of the machine.
func (w *world) localize(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // finds a free port
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	return strings.NewReplacer(
		"make build ", ": ", // the programs are built already
		"PATH=$PWD/bin:$PATH", "",
		"/run/imds", w.dir,
		"/tmp/imds", filepath.Join(t.TempDir(), "imds"),
		"imds-ready run", "imds-ready run --config "+w.empty,
		"imds-sim ", "imds-sim --listen "+free+" ",
		"127.0.0.1:1338", free,
	).Replace(text)
}

// run runs a program, waits for it, and returns its output. If it takes too long,
// its whole process group is killed.
func (w *world) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PATH="+w.bin+":"+os.Getenv("PATH"), "RUNTIME_DIRECTORY="+w.dir,
		"AWS_EC2_METADATA_SERVICE_ENDPOINT="+w.url, "AWS_EC2_METADATA_DISABLED=", "NOTIFY_SOCKET=", "JOURNAL_STREAM=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, errors.String())
	}
	return string(out)
}

// file writes an example to a file.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPrograms runs the examples. They print values of the simulator's instance.
func TestPrograms(t *testing.T) {
	w := newWorld(t)
	var identity map[string]string
	data, err := os.ReadFile(filepath.Join(w.dir, "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	identity = map[string]string{}
	for k, v := range all {
		identity[k], _ = v.(string) // other values are null or lists
	}
	id, region, zone := identity["instanceId"], identity["region"], identity["availabilityZone"]
	if id == "" || region == "" || zone == "" {
		t.Fatalf("the simulator's identity document is %v", all)
	}
	shell := blocks(t, "sh")
	for i, want := range [][]string{
		{"state:", "ready", "connection-refused", "503"},
		{id + "\n" + region + "\n" + identity["accountId"] + "\n", "network/interfaces/macs/", id + " in " + zone + "\n"},
		{region + "\n"},
		{"ready since", "took:", "\n" + region + "\n"},
	} {
		out := w.run(t, "sh", "-eu", file(t, "example.sh", w.localize(t, shell[i])))
		for _, s := range want {
			if !strings.Contains(out, s) {
				t.Errorf("%q is not in the output of\n%s\n%s", s, shell[i], out)
			}
		}
		if strings.Contains(out, "missing:") {
			t.Errorf("something is missing in the output of\n%s\n%s", shell[i], out)
		}
	}
	if len(shell) != 4 {
		t.Errorf("%d shell examples", len(shell))
	}
	w.goPrograms(t, region+" <nil>\n", id+" in "+region+"\n")
	for _, text := range blocks(t, "python") {
		w.python(t, text, id+" "+region+" subnet-")
	}
	for _, text := range blocks(t, "yaml") {
		w.ansible(t, text, identity)
	}
}

// goPrograms runs the Go programs: the one that reads the files, and the one that
// makes requests of its own. The latter meets a simulator whose faults only its own
// policies retry.
func (w *world) goPrograms(t *testing.T, wants ...string) {
	t.Helper()
	programs := blocks(t, "go")
	if len(programs) != len(wants) {
		t.Fatalf("README.md has %d Go programs, want %d", len(programs), len(wants))
	}
	faulty := *w
	faulty.url = simulate(t, "503x2,404@meta-data/instance-idx1,ok")
	for i, text := range programs {
		if strings.Contains(text, "imds.Client") && !strings.Contains(text, `os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")`) {
			t.Fatalf("not run, because it would leave loopback:\n%s", text)
		}
		// The file is not part of a module: go run resolves its imports in this one.
		if out := faulty.run(t, "go", "run", file(t, "main.go", w.localize(t, text))); out != wants[i] {
			t.Errorf("Go program %d prints %q, want %q", i+1, out, wants[i])
		}
	}
}

var pythonKey = regexp.MustCompile(`(identity|network)\["(\w+)"\]`)

// python looks up the keys that an example uses, and runs the example if the
// machine has Python.
func (w *world) python(t *testing.T, text, want string) {
	t.Helper()
	keys := pythonKey.FindAllStringSubmatch(text, -1)
	if len(keys) == 0 {
		t.Errorf("no key in\n%s", text)
	}
	for _, m := range keys {
		data, err := os.ReadFile(filepath.Join(w.dir, m[1]+".json"))
		if err != nil || !strings.Contains(string(data), `"`+m[2]+`": `) {
			t.Errorf("%s.json has no %s: %v", m[1], m[2], err)
		}
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("python3 is missing: the example was not run")
		return
	}
	if out := w.run(t, python, file(t, "example.py", w.localize(t, text))); !strings.HasPrefix(out, want) {
		t.Errorf("Python prints %q, want %q", out, want)
	}
}

var (
	ansibleKey     = regexp.MustCompile(`from_json\)\.(\w+)`)
	ansibleCommand = regexp.MustCompile(`(?m)command: imds-ready (.*)$`)
)

// ansible looks up the key of an example and runs its command.
func (w *world) ansible(t *testing.T, text string, identity map[string]string) {
	t.Helper()
	key, command := ansibleKey.FindStringSubmatch(text), ansibleCommand.FindStringSubmatch(text)
	if key == nil || command == nil {
		t.Fatalf("neither a key nor a command in\n%s", text)
	}
	if identity[key[1]] == "" {
		t.Errorf("the identity document has no %s", key[1])
	}
	w.run(t, filepath.Join(w.bin, "imds-ready"), strings.Fields(command[1])...)
}
