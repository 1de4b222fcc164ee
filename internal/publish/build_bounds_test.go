// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/snapshot"
)

// Indentation and escapes can make bodies thirty times as long. No file becomes too large
// to be read back, and small values are kept.
func TestWrittenIsReadable(t *testing.T) {
	nested := strings.Repeat("[", 15) + strings.TrimSuffix(strings.Repeat("0,", 120_000), ",") + strings.Repeat("]", 15)
	for name, leaf := range map[string]struct{ path, body string }{
		"deep lists": {"meta-data/events/maintenance/m%02d", nested},
		"escapes":    {"meta-data/x/%02d", strings.Repeat("\x01", 250_000)},
		"short lines": {
			"meta-data/network/interfaces/macs/0e:49:61:0f:c3:%02d/local-ipv4s", strings.Repeat("x\n", 125_000),
		},
	} {
		t.Run(name, func(t *testing.T) {
			leaves := map[string][]byte{
				"meta-data/ami-id":                       []byte("ami-1"),
				"dynamic/instance-identity/document":     []byte(`{"instanceId": "i-1"}`),
				"meta-data/tags/instance/Name":           []byte("web"),
				"meta-data/placement/availability-zone/": nil,
			}
			for i := range 15 {
				leaves[fmt.Sprintf(leaf.path, i)] = []byte(leaf.body)
			}
			s, problems := build(leaves)
			large := 0
			for _, p := range problems {
				if p.Class == "too-large" {
					large++
				}
			}
			if large == 0 {
				t.Errorf("no problem is too-large: %v", problems)
			}
			for name, f := range s.Files(snapshot.Ready) {
				if len(f.Data) > snapshot.MaxFile {
					t.Errorf("%s has %d bytes", name, len(f.Data))
				}
			}
			if data := string(s.files[snapshot.MetaDataFile].Data); !strings.Contains(data, `"ami-id": "ami-1"`) {
				t.Error("ami-id is missing")
			}
		})
	}
}

// encodedSize is never less than the size of the encoded value, and not much more.
func TestEncodedSize(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) any { return anyJSON(t, 4) })
	rapid.Check(t, func(t *rapid.T) {
		v := value.Draw(t, "value")
		data, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if size := encodedSize(v, 1); size+16 < len(data) {
			t.Fatalf("%d bytes, estimated as %d: %s", len(data), size, data)
		}
	})
}

func anyJSON(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	switch {
	case kind == 0:
		return nil
	case kind <= 2 || depth == 0:
		return rapid.String().Draw(t, "string")
	case kind == 3:
		list := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			list = append(list, anyJSON(t, depth-1))
		}
		return list
	default:
		object := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			object[rapid.String().Draw(t, "name")] = anyJSON(t, depth-1)
		}
		return object
	}
}
