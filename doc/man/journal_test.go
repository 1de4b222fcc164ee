// SPDX-License-Identifier: Apache-2.0

package man_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// literals returns all literal strings and numbers of a package.
func literals(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	for _, f := range parse(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			if e, ok := n.(*ast.BasicLit); ok {
				if s, ok := literal(e); ok {
					found = append(found, s)
				}
			}
			return true
		})
	}
	return found
}

var attribute = regexp.MustCompile(`^[a-z_]+$`)

// attributes returns the keys of a package's log lines. They are in the arguments
// of a logger after the message, in elements of a []any and arguments of append,
// and in lists of pairs that have a field key.
func attributes(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	add := func(es []ast.Expr) {
		for _, e := range es {
			if s, ok := literal(e); ok && attribute.MatchString(s) {
				found = append(found, s)
			}
		}
	}
	for _, f := range parse(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				switch nameOf(n.Fun) {
				case "Debug", "Info", "Warn", "Error":
					add(n.Args[min(1, len(n.Args)):])
				case "append":
					add(n.Args[1:])
				}
			case *ast.CompositeLit:
				list, ok := n.Type.(*ast.ArrayType)
				if !ok {
					return true
				}
				if id, ok := list.Elt.(*ast.Ident); ok && id.Name == "any" {
					add(n.Elts)
				}
				if s, ok := list.Elt.(*ast.StructType); ok && len(s.Fields.List) == 1 && s.Fields.List[0].Names[0].Name == "key" {
					for _, pair := range n.Elts {
						add(pair.(*ast.CompositeLit).Elts[:1])
					}
				}
			}
			return true
		})
	}
	return found
}

// TestFieldsOfJournal compares the journal fields: IMDS_ followed by the key of an
// attribute in capital letters.
func TestFieldsOfJournal(t *testing.T) {
	inCode := []string{"MESSAGE_ID"}
	for _, dir := range []string{"readiness", "internal/gather", "internal/refresh", "internal/watch", "cmd/imds-ready"} {
		for _, key := range attributes(t, dir) {
			inCode = append(inCode, "IMDS_"+strings.ToUpper(key))
		}
	}
	same(t, "journal", readPage(t, command).in("JOURNAL", "*").items("Va"), inCode)
}

var messageID = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

// TestMessageIDs checks that every ID of the page belongs to its state and is in the
// catalog.
func TestMessageIDs(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "cmd/imds-ready/messageid.go"))
	if err != nil {
		t.Fatal(err)
	}
	rows := readPage(t, command).in("JOURNAL", "*").rows("Li")
	for _, row := range rows {
		want := `case "` + row[1] + `":` + "\n\t\treturn \"" + row[0] + `"`
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is not the ID of %s", row[0], row[1])
		}
	}
	if len(rows) != 9 {
		t.Errorf("%d rows of IDs", len(rows))
	}
	catalog, err := os.ReadFile(filepath.Join(root, "packaging/systemd/imds-ready.catalog"))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range messageID.FindAllString(readPage(t, command).text(), -1) {
		if !strings.Contains(string(catalog), "-- "+id+"\n") {
			t.Errorf("%s is not in the catalog", id)
		}
	}
}
