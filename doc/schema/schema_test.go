// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/doc/schema"
	"github.com/imds-ready/imds-ready/doc/schema/schematest"
)

// schemas returns each schema as decoded JSON, by its file name.
func schemas(t *testing.T) map[string]map[string]any {
	t.Helper()
	names, err := fs.Glob(schema.FS, "*")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]map[string]any{}
	for _, name := range names {
		text, err := schema.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m[name] = v
	}
	return m
}

func TestHeads(t *testing.T) {
	all := schemas(t)
	for _, name := range []string{"status", "identity", "meta-data", "network", "tags", "signatures", "watch-status"} {
		s, ok := all[name+".schema.json"]
		if !ok {
			t.Errorf("%s.json has no schema", name)
			continue
		}
		for key, want := range map[string]string{
			"$schema": "https://json-schema.org/draft/2020-12/schema",
			"$id":     "https://github.com/imds-ready/imds-ready/doc/schema/" + name + ".schema.json",
			"title":   strings.Replace(name, "watch-", "watch/", 1) + ".json of imds-ready",
			"type":    "object",
		} {
			if s[key] != want {
				t.Errorf("%s: %s is %v, want %s", name, key, s[key], want)
			}
		}
	}
	if len(all) != 7 {
		t.Errorf("%d schemas, want 7", len(all))
	}
}

// Every key is described, and every object is open, so that keys can be added later.
func TestEveryKeyIsDescribed(t *testing.T) {
	var walk func(t *testing.T, path string, v any)
	walk = func(t *testing.T, path string, v any) {
		s, ok := v.(map[string]any)
		if !ok {
			return
		}
		if text, _ := s["description"].(string); !strings.HasSuffix(text, ".") {
			// A $ref without a description has that of its target.
			if _, isRef := s["$ref"]; !isRef {
				t.Errorf("%s has no description: %v", path, s)
			}
		}
		if s["additionalProperties"] == false {
			t.Errorf("%s is closed", path)
		}
		for _, key := range []string{"properties", "patternProperties", "$defs"} {
			props, _ := s[key].(map[string]any)
			for name, p := range props {
				walk(t, path+"/"+name, p)
			}
		}
		walk(t, path+"/*", s["additionalProperties"])
		walk(t, path+"/[]", skipPlain(s["items"]))
	}
	for name, s := range schemas(t) {
		t.Run(name, func(t *testing.T) { walk(t, "", s) })
	}
}

// skipPlain returns nil if the items of an array are plain strings.
func skipPlain(items any) any {
	if m, _ := items.(map[string]any); len(m) == 1 && m["type"] == "string" {
		return nil
	}
	return items
}

// The schemas reject what must not be in the files: with a schema that accepts
// everything, every other test would pass.
func TestRefused(t *testing.T) {
	const mac = `{"network": {"interfaces": {"macs": {"02:00:00:00:00:01": `
	tests := []struct{ name, file, data, want string }{
		{"identity", "identity.json", `[]`, "want object"},
		{"identity null", "identity.json", `null`, "want object"},
		{"a tag", "tags.json", `{"a": null}`, "want string"},
		{"signatures without a key", "signatures.json", `{"document": null, "pkcs7": "", "signature": ""}`, "rsa2048"},
		{"a number", "meta-data.json", `{"ami-launch-index": 0}`, "ami-launch-index"},
		{"an unknown number", "meta-data.json", `{"new": {"deep": 1}}`, "/new/deep"},
		{"a list as a string", "meta-data.json", `{"security-groups": "a"}`, "want array"},
		{"a list as an object", "meta-data.json", `{"product-codes": {}}`, "want array"},
		{"a string as a list", "meta-data.json", `{"instance-id": ["a"]}`, "instance-id"},
		{"a list of numbers", "meta-data.json", `{"ancestor-ami-ids": [1]}`, "want string"},
		{"credentials", "meta-data.json", `{"iam": {"security-credentials": {}}}`, "security-credentials"},
		{"EC2's", "meta-data.json", `{"identity-credentials": {"ec2": {"security-credentials": ""}}}`, "security-credentials"},
		{"others'", "meta-data.json", `{"identity-credentials": {"x": {"security-credentials": ""}}}`, "security-credentials"},
		{"an address", "meta-data.json", mac + `{"local-ipv4s": "a"}}}}}`, "want array"},
		{"a block", "meta-data.json", mac + `{"vpc-ipv6-cidr-blocks": "a"}}}}}`, "want array"},
		{"one block", "meta-data.json", mac + `{"vpc-ipv4-cidr-block": ["a"]}}}}}`, "vpc-ipv4-cidr-block"},
		{"an association", "meta-data.json", mac + `{"ipv4-associations": {"a": "b"}}}}}}`, "want array"},
		{"no interfaces", "network.json", `{}`, "interfaces"},
		{"an interface without keys", "network.json", `{"interfaces": [{}]}`, "missing properties"},
		{"no status", "status.json", `{}`, "missing properties"},
	}
	all := schematest.Load(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := all.Validate(tt.file, []byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.data, err, tt.want)
			}
		})
	}
}

const status = `{"attempts": 1, "boot_id": "b", "changed": ["tags.json"], "collected_at": null, "deadline_at": null, "elapsed_seconds": 2.300, "endpoint": null,
"errors": {"503": 1}, "exit_code": null, "files": {"a": null}, "generation": 0, "last_error": null, "missing": {}, "missing_more": 0,
"pid": null, "ready_at": null, "requests": 1, "required": {"x": {"ok": true, "class": null}}, "schema": 1,
"stale_since": null, "started_at": "2026-01-02T03:04:05.12Z", "state": "ready", "updated_at": null, "version": ""}`

// Each row breaks one key of a valid status.
func TestStatusRefused(t *testing.T) {
	all := schematest.Load(t)
	all.Check(t, "status.json", []byte(status))
	all.Check(t, "status.json", []byte(strings.Replace(status, `"schema"`, `"new": 1, "schema"`, 1)))
	for _, tt := range []struct{ old, bad string }{
		{`"attempts": 1`, `"attempts": -1`},
		{`"attempts": 1`, `"attempts": 1.5`},
		{`"attempts": 1, `, ``},
		{`"boot_id": "b"`, `"boot_id": ""`},
		{`["tags.json"]`, `null`},
		{`["tags.json"]`, `[1]`},
		{`"collected_at": null`, `"collected_at": 0`},
		{`"stale_since": null, `, ``},
		{`"deadline_at": null`, `"deadline_at": ""`},
		{`2.300`, `"2.300"`},
		{`2.300`, `null`},
		{`"503": 1`, `"503": 0`},
		{`{"503": 1}`, `null`},
		{`"exit_code": null`, `"exit_code": 256`},
		{`{"a": null}`, `{"a": "abc"}`},
		{`"last_error": null`, `"last_error": {"class": "x"}`},
		{`"missing_more": 0`, `"missing_more": -1`},
		{`"missing_more": 0,`, ``},
		{`"pid": null`, `"pid": 0`},
		{`"class": null`, `"class": 1`},
		{`"ok": true, `, ``},
		{`"schema": 1`, `"schema": 2`},
		{`05.12Z`, `05.12+01:00`},
		{`2026-01-02T03:04:05.12Z`, `2026-01-02 03:04:05Z`},
		{`"state": "ready"`, `"state": "READY"`},
		{`"version": ""`, `"version": null`},
	} {
		if text := strings.Replace(status, tt.old, tt.bad, 1); text == status || all.Validate("status.json", []byte(text)) == nil {
			t.Errorf("%s instead of %s is accepted", tt.bad, tt.old)
		}
	}
}

const watchStatus = `{"boot_id": "b", "paths": {"meta-data/x": {"changed_at": null, "class": "503", "last_answer_at": null, "present": true}},
"pid": 7, "schema": 1, "started_at": "2026-01-02T03:04:05.12Z", "updated_at": "2026-01-02T03:04:05Z", "version": ""}`

// Each row breaks one key of a valid status of watch.
func TestWatchStatusRefused(t *testing.T) {
	all := schematest.Load(t)
	all.Check(t, "watch-status.json", []byte(watchStatus))
	for _, tt := range []struct{ old, bad string }{
		{`"boot_id": "b"`, `"boot_id": ""`},
		{`"changed_at": null, `, ``},
		{`"last_answer_at": null`, `"last_answer_at": ""`},
		{`"class": "503"`, `"class": 503`},
		{`"present": true`, `"present": null`},
		{`"pid": 7`, `"pid": null`},
		{`"schema": 1`, `"schema": 2`},
		{`05.12Z`, `05.12+01:00`},
		{`"updated_at": "2026-01-02T03:04:05Z"`, `"updated_at": null`},
	} {
		if text := strings.Replace(watchStatus, tt.old, tt.bad, 1); text == watchStatus || all.Validate("watch-status.json", []byte(text)) == nil {
			t.Errorf("%s instead of %s is accepted", tt.bad, tt.old)
		}
	}
}
