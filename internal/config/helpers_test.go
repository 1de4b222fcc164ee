// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is the files of a machine; the keys are absolute paths, or relative
// ones for what --config names.
type tree map[string]string

// write puts the files below a new directory and returns it.
func (files tree) write(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// env is a Getenv of some variables.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// load reads the files, of which one may be named config.toml: --config.
func (files tree) load(t testing.TB, vars ...string) (*Config, string, error) {
	t.Helper()
	root := files.write(t)
	o := Options{Root: root, Getenv: env(vars...)}
	if _, ok := files["config.toml"]; ok {
		o.File = filepath.Join(root, "config.toml")
	}
	c, err := Load(o)
	return c, root, err
}

// mustLoad is load where nothing may be wrong.
func (files tree) mustLoad(t testing.TB, vars ...string) *Config {
	t.Helper()
	c, _, err := files.load(t, vars...)
	if err != nil {
		t.Fatalf("loading:\n%v", err)
	}
	return c
}

// one loads a single file.
func one(t testing.TB, text string, vars ...string) *Config {
	t.Helper()
	return tree{"config.toml": text}.mustLoad(t, vars...)
}

// problemsOf returns the lines of the error, with the directory taken away.
func (files tree) problemsOf(t testing.TB, vars ...string) string {
	t.Helper()
	c, root, err := files.load(t, vars...)
	if err == nil {
		return ""
	}
	if c != nil {
		t.Error("an error and a configuration")
	}
	return strings.ReplaceAll(err.Error(), root+"/", "")
}

// setting returns "value from origin" of a key; the directory is taken away.
func setting(t testing.TB, c *Config, key string) string {
	t.Helper()
	for _, s := range c.Settings {
		if s.Key == key {
			if s.Source.Line > 0 {
				return s.Value + " from " + filepath.Base(s.Origin)
			}
			return s.Value + " from " + s.Origin
		}
	}
	return "not set"
}

// printed writes settings as a file.
func printed(settings []Setting) string {
	var b strings.Builder
	last := ""
	for _, s := range settings {
		table, leaf := cut(s.Key)
		if table != last {
			name, _, listed := strings.Cut(table, "[")
			header := "[" + name + "]"
			if listed {
				header = "[[" + name + "]]"
			}
			b.WriteString(header + "\n")
		}
		last = table
		b.WriteString(leaf + " = " + s.Value + "\n")
	}
	return b.String()
}
