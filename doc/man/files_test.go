// SPDX-License-Identifier: Apache-2.0

package man_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/doc/schema"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/snapshot"
)

const files = "imds-ready-files.5"

// TestFiles compares the files, their modes and their order.
func TestFiles(t *testing.T) {
	p := readPage(t, files)
	modes := map[string]string{snapshot.StatusFile: "0644"}
	var order []string
	leaves := map[string][]byte{}
	for path, body := range imdstest.DefaultTree() {
		leaves[path] = []byte(body)
	}
	s, _ := publish.Build(publish.Collection{Leaves: leaves})
	for name, f := range s.Files(snapshot.Ready) {
		modes[name] = fmt.Sprintf("%04o", f.Mode())
		order = append(order, name)
	}
	order = append(order, snapshot.StatusFile)
	same(t, "files of the simulator's instance", order, values(constants(t, "snapshot", `^[A-Z]\w*File$`)))

	var names []string
	for _, row := range p.in("DESCRIPTION", "").rows("Pa") {
		names = append(names, row[0])
		if modes[row[0]] != row[1] {
			t.Errorf("the mode of %s is %s, the page says %s", row[0], modes[row[0]], row[1])
		}
	}
	same(t, "files", names, order)
	_, sequence, _ := strings.Cut(p.text(), "appear in this order:")
	if !strings.HasPrefix(sequence, " "+strings.Join(order[:len(order)-1], " , ")+" , and finally "+snapshot.StatusFile) {
		t.Errorf("the files are written in the order %v, the page says%.150s", order, sequence)
	}
	listed := readPage(t, command).in("FILES", "*").text()
	for _, name := range order {
		if !strings.Contains(listed, name) {
			t.Errorf("%s is not in %s", name, command)
		}
	}
}

// object is a part of a JSON schema.
type object map[string]any

func (o object) at(keys ...string) object {
	for _, k := range keys {
		next, _ := o[k].(map[string]any)
		o = next
	}
	return o
}

func (o object) keys() []string {
	var all []string
	for k := range o {
		all = append(all, k)
	}
	return all
}

func readSchema(t *testing.T, name string) object {
	t.Helper()
	data, err := schema.FS.ReadFile(name + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestFields compares the fields of every file that has fields, and the states.
func TestFields(t *testing.T) {
	p := readPage(t, files)
	status := readSchema(t, "status")
	fields := p.in("DESCRIPTION", "status.json")
	same(t, "status.json", fields.items("Va"), status.at("properties").keys())
	text := fields.item("Va", "last_error")
	for _, k := range status.at("properties", "last_error", "properties").keys() {
		if !slices.Contains(strings.Fields(text), k) {
			t.Errorf("last_error has %s, the page says %s", k, text)
		}
	}
	var states []string
	for _, s := range status.at("properties", "state")["enum"].([]any) {
		states = append(states, s.(string))
	}
	same(t, "states", fields.items("Cm"), states)
	same(t, "network.json", p.in("DESCRIPTION", "network.json").items("Va"),
		readSchema(t, "network").at("properties", "interfaces", "items", "properties").keys())
	same(t, "signatures.json", p.in("DESCRIPTION", "user-data and signatures.json").items("Va"),
		readSchema(t, "signatures").at("properties").keys())
}

// TestTypes compares the paths that are not strings with the schema.
func TestTypes(t *testing.T) {
	root := readSchema(t, "meta-data")
	var documents, arrays []string
	var walk func(prefix string, o object)
	walk = func(prefix string, o object) {
		switch ref, _ := o["$ref"].(string); {
		case ref == "#/$defs/lines":
			arrays = append(arrays, prefix)
			return
		case ref == "#/$defs/interface":
			walk(prefix, root.at("$defs", "interface"))
			return
		case ref != "" || o["not"] != nil:
			return
		}
		if text, _ := o["description"].(string); strings.HasSuffix(text, "A JSON document, as it is.") {
			documents = append(documents, prefix)
			return
		}
		for name := range o.at("properties") {
			walk(strings.TrimPrefix(prefix+"/"+name, "/"), o.at("properties", name))
		}
		for suffix := range o.at("patternProperties") {
			walk(prefix+"/*"+strings.TrimSuffix(suffix, "$"), o.at("patternProperties", suffix))
		}
		if o["additionalProperties"] != nil {
			walk(strings.TrimPrefix(prefix+"/*", "/"), o.at("additionalProperties"))
		}
	}
	walk("", root)

	var lists [][]string
	before := ""
	for _, l := range readPage(t, files).in("DESCRIPTION", "meta-data.json") {
		if strings.HasPrefix(l.text, ".Bl -item") {
			lists = append(lists, nil)
		} else if path, ok := strings.CutPrefix(l.text, ".Pa "); ok && before == ".It" {
			lists[len(lists)-1] = append(lists[len(lists)-1], path)
		}
		before = l.text
	}
	if len(lists) != 2 {
		t.Fatalf("%d lists of paths", len(lists))
	}
	same(t, "JSON documents", lists[0], documents)
	same(t, "arrays", lists[1], arrays)
}

func TestVariables(t *testing.T) {
	inCode := []string{constants(t, "internal/publish", "^envState$")["envState"]}
	for _, arg := range called(t, "internal/publish", "add") {
		if strings.HasPrefix(arg, "IMDS_") {
			inCode = append(inCode, arg)
		}
	}
	same(t, "imds.env", readPage(t, files).in("DESCRIPTION", "imds.env").items("Ev"), inCode)
}

func TestMetrics(t *testing.T) {
	var inCode []string
	for _, s := range literals(t, "internal/metrics") {
		if name, ok := strings.CutPrefix(s, "imds_ready_"); ok && !strings.ContainsAny(name, " .") {
			inCode = append(inCode, s)
		}
	}
	same(t, "metrics", readPage(t, files).in("DESCRIPTION", "Metrics").items("Va"), inCode)
}
