// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	imdsready "github.com/imds-ready/imds-ready/cmd/imds-ready"
	"github.com/imds-ready/imds-ready/doc/schema/schematest"
)

// TestMain makes the test binary the program under test as well: called as
// imds-ready it runs main, so that exit codes and signals are those of a real
// process.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"imds-ready": guarded})
}

// leakChecked fails if a goroutine of a simulator still runs at the end.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	// nohup(1) ignores SIGHUP, and a script SIGINT for its background jobs; processes would
	// inherit that.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	code := l.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// exitGuard is the exit code of a command that the guard refused.
const exitGuard = 99

// guarded runs main, unless it could send a request to another machine or write to
// the /run/imds of this one.
func guarded() {
	if danger := dangerOf(os.Args[1:], os.Getenv); danger != "" {
		fmt.Fprintln(os.Stderr, "guard of the tests:", danger)
		os.Exit(exitGuard)
	}
	if mask, err := strconv.ParseUint(os.Getenv("UMASK"), 8, 9); err == nil {
		syscall.Umask(int(mask))
	}
	imdsready.Main()
}

// dangerOf returns why a command line must not run in a test, or "" if it may. Only
// run, refresh, watch and probe make requests. An endpoint in the environment overrides that in the file.
func dangerOf(args []string, getenv func(string) string) string {
	if !slices.Contains(args, "run") && !slices.Contains(args, "refresh") && !slices.Contains(args, "watch") && !slices.Contains(args, "probe") {
		return ""
	}
	file := ""
	for i, arg := range args {
		switch name, value, joined := strings.Cut(arg, "="); {
		case name == "--config" && joined:
			file = value
		case name == "--config" && i+1 < len(args):
			file = args[i+1]
		}
	}
	switch endpoint := getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"); {
	case getenv("RUNTIME_DIRECTORY") == "":
		return "RUNTIME_DIRECTORY is not set"
	case strings.EqualFold(getenv("AWS_EC2_METADATA_DISABLED"), "true"):
		return ""
	case endpoint != "":
		if !isLoopback(endpoint) {
			return endpoint + " is not on loopback"
		}
	default:
		return dangerOfFile(file)
	}
	return ""
}

// fileURL matches endpoint.url in a file of the tests.
var fileURL = regexp.MustCompile(`(?m)^url *= *"(.*)"$`)

// dangerOfFile requires one endpoint in the file, on loopback.
func dangerOfFile(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "there is no endpoint: " + err.Error()
	}
	found := fileURL.FindAllSubmatch(text, -1)
	if len(found) != 1 || !isLoopback(string(found[0][1])) {
		return "there is not one endpoint on loopback in " + file
	}
	return ""
}

func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback()
}

// The safety of the machine depends on the guard.
func TestGuard(t *testing.T) {
	const refused, aws = "http://127.0.0.1:9", "http://169.254.169.254"
	file := t.TempDir() + "/c.toml"
	for _, tt := range []struct {
		name, endpoint, disabled, text, args string
		stopped                              bool
	}{
		{name: "loopback", endpoint: refused, args: "run"},
		{name: "IPv6 loopback", endpoint: "http://[::1]:9", args: "--log-level debug run"},
		{name: "nothing set", args: "run", stopped: true},
		{name: "nothing set, refresh", args: "refresh --now", stopped: true},
		{name: "nothing set, watch", args: "watch", stopped: true},
		{name: "nothing set, probe", args: "probe", stopped: true},
		{name: "the real one", endpoint: aws, args: "run", stopped: true},
		{name: "a name", endpoint: "http://localhost:9", args: "run", stopped: true},
		{name: "no request is made", args: "check"},
		{name: "disabled", disabled: "True", args: "run"},
		{name: "not disabled", disabled: "1", args: "run", stopped: true},
		{name: "in the file", text: "[endpoint]\nurl = \"" + refused + "\"\n", args: "run --config " + file},
		{name: "in the file, joined", text: "[endpoint]\nurl = \"" + refused + "\"\n", args: "run --config=" + file},
		{name: "the real one in the file", text: "url = \"" + aws + "\"\n", args: "run --config " + file, stopped: true},
		{name: "nothing in the file", text: "[retry]\n", args: "run --config " + file, stopped: true},
		{name: "no such file", args: "run --config /nowhere", stopped: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			env := map[string]string{
				"AWS_EC2_METADATA_SERVICE_ENDPOINT": tt.endpoint, "AWS_EC2_METADATA_DISABLED": tt.disabled,
				"RUNTIME_DIRECTORY": "/nowhere",
			}
			danger := dangerOf(strings.Fields(tt.args), func(key string) string { return env[key] })
			if (danger != "") != tt.stopped {
				t.Errorf("the guard returns %q, want stopped %v", danger, tt.stopped)
			}
			delete(env, "RUNTIME_DIRECTORY")
			danger = dangerOf(strings.Fields(tt.args), func(key string) string { return env[key] })
			if (strings.Contains(tt.args, "run") || strings.Contains(tt.args, "refresh") || strings.Contains(tt.args, "watch")) && danger == "" {
				t.Error("the guard lets a run write to /run/imds")
			}
		})
	}
}

// scriptsTimeout bounds all scripts together; they take seconds on an idle machine.
const scriptsTimeout = 8 * time.Minute

// TestScripts runs every script of testdata/script. testdata/README describes their
// commands.
func TestScripts(t *testing.T) {
	schemas := schematest.Load(t)
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(scriptsTimeout),
		Setup:    func(env *testscript.Env) error { return setup(env, schemas) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sim": cmdSim, "simlog": cmdSimlog, "notify": cmdNotify, "notified": cmdNotified,
			"exits": cmdExits, "bg": cmdBg, "signal": cmdSignal, "ends": cmdEnds,
			"until": cmdUntil, "asked": cmdAsked, "status": cmdStatus, "modes": cmdModes, "expand": cmdExpand,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// setup gives each script a world of its own, in which no endpoint answers.
func setup(env *testscript.Env, schemas schematest.Schemas) error {
	w := &world{work: env.WorkDir, schemas: schemas}
	env.Values[worldKey{}] = w
	env.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", closedEndpoint)
	env.Setenv("RUNTIME_DIRECTORY", env.WorkDir+"/imds")
	// The race detector would delay each exit by a second.
	env.Setenv("GORACE", cmp.Or(env.Getenv("GORACE"), "atexit_sleep_ms=0"))
	env.Defer(func() {
		if err := w.end(); err != nil {
			env.T().Fatal(err)
		}
	})
	return nil
}
