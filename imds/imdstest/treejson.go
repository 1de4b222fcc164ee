// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of a tree as JSON.
const (
	maxTreeBytes = 64 << 20
	maxTreeDepth = 32
	maxTreeName  = 255 // bytes
)

// ParseTree reads a tree from nested JSON, at most 64 MiB: an object is a
// directory, a string the body of a leaf (a JSON document is one string too),
// an array of strings a leaf of lines separated by LF. The member "" of an
// object is its listing verbatim, an empty object a directory without an entry.
//
// Anything else is an error that names the place: a name that is twice there,
// is "." or "..", or has a "/" or a control character; other types; a depth over
// 32; bytes that are not UTF-8; something after the object.
func ParseTree(r io.Reader) (Tree, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTreeBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading tree: %w", err)
	}
	if len(text) > maxTreeBytes {
		return nil, fmt.Errorf("parsing tree: more than %d bytes", maxTreeBytes)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("parsing tree: not UTF-8")
	}
	p := treeParser{dec: json.NewDecoder(bytes.NewReader(text)), tree: Tree{}}
	if err := p.parse(); err != nil {
		return nil, fmt.Errorf("parsing tree: byte %d: %w", p.dec.InputOffset(), err)
	}
	return p.tree, nil
}

// treeParser walks the tokens, which shows what a map would hide: a name that
// is there twice.
type treeParser struct {
	dec  *json.Decoder
	tree Tree
}

func (p *treeParser) parse() error {
	tok, err := p.next()
	if err != nil {
		return err
	}
	if tok != json.Delim('{') {
		return fmt.Errorf("%v instead of an object", tok)
	}
	if err := p.directory("", 1); err != nil {
		return err
	}
	if tok, err := p.dec.Token(); err != io.EOF {
		return fmt.Errorf("%v after the end of the tree", tok)
	}
	return nil
}

// next is a token, with an end of file as the error that it is here.
func (p *treeParser) next() (json.Token, error) {
	tok, err := p.dec.Token()
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	return tok, err
}

// directory reads members up to the closing brace; prefix ends in "/".
func (p *treeParser) directory(prefix string, depth int) error {
	if depth > maxTreeDepth {
		return fmt.Errorf("/%s: more than %d levels", prefix, maxTreeDepth)
	}
	seen := make(map[string]bool)
	for p.dec.More() {
		tok, err := p.next()
		if err != nil {
			return err
		}
		name, ok := tok.(string)
		if !ok {
			return fmt.Errorf("/%s: %v instead of a name", prefix, tok)
		}
		if seen[name] {
			return fmt.Errorf("/%s: the name %q is there twice", prefix, name)
		}
		seen[name] = true
		if err := p.member(prefix, name, depth); err != nil {
			return err
		}
	}
	if len(seen) == 0 && prefix != "" {
		p.tree[prefix] = ""
	}
	_, err := p.next() // the brace
	return err
}

// member reads the value of one name.
func (p *treeParser) member(prefix, name string, depth int) error {
	path := prefix + name
	if name == "" && prefix == "" {
		return errors.New("the root has no listing of its own")
	}
	if name != "" && !isName(name) {
		return fmt.Errorf(`/%s: the name %q is "." or "..", is over %d bytes, or has a "/" or a control character`, prefix, name, maxTreeName)
	}
	tok, err := p.next()
	if err != nil {
		return err
	}
	switch v := tok.(type) {
	case string:
		p.tree[path] = v
		return nil
	case json.Delim:
		if v == '[' {
			return p.lines(path)
		}
		if v == '{' && name != "" {
			return p.directory(path+"/", depth+1)
		}
	}
	return fmt.Errorf("/%s: %v instead of a string, lines or a directory", path, tok)
}

// lines reads an array of strings.
func (p *treeParser) lines(path string) error {
	var lines []string
	for p.dec.More() {
		tok, err := p.next()
		if err != nil {
			return err
		}
		line, ok := tok.(string)
		if !ok {
			return fmt.Errorf("/%s: %v among the lines, which are strings", path, tok)
		}
		lines = append(lines, line)
	}
	p.tree[path] = strings.Join(lines, "\n")
	_, err := p.next() // the bracket
	return err
}

// isName reports whether an entry can be called so.
func isName(s string) bool {
	return s != "." && s != ".." && len(s) <= maxTreeName &&
		!strings.Contains(s, "/") && strings.IndexFunc(s, unicode.IsControl) < 0
}

// MarshalJSON writes the nested form that [ParseTree] reads. It is an error
// when a path is a leaf and a directory at once, which that form cannot say.
func (t Tree) MarshalJSON() ([]byte, error) {
	root := make(map[string]any)
	for key, body := range t {
		if !utf8.ValidString(key) || !utf8.ValidString(body) {
			return nil, fmt.Errorf("%q: not UTF-8, which JSON has to be", key)
		}
		dir := root
		segments := strings.Split(key, "/")
		for _, s := range segments[:len(segments)-1] {
			if dir[s] == nil {
				dir[s] = make(map[string]any)
			}
			next, ok := dir[s].(map[string]any)
			if !ok {
				return nil, fmt.Errorf("%s: a leaf and a directory at once", key)
			}
			dir = next
		}
		last := segments[len(segments)-1]
		if _, ok := dir[last]; ok {
			return nil, fmt.Errorf("%s: a leaf and a directory at once", key)
		}
		dir[last] = body
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(root)
	return b.Bytes(), err
}
