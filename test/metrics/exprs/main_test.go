// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name, dashboard, stdout, stderr string
		exit                            int
	}{
		{
			"two queries", `{"panels": [{"id": 3, "targets": [{"expr": "a{i=~\"$instance\"}", "refId": "A"}]}, {"id": 4, "targets": [{"expr": "b", "refId": "B"}]}]}`,
			`{"groups":[{"name":"dashboard","rules":[{"record":"dashboard:panel3:a","expr":"a{i=~\".*\"}"},{"record":"dashboard:panel4:b","expr":"b"}]}]}` + "\n", "", 0,
		},
		{"a variable", `{"panels": [{"id": 3, "targets": [{"expr": "rate(a[$__range])", "refId": "A"}]}]}`, "", "panel 3, query A", 1},
		{"an empty query", `{"panels": [{"id": 3, "targets": [{}]}]}`, "", "panel 3", 1},
		{"no query", `{"panels": []}`, "", "no queries", 1},
		{"no JSON", `panels:`, "", "reading the dashboard", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "dashboard.json")
			if err := os.WriteFile(file, []byte(tt.dashboard), 0o644); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr strings.Builder
			exit := run([]string{file}, &stdout, &stderr)
			if exit != tt.exit || stdout.String() != tt.stdout || !strings.Contains(stderr.String(), tt.stderr) || tt.stderr == "" && stderr.Len() > 0 {
				t.Errorf("exit %d, %s, %s", exit, stdout.String(), stderr.String())
			}
		})
	}
	var stdout, stderr strings.Builder
	if exit := run(nil, &stdout, &stderr); exit != 64 || !strings.Contains(stderr.String(), "usage:") {
		t.Errorf("no argument: exit %d, %s", exit, stderr.String())
	}
	if exit := run([]string{"/nonexistent"}, &stdout, &stderr); exit != 1 {
		t.Errorf("no file: exit %d, %s", exit, stderr.String())
	}
}
