// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// printValue prints a value of a file: a string as it is, a list one item a line,
// anything else, and with always everything, as JSON.
func (p *program) printValue(value any, always bool) {
	if always {
		p.printJSONValue(value)
		return
	}
	switch v := value.(type) {
	case string:
		fmt.Fprintln(p.stdout, v)
	case []any:
		for _, item := range v {
			if s, ok := item.(string); ok {
				fmt.Fprintln(p.stdout, s)
			} else {
				fmt.Fprintln(p.stdout, string(jsonText(item, "")))
			}
		}
	default:
		p.printJSONValue(value)
	}
}

// printJSONValue prints it as the files have it: sorted, two spaces, < > & as they
// are.
func (p *program) printJSONValue(value any) {
	fmt.Fprintln(p.stdout, string(jsonText(value, "  ")))
}

// jsonText is value as JSON, on one line for no indentation. What it is given was
// JSON before, so encoding it cannot fail.
func jsonText(value any, indent string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(value); err != nil {
		return []byte("null")
	}
	return []byte(strings.TrimSuffix(buf.String(), "\n"))
}
