// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tree is the metadata that a server serves: it maps a path below the version,
// such as "meta-data/instance-id", to the body found there. Directories are
// implied, and their listings computed. A key that ends in "/" is a listing that
// is served as it stands, for listings that are not the names of their entries,
// such as that of public-keys/, or that lie. A path may be a leaf and a directory
// at once: the listing that contains it then has both "x" and "x/", as the real
// service has for iam/security-credentials.
type Tree map[string]string

// The limits of a tree as JSON.
const (
	maxTreeBytes = 64 << 20
	maxTreeDepth = 32
	maxTreeName  = 255 // bytes
)

//go:embed default.json
var defaultJSON string

// DefaultTree returns the metadata of an ordinary instance in us-east-1: two
// network interfaces, a role, tags, a key, user data, about 90 paths to crawl.
// Names and formats are those of the AWS EC2 User Guide, "Instance metadata
// categories"; every identifier and secret in it is made up. The caller owns
// the tree.
func DefaultTree() Tree {
	tree, err := ParseTree(strings.NewReader(defaultJSON))
	if err != nil {
		panic("imdstest: the default tree: " + err.Error()) // a test parses it
	}
	return tree
}

// Clone returns a copy that can be changed independently.
func (t Tree) Clone() Tree {
	return maps.Clone(t)
}

// Without returns a copy that lacks some paths and everything below them.
func (t Tree) Without(paths ...string) Tree {
	c := t.Clone()
	for _, p := range paths {
		p = strings.TrimSuffix(p, "/")
		maps.DeleteFunc(c, func(key, _ string) bool {
			return key == p || strings.HasPrefix(key, p+"/")
		})
	}
	return c
}

// leaf returns the body of a path that is not a directory.
func (t Tree) leaf(path string) (body string, ok bool) {
	if path == "" || strings.HasSuffix(path, "/") {
		return "", false
	}
	body, ok = t[path]
	return body, ok
}

// list returns the sorted entries of a directory, or nil if there is none at the
// path. A key of the tree that ends in "/" is the listing itself.
func (t Tree) list(path string) []string {
	dir := strings.TrimSuffix(path, "/") + "/"
	if listing, ok := t[dir]; ok {
		return strings.Split(listing, "\n")
	}
	if dir == "/" {
		dir = ""
	}
	var entries []string
	for key := range t {
		below, ok := strings.CutPrefix(key, dir)
		if !ok || below == "" {
			continue
		}
		if name, _, isDir := strings.Cut(below, "/"); isDir {
			below = name + "/"
		}
		entries = append(entries, below)
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

// ParseTree reads a tree from nested JSON, at most 64 MiB: an object is a
// directory, a string the body of a leaf (a JSON document is one string too),
// an array of strings a leaf of lines separated by LF. The member "" of an
// object is its listing, served as it stands; an empty object is a directory
// without entries.
//
// Anything else is an error that names the place: a name that occurs twice, is
// "." or "..", is longer than 255 bytes, or contains a "/" or a control
// character; other types; a depth over 32; bytes that are not UTF-8; text after
// the object.
func ParseTree(r io.Reader) (Tree, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTreeBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading tree: %w", err)
	case len(text) > maxTreeBytes:
		return nil, fmt.Errorf("parsing tree: more than %d bytes", maxTreeBytes)
	case !utf8.Valid(text):
		return nil, errors.New("parsing tree: not UTF-8")
	}
	// The syntax is checked first, so that reading tokens cannot fail later.
	err = json.Unmarshal(text, new(json.RawMessage))
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("parsing tree: byte %d: %w", syntax.Offset, err)
	}
	p := treeParser{json.NewDecoder(bytes.NewReader(text)), Tree{}}
	if p.next() != json.Delim('{') {
		return nil, errors.New("parsing tree: byte 1: must be an object")
	}
	if err := p.directory("", 1); err != nil {
		return nil, fmt.Errorf("parsing tree: byte %d: %w", p.InputOffset(), err)
	}
	return p.tree, nil
}

// treeParser reads the tokens of valid JSON one by one. Unmarshaling into a map
// would hide a name that occurs twice.
type treeParser struct {
	*json.Decoder
	tree Tree
}

// next returns the next token, nil for a number out of range.
func (p treeParser) next() json.Token {
	tok, _ := p.Token()
	return tok
}

// directory reads members up to the closing brace; path is "" or ends in "/".
func (p treeParser) directory(path string, depth int) error {
	if depth > maxTreeDepth {
		return fmt.Errorf("/%s: more than %d levels", path, maxTreeDepth)
	}
	seen := make(map[string]bool)
	for p.More() {
		name, _ := p.next().(string)
		switch {
		case seen[name]:
			return fmt.Errorf("/%s: the name %q occurs twice", path, name)
		case name == "" && path == "":
			return errors.New(`/: the root must not have a listing (the name "")`)
		case name != "" && !isName(name):
			return fmt.Errorf(`/%s: the name %q must not be "." or "..", be over %d bytes, or contain "/" or a control character`, path, name, maxTreeName)
		}
		seen[name] = true
		if err := p.member(path+name, depth); err != nil {
			return err
		}
	}
	if len(seen) == 0 && path != "" {
		p.tree[path] = ""
	}
	p.next() // the brace
	return nil
}

// member reads the value at a path, which ends in "/" if it is a listing.
func (p treeParser) member(path string, depth int) error {
	switch tok := p.next(); {
	case tok == json.Delim('{') && !strings.HasSuffix(path, "/"):
		return p.directory(path+"/", depth+1)
	case tok == json.Delim('['):
		var lines []string
		for p.More() {
			line, ok := p.next().(string)
			if !ok {
				return fmt.Errorf("/%s: every line must be a string", path)
			}
			lines = append(lines, line)
		}
		p.next() // the bracket
		p.tree[path] = strings.Join(lines, "\n")
	default:
		body, ok := tok.(string)
		if !ok {
			return fmt.Errorf("/%s: must be a string, an array of strings or, except for a listing, an object", path)
		}
		p.tree[path] = body
	}
	return nil
}

// isName reports whether an entry of a directory can have this name.
func isName(s string) bool {
	return s != "." && s != ".." && len(s) <= maxTreeName &&
		!strings.Contains(s, "/") && strings.IndexFunc(s, unicode.IsControl) < 0
}

// MarshalJSON writes the nested form that [ParseTree] reads. It fails if a path
// is a leaf and a directory at once, which that form cannot express.
func (t Tree) MarshalJSON() ([]byte, error) {
	root := make(map[string]any)
	for key, body := range t {
		if !utf8.ValidString(key) || !utf8.ValidString(body) {
			return nil, fmt.Errorf("%q: not UTF-8", key)
		}
		dir, segments := root, strings.Split(key, "/")
		name := segments[len(segments)-1]
		for _, s := range segments[:len(segments)-1] {
			if dir[s] == nil {
				dir[s] = make(map[string]any)
			}
			next, ok := dir[s].(map[string]any)
			if !ok {
				return nil, fmt.Errorf("%q: a leaf and a directory at once", key)
			}
			dir = next
		}
		if _, taken := dir[name]; taken {
			return nil, fmt.Errorf("%q: a leaf and a directory at once", key)
		}
		dir[name] = body
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(root)
	return b.Bytes(), err
}
