// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
)

// printValue prints the JSON of a value: a string as it is, a list one item a line,
// and anything else, or if jsonAlways is set everything, as JSON, indented as in the
// files.
func (p *program) printValue(value json.RawMessage, jsonAlways bool) {
	out := bufio.NewWriter(p.stdout)
	defer out.Flush() // run sees whether it could be written
	dec := json.NewDecoder(bytes.NewReader(value))
	if jsonAlways || value[0] != '"' && value[0] != '[' {
		out.Write(value)
		out.WriteByte('\n')
		return
	}
	if value[0] == '[' {
		_, _ = dec.Token() // the bracket
	}
	var item json.RawMessage
	var line bytes.Buffer
	for dec.More() {
		if dec.Decode(&item) != nil {
			return // it was valid when it was read
		}
		switch item[0] {
		case '"':
			var text string
			_ = json.Unmarshal(item, &text)
			out.WriteString(text)
		case '{', '[':
			line.Reset()
			_ = json.Compact(&line, item)
			out.Write(line.Bytes())
		default:
			out.Write(item)
		}
		out.WriteByte('\n')
	}
}

// jsonText is the JSON of a string, with < > & as they are.
func jsonText(s string) json.RawMessage {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
