// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// Every unit that uses the configuration has the sandbox, the user, the directory and the
// variables of the gate.
func TestUnitsAgree(t *testing.T) {
	settings := func(unit string) []string {
		text, err := os.ReadFile("../../packaging/systemd/" + unit + ".service")
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for line := range strings.Lines(string(text)) {
			key, _, ok := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "Type", "NotifyAccess", "RemainAfterExit", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus",
				"TimeoutStartSec", "StandardOutput", "StandardError", "SuccessExitStatus", "LogLevelMax", "WatchdogSec", "Description",
				"DefaultDependencies", "Requires", "After", "Conflicts", "Before", "StartLimitIntervalSec", "StartLimitBurst", "WantedBy":
			default:
				if ok && !strings.HasPrefix(line, "#") {
					all = append(all, strings.TrimSpace(line))
				}
			}
		}
		return all
	}
	gate := settings(units[0])
	for _, unit := range units[1:] {
		if got := settings(unit); !slices.Equal(got, gate) {
			t.Errorf("%s:\n%s\nthe gate:\n%s", unit, strings.Join(got, "\n"), strings.Join(gate, "\n"))
		}
	}
	if len(gate) < 50 {
		t.Errorf("only %d settings found", len(gate))
	}
}

func TestUnitAllows(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/systemd/imds-ready.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"User=" + unitUser, "IPAddressAllow=" + strings.Join(unitAllows, " ")} {
		if !strings.Contains(string(unit), "\n"+want+"\n") {
			t.Errorf("the unit does not contain %s", want)
		}
	}
}

func TestUnitHides(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/systemd/imds-ready.service")
	if err != nil {
		t.Fatal(err)
	}
	var hidden []string
	for line := range strings.Lines(string(unit)) {
		if value, ok := strings.CutPrefix(line, "InaccessiblePaths="); ok {
			hidden = append(hidden, strings.Fields(strings.ReplaceAll(value, "-/", "/"))...)
		}
	}
	if want := unitHides["InaccessiblePaths"]; !slices.Equal(hidden, want) {
		t.Errorf("the unit hides %q, not %q", hidden, want)
	}
	if !strings.Contains(string(unit), "\nProtectHome=yes\n") {
		t.Error("the unit does not contain ProtectHome=yes")
	}
}

// The unit hides some directories even from ReadWritePaths=, and the advice about others
// is what a drop-in needs.
func TestTextfileWarnings(t *testing.T) {
	dropIn := func(settings string) fstest.MapFS {
		root := fstest.MapFS{}
		for _, unit := range units {
			root["etc/systemd/system/"+unit+".service.d/override.conf"] = &fstest.MapFile{Data: []byte("[Service]\n" + settings + "\n")}
		}
		return root
	}
	const hides = "N: the unit imds-ready hides %s; choose another directory, such as /run/imds"
	for _, tt := range []struct{ textfile, dropIn, want string }{
		{"/tmp/x.prom", "", strings.Replace(hides, "%s", "/tmp", 1)},
		{"/var/log/a/x.prom", "ReadWritePaths=-/var/log/a", strings.Replace(hides, "%s", "/var/log", 1)},
		{"/var/log/a/x.prom", "InaccessiblePaths=\nReadWritePaths=-/var/log/a", ""},
		{"/root/x.prom", "", strings.Replace(hides, "%s", "/root", 1)},
		{"/home/a/x.prom", "ProtectHome=no\nReadWritePaths=-/home/a", ""},
		{"/srv/a b/50%/x.prom", `ReadWritePaths=/srv/c "-/srv/a b/50%%"`, ""},
		{"/srv/a b/50%/x.prom", "", "N: the units imds-ready, imds-ready-refresh and imds-ready-watch may not write to /srv/a b/50%: create it, writable for the user imds-ready, and allow it with " +
			"`systemctl edit imds-ready imds-ready-refresh imds-ready-watch`:\n    [Service]\n    ReadWritePaths=\"-/srv/a b/50%%\""},
	} {
		if got := strings.Join(textfileWarnings("N", tt.textfile, dropIn(tt.dropIn)), "; "); got != tt.want {
			t.Errorf("%s with %q: %q, want %q", tt.textfile, tt.dropIn, got, tt.want)
		}
	}
}

func TestEndpointWarnings(t *testing.T) {
	const base, added = "http://127.0.0.1:1", `N: requests add /latest/... themselves: write "http://127.0.0.1:1"`
	for path, want := range map[string]string{
		"": "", "/latestx": "", "/x-latest/y": "",
		"/latest": added, "/latest/meta-data": added, "/latest/api/token": added,
	} {
		if got := strings.Join(endpointWarnings("N", base+path, fstest.MapFS{}), "; "); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// A drop-in of the unit answers a warning about it.
func TestWarningsKnowDropIns(t *testing.T) {
	none := fstest.MapFS{}
	root := fstest.MapFS{"etc/systemd/system/imds-ready.service.d/ignored": {Data: []byte("ReadWritePaths=/srv\n")}}
	for _, unit := range units {
		root["etc/systemd/system/"+unit+".service.d/override.conf"] = &fstest.MapFile{
			Data: []byte("[Service]\nReadWritePaths=-/srv/a /srv/b/\nIPAddressAllow=192.0.2.0/24 2001:db8::1\n"),
		}
	}
	for _, tt := range []struct {
		textfile string
		root     fstest.MapFS
		warned   bool
	}{
		{"", none, false},
		{"/run/imds/imds_ready.prom", none, false},
		{"/run/imdsx/imds_ready.prom", none, true},
		{"/srv/a/imds_ready.prom", none, true},
		{"/srv/a/imds_ready.prom", root, false},
		{"/srv/b/c/x.prom", root, false},
		{"/srv/c/x.prom", root, true},
	} {
		if got := textfileWarnings("output.textfile", tt.textfile, tt.root); (len(got) > 0) != tt.warned {
			t.Errorf("%s: %q", tt.textfile, got)
		}
	}
	for _, tt := range []struct {
		endpoint string
		root     fstest.MapFS
		warned   bool
	}{
		{"http://192.0.2.1", none, true},
		{"http://192.0.2.1", root, false},
		{"http://[2001:db8::1]:80", root, false},
		{"http://192.0.3.1", root, true},
		{"http://169.254.169.254", none, false},
	} {
		if got := endpointWarnings("endpoint.url", tt.endpoint, tt.root); (len(got) > 0) != tt.warned {
			t.Errorf("%s: %q", tt.endpoint, got)
		}
	}
}

// A warning names only the units that lack the drop-in.
func TestWarningsNameUnits(t *testing.T) {
	root := fstest.MapFS{"run/systemd/system/imds-ready.service.d/x.conf": {Data: []byte("[Service]\nIPAddressAllow=192.0.2.1\nReadWritePaths=/srv\n")}}
	for _, got := range [][]string{endpointWarnings("N", "http://192.0.2.1", root), textfileWarnings("N", "/srv/x.prom", root)} {
		if len(got) != 1 || !strings.Contains(got[0], "the units imds-ready-refresh and imds-ready-watch") ||
			!strings.Contains(got[0], "`systemctl edit imds-ready-refresh imds-ready-watch`:") {
			t.Errorf("%q", got)
		}
	}
}

// denied finds the file or the directory whose mode keeps a user out.
func TestDenied(t *testing.T) {
	const stranger = 1 << 30
	dir := filepath.Join(t.TempDir(), "sub")
	file := filepath.Join(dir, "c.toml")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("c.toml", link); err != nil {
		t.Fatal(err)
	}
	me, mine := os.Getuid(), []string{strconv.Itoa(os.Getgid())}
	for _, tt := range []struct {
		name      string
		file, dir os.FileMode
		uid       int
		gids      []string
		want      string
	}{
		{"owner", 0o400, 0o700, me, nil, ""},
		{"owner, who has less than others", 0o044, 0o755, me, nil, file},
		{"directory", 0o644, 0o754, stranger, nil, dir},
		{"group", 0o640, 0o750, stranger, mine, "above"},
		{"group without a permission", 0o604, 0o755, stranger, mine, file},
		{"others", 0o640, 0o755, stranger, nil, file},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for path, mode := range map[string]os.FileMode{file: tt.file, dir: tt.dir} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			got := denied(link, tt.uid, tt.gids)
			if tt.want == "above" { // the temporary directory may be closed to others
				if slices.Contains([]string{file, dir}, got) {
					t.Errorf("denied by %s", got)
				}
				return
			}
			if got != tt.want {
				t.Errorf("denied by %q, want %q", got, tt.want)
			}
			err := deniedProblems([]string{link}, tt.uid, tt.gids)
			if (err != nil) != (got != "") || err != nil && !strings.HasPrefix(err.Error(), link+": the unit's user imds-ready cannot read it, because of the mode of "+got+": ") {
				t.Errorf("the problem is %v", err)
			}
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		})
	}
	if got := denied(filepath.Join(dir, "missing"), stranger, nil); got != "" {
		t.Errorf("a file that is not there: denied by %q", got)
	}
}
