// SPDX-License-Identifier: Apache-2.0

package man_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/snapshot"
)

const command = "imds-ready.8"

var (
	commandLine = regexp.MustCompile(`(?m)^  ([a-z]+) +\S`)
	flagMacro   = regexp.MustCompile(`Fl Fl ([a-z-]+)`)
)

// TestCommands compares the commands and the flags of each in the synopsis, in the
// lists and in the program.
func TestCommands(t *testing.T) {
	p, program := readPage(t, command), build(t, "imds-ready")
	general := help(t, program)
	var commands, everywhere []string
	_, list, _ := strings.Cut(general, "Available Commands:")
	list, _, _ = strings.Cut(list, "\nFlags:")
	for _, m := range commandLine.FindAllStringSubmatch(list, -1) {
		if m[1] != "help" {
			commands = append(commands, m[1])
		}
	}
	inSynopsis := synopsis(p.in("SYNOPSIS", ""))
	global := flags(general)
	everywhere = append(everywhere, global...)
	same(t, "flags without a command in the synopsis", inSynopsis[""], global)
	delete(inSynopsis, "")
	for _, c := range commands {
		own := flags(help(t, program, c))
		everywhere = append(everywhere, own...)
		if shown := inSynopsis[c]; len(shown) > 0 || len(own) > 0 {
			same(t, "flags of "+c+" in the synopsis", shown, own)
		}
	}
	var names []string
	for name := range inSynopsis {
		names = append(names, name)
	}
	same(t, "commands in the synopsis", names, commands)
	same(t, "commands", p.in("COMMANDS", "").items("Cm"), commands)
	same(t, "options", flagHeads(p.in("COMMANDS", "")), everywhere)
}

// synopsis returns the flags in a synopsis by command.
func synopsis(p page) map[string][]string {
	found := map[string][]string{}
	name, begins := "", false
	for _, l := range p {
		switch rest, isCommand := strings.CutPrefix(l.text, ".Cm "); {
		case l.text == ".Nm":
			name, begins = "", true
		case isCommand && begins:
			name, begins = rest, false
			found[name] = append(found[name], []string{}...)
		}
		for _, m := range flagMacro.FindAllStringSubmatch(l.text, -1) {
			found[name] = append(found[name], m[1])
		}
	}
	return found
}

// flagHeads returns the flags that a list explains.
func flagHeads(p page) []string {
	var found []string
	for _, head := range p.items("Fl") {
		name, _, _ := strings.Cut(strings.TrimLeft(head, "-"), " ")
		found = append(found, name)
	}
	return found
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		page string
		dirs []string
	}{
		{command, []string{"readiness", "cmd/imds-ready"}},
		{simulator, []string{"cmd/imds-sim"}},
	} {
		var codes, listed []string
		for _, dir := range tt.dirs {
			codes = append(codes, values(constants(t, dir, `^[eE]xit[A-Z]`))...)
		}
		for _, l := range readPage(t, tt.page).in("EXIT STATUS", "*") {
			if code, ok := strings.CutPrefix(l.text, ".It "); ok {
				listed = append(listed, code)
			}
		}
		same(t, "exit codes of "+tt.page, listed, codes)
	}
}

// TestEnvironment compares the environment variables that the program reads.
// NOTIFY_SOCKET is read by go-systemd, not by code of this module.
func TestEnvironment(t *testing.T) {
	inCode := []string{"NOTIFY_SOCKET"}
	for _, dir := range packages(t) {
		inCode = append(inCode, called(t, dir, "Getenv", "getenv", "LookupEnv")...)
	}
	same(t, "environment", readPage(t, command).in("ENVIRONMENT", "*").items("Ev"), inCode)
	same(t, "environment of the configuration", readPage(t, configuration).in("ENVIRONMENT", "*").items("Ev"),
		called(t, "internal/config", "Getenv", "getenv", "LookupEnv"))
}

// TestUnit checks that the page contains the off switches and addresses of the unit.
func TestUnit(t *testing.T) {
	text := readPage(t, command).text()
	unit := readPage(t, filepath.Join(root, "packaging/systemd/imds-ready.service"))
	off := regexp.MustCompile(`^Condition\w+=!(.*)$`)
	allow := regexp.MustCompile(`^IPAddressAllow=(.*)$`)
	seen := 0
	for _, l := range unit {
		for _, re := range []*regexp.Regexp{off, allow} {
			m := re.FindStringSubmatch(l.text)
			if m == nil {
				continue
			}
			for value := range strings.FieldsSeq(m[1]) {
				seen++
				if !strings.Contains(text, value) {
					t.Errorf("%s is in the unit and not in the page", l.text)
				}
			}
		}
	}
	if seen < 9 {
		t.Errorf("%d values found in the unit", seen)
	}
}

var getKey = regexp.MustCompile(`imds-ready get (?:--ignore-boot-id |--json )?([a-z][A-Za-z0-9/-]*)`)

// TestKeysOfExamples looks up every key that the pages show in the files of the
// simulator's instance.
func TestKeysOfExamples(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "imds")
	d, err := publish.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	leaves := map[string][]byte{}
	for path, body := range imdstest.DefaultTree() {
		leaves[path] = []byte(body)
	}
	s, _ := publish.Build(publish.Collection{Leaves: leaves})
	if _, _, err := d.Publish(s, snapshot.Ready, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteStatus(snapshot.Status{State: snapshot.Ready, BootID: "b"}); err != nil {
		t.Fatal(err)
	}
	program := build(t, "imds-ready")
	seen := 0
	for _, name := range []string{command, files} {
		for _, m := range getKey.FindAllStringSubmatch(readPage(t, name).text(), -1) {
			seen++
			get := exec.CommandContext(t.Context(), program, "get", "--directory", dir, "--ignore-boot-id", m[1])
			if out, err := get.CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v\n%s", name, m[0], err, out)
			}
		}
	}
	if seen < 12 {
		t.Errorf("only %d keys found", seen)
	}
}
