// SPDX-License-Identifier: Apache-2.0

// Package schematest holds files against the schemas of doc/schema, for every
// test that produces one. [Check] is for a file or two, [Load] for thousands, as
// a property or a fuzz target makes them.
package schematest

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/imds-ready/imds-ready/doc/schema"
)

// suffix is what the name of a schema ends with.
const suffix = ".schema.json"

// Schemas are compiled schemas, by the name of the file that they are for, such
// as status.json. They may be used by several goroutines at once.
type Schemas map[string]*jsonschema.Schema

// Check fails the test when data is not valid by the schema of the file name,
// such as status.json, or when there is no schema of that name.
func Check(t testing.TB, name string, data []byte) {
	t.Helper()
	compiled, err := compile(strings.TrimSuffix(name, ".json") + suffix)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	Schemas{name: compiled}.Check(t, name, data)
}

// Load compiles all schemas, once for many files.
func Load(t testing.TB) Schemas {
	t.Helper()
	names, err := fs.Glob(schema.FS, "*"+suffix)
	if err != nil {
		t.Fatal(err)
	}
	s := Schemas{}
	for _, file := range names {
		compiled, err := compile(file)
		if err != nil {
			t.Fatal(err)
		}
		s[strings.TrimSuffix(file, suffix)+".json"] = compiled
	}
	return s
}

// Check is [Check] with schemas that are compiled already.
func (s Schemas) Check(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := s.Validate(name, data); err != nil {
		t.Errorf("%v\n%s", err, data)
	}
}

// Validate is Check without a test. The error says which key is wrong and why.
func (s Schemas) Validate(name string, data []byte) error {
	compiled, ok := s[name]
	if !ok {
		return fmt.Errorf("%s: no schema", name)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%s: reading JSON: %w", name, err)
	}
	if err := compiled.Validate(v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// compile reads one schema. Formats (date-time) are asserted, which draft
// 2020-12 leaves to the reader.
func compile(file string) (*jsonschema.Schema, error) {
	text, err := schema.FS.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a schema: %w", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: parsing: %w", file, err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(file, doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	compiled, err := c.Compile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: compiling: %w", file, err)
	}
	return compiled, nil
}
