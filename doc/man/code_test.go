// SPDX-License-Identifier: Apache-2.0

package man_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the folder of the repository.
const root = "../.."

// parse parses the files of a package of the repository, except its tests.
func parse(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// packages returns the folders of the module that have Go files.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root {
			if nested, _ := filepath.Glob(filepath.Join(path, "go.mod")); nested != nil || d.Name() == "vendor" || strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir // another module, or a folder such as .git
			}
		}
		if dir, _ := filepath.Rel(root, filepath.Dir(path)); filepath.Ext(path) == ".go" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// constants returns the constants of a package whose names match, with their
// values. Numbers are as written; strings are without quotes.
func constants(t *testing.T, dir, name string) map[string]string {
	t.Helper()
	match := regexp.MustCompile(name)
	found := map[string]string{}
	for _, f := range parse(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			d, ok := n.(*ast.ValueSpec)
			if !ok || len(d.Names) != len(d.Values) {
				return true
			}
			for i, id := range d.Names {
				if value, ok := literal(d.Values[i]); ok && match.MatchString(id.Name) {
					found[id.Name] = value
				}
			}
			return true
		})
	}
	return found
}

// literal returns the value of a literal number or string.
func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok {
		return "", false
	}
	if l.Kind != token.STRING {
		return l.Value, true
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// called returns the first arguments of all calls of the functions or methods in a
// package, if they are literals or constants.
func called(t *testing.T, dir string, functions ...string) []string {
	t.Helper()
	known := constants(t, dir, "")
	var found []string
	for _, f := range parse(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || !slices.Contains(functions, nameOf(call.Fun)) {
				return true
			}
			if value, ok := literal(call.Args[0]); ok {
				found = append(found, value)
			} else if id, ok := call.Args[0].(*ast.Ident); ok && known[id.Name] != "" {
				found = append(found, known[id.Name])
			}
			return true
		})
	}
	return found
}

// nameOf returns the last part of a function's name.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// values returns the values of a map, sorted and without repetitions.
func values(m map[string]string) []string {
	var all []string
	for _, v := range m {
		all = append(all, v)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// build builds a program of the module, so that its --help can be read.
func build(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/"+name)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return path
}

// help returns the output of a command with --help.
func help(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, append(args, "--help")...).Output()
	if err != nil {
		t.Fatalf("%s %v --help: %v", program, args, err)
	}
	return string(out)
}

var flagLine = regexp.MustCompile(`(?m)^ +(?:-[a-z], |    )--([a-z-]+)`)

// flags returns the flags in a help text, except --help.
func flags(text string) []string {
	var found []string
	for _, m := range flagLine.FindAllStringSubmatch(text, -1) {
		if m[1] != "help" {
			found = append(found, m[1])
		}
	}
	return found
}
