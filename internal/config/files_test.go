// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	mainName  = "etc/imds-ready/imds-ready.toml"
	adminName = mainName + ".d/"
)

// machine is a Root whose files a test lays out by itself.
func machine(t *testing.T, files tree, prepare func(root string) error) (*Config, string) {
	t.Helper()
	root := files.write(t)
	if err := prepare(root); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Options{Root: root, Getenv: env()})
	if err != nil {
		if c != nil {
			t.Error("an error and a configuration")
		}
		return nil, strings.ReplaceAll(err.Error(), root+"/", "")
	}
	return c, ""
}

func TestFileProblems(t *testing.T) {
	mkdir := func(name string) func(string) error {
		return func(root string) error { return os.MkdirAll(filepath.Join(root, name), 0o755) }
	}
	link := func(target, name string) func(string) error {
		return func(root string) error { return os.Symlink(target, filepath.Join(root, name)) }
	}
	base := tree{mainName: "", adminName + "10.toml": ""}
	for _, tt := range []struct {
		name    string
		files   tree
		prepare func(root string) error
		want    string
	}{
		{
			"drop-in is a directory", base, mkdir(adminName + "20.toml"),
			adminName + "20.toml: cannot be read: must be a regular file",
		},
		{"file is a directory", tree{}, mkdir(mainName), mainName + ": cannot be read: must be a regular file"},
		{
			"directory of drop-ins is a file",
			tree{"etc/imds-ready/imds-ready.toml.d": ""},
			mkdir("etc"),
			"etc/imds-ready/imds-ready.toml.d: cannot be read: not a directory",
		},
		{"drop-in is a dangling link", base, link("nowhere", adminName+"20.toml"), adminName + "20.toml: the link points to nothing"},
		{
			"file is a dangling link",
			tree{"etc/imds-ready/x": ""},
			link("nowhere", mainName),
			mainName + ": the link points to nothing",
		},
		{
			"link to itself", base, link("20.toml", adminName+"20.toml"),
			adminName + "20.toml: cannot be read: too many levels of symbolic links",
		},
		{
			"FIFO without a writer", base,
			func(root string) error { return syscall.Mkfifo(filepath.Join(root, adminName+"20.toml"), 0o644) },
			adminName + "20.toml: cannot be read: must be a regular file",
		},
		{
			"too large",
			tree{mainName: strings.Repeat("#", 1<<20+1)},
			mkdir("etc"),
			mainName + ": cannot be read: must be at most 1 MiB",
		},
		{"just small enough", tree{mainName: strings.Repeat("#", 1<<20)}, mkdir("etc"), ""},
		{
			"all at once, in the order of files and lines",
			tree{mainName: "x = 1\n\ny = 2", adminName + "b.toml": "[", adminName + "a.toml": "z = 1"},
			mkdir(adminName + "aa.toml"),
			mainName + ":1: x = 1: unknown key, valid tables: [endpoint], [retry], [[retry.rule]], [[require]], [ready], [metadata], [output] or [watch]\n" +
				mainName + ":3: y = 2: unknown key, valid tables: [endpoint], [retry], [[retry.rule]], [[require]], [ready], [metadata], [output] or [watch]\n" +
				adminName + "a.toml:1: z = 1: unknown key, valid tables: [endpoint], [retry], [[retry.rule]], [[require]], [ready], [metadata], [output] or [watch]\n" +
				adminName + "aa.toml: cannot be read: must be a regular file\n" +
				adminName + "b.toml:1: broken TOML: unexpected end of table name (table names cannot be empty)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := machine(t, tt.files, tt.prepare); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestMasked(t *testing.T) {
	vendor := "usr/lib/imds-ready/imds-ready.toml.d/"
	files := tree{
		vendor + "10.toml": "retry.deadline = '1m'", vendor + "20.toml": "broken", adminName + "30.toml": "retry.eager = false",
	}
	c, problems := machine(t, files, func(root string) error {
		// The second is a link to a link.
		if err := os.Symlink("/dev/null", filepath.Join(root, adminName, "null")); err != nil {
			return err
		}
		return os.Symlink("null", filepath.Join(root, adminName, "20.toml"))
	})
	if problems != "" {
		t.Fatal(problems)
	}
	if got := setting(t, c, "retry.deadline") + ", " + setting(t, c, "retry.eager"); got != `"1m" from 10.toml:1, false from 30.toml:1` {
		t.Error(got)
	}
	if len(c.Files) != 2 {
		t.Errorf("read %v, want two files", c.Files)
	}
	// The file itself as a link to /dev/null is an empty file.
	c, problems = machine(t, tree{"etc/imds-ready/x": ""}, func(root string) error {
		return os.Symlink("/dev/null", filepath.Join(root, mainName))
	})
	if problems != "" || len(c.Files) != 1 {
		t.Errorf("a file that is /dev/null: %s", problems)
	}
}

func TestNamedFileProblems(t *testing.T) {
	dir := t.TempDir()
	load := func(file string) string {
		_, err := Load(Options{File: file, Root: dir, Getenv: env()})
		if err == nil {
			return ""
		}
		return strings.ReplaceAll(err.Error(), dir+"/", "")
	}
	if got, want := load(dir+"/missing.toml"), "missing.toml: the file does not exist"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := load(dir+"/"), ": cannot be read: must be a regular file"; got != want {
		t.Errorf("a directory: got %q, want %q", got, want)
	}
	if got := load("/dev/null"); got != "" {
		t.Errorf("/dev/null: %q", got)
	}
	if got, want := load("/dev/zero"), "/dev/zero: cannot be read: must be at most 1 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestPipe checks --config <(...): a named file may be a pipe.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, []byte("retry.deadline = '7s'"), 0o600) }()
	c, err := Load(Options{File: path, Getenv: env()})
	if werr := <-written; err != nil || werr != nil {
		t.Fatal(err, werr)
	}
	if got, want := setting(t, c, "retry.deadline"), `"7s" from pipe:1`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestUnreadable reads as a user who may not: as root, the thread takes
// another user's file access (setfsuid(2)) and dies with the test.
func TestUnreadable(t *testing.T) {
	const advice = ": permission denied: the daemon's user must be able to read it and to enter its directories: " +
		"use mode 0644 for a file and 0755 for a directory, or group imds-ready with 0640 and 0750"
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
	}
	for _, tt := range []struct{ name, closed, want string }{
		{"file", mainName, mainName + advice},
		{"drop-in", adminName + "10.toml", adminName + "10.toml" + advice},
		{"directory of drop-ins", adminName, strings.TrimSuffix(adminName, "/") + advice},
	} {
		root := tree{mainName: "", adminName + "10.toml": ""}.write(t)
		for dir, mode := range map[string]os.FileMode{filepath.Dir(root): 0o755, filepath.Join(root, tt.closed): 0} {
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
		// Without root this changes nothing, and nothing has to change.
		if err := syscall.Setfsuid(asAnother()); err != nil {
			t.Fatal(err)
		}
		_, err := Load(Options{Root: root, Getenv: env()})
		if err := syscall.Setfsuid(os.Geteuid()); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(root, tt.closed), 0o755); err != nil {
			t.Fatal(err)
		}
		if err == nil || strings.ReplaceAll(err.Error(), root+"/", "") != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

// asAnother is a user who is not root and owns no file of the test.
func asAnother() int {
	if uid := os.Geteuid(); uid != 0 {
		return uid
	}
	return 65534
}

func TestHidden(t *testing.T) {
	const vendor = "usr/lib/imds-ready/imds-ready.toml.d/"
	c, problems := machine(t, tree{
		vendor + "10.toml": "", vendor + "20.toml": "", vendor + "30.toml": "", adminName + "10.toml": "", adminName + "40.toml": "",
	}, func(root string) error { return os.Symlink(os.DevNull, filepath.Join(root, adminName, "30.toml")) })
	if problems != "" || len(c.Hidden) != 2 || !strings.HasSuffix(c.Hidden[0], vendor+"10.toml") || !strings.HasSuffix(c.Hidden[1], vendor+"30.toml") {
		t.Errorf("hidden: %v, %s", c.Hidden, problems)
	}
}

func TestIgnored(t *testing.T) {
	files := tree{
		adminName + "10.toml": "", adminName + "10.toml.bak": "[", adminName + "20.conf": "[", adminName + ".30.toml": "[",
		adminName + "README": "", adminName + "README.md": "", adminName + ".placeholder": "",
	}
	c, problems := machine(t, files, func(string) error { return nil })
	var names []string
	if c != nil {
		for _, path := range c.Ignored {
			names = append(names, filepath.Base(path))
		}
	}
	if want := []string{".30.toml", "10.toml.bak", "20.conf"}; problems != "" || !slices.Equal(names, want) {
		t.Errorf("ignored: %v, want %v; %s", names, want, problems)
	}
}
