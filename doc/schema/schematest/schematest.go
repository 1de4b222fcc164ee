// SPDX-License-Identifier: Apache-2.0

// Package schematest checks files against the schemas of doc/schema, for all tests
// that produce such files. [Check] is for a few files. [Load] is for thousands of
// files, as a property test or a fuzz target makes them.
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

// suffix is the end of a schema's file name.
const suffix = ".schema.json"

// Schemas are compiled schemas by the name of the file that they describe, such as
// status.json. They are safe for concurrent use.
type Schemas map[string]*jsonschema.Schema

// Check fails the test if data does not match the schema of the file name, such as
// status.json, or if no schema has that name.
func Check(t testing.TB, name string, data []byte) {
	t.Helper()
	compiled, err := compile(strings.TrimSuffix(name, ".json") + suffix)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	Schemas{name: compiled}.Check(t, name, data)
}

// Load compiles all schemas once, for many files.
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

// Check is like the function [Check], with schemas that are already compiled.
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

// compile compiles one schema. It checks formats such as date-time, which draft
// 2020-12 leaves optional.
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
