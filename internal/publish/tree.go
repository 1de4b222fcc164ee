// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// tree is the tree below meta-data/.
type tree struct {
	// dirs contains every directory by its path without a final slash. A directory also
	// contains its subdirectories, as the same maps. A leaf is a string, a []string or a
	// JSON document, depending on its path.
	dirs map[string]map[string]any
}

// dir returns the directory at path, such as [paths.Tags].
func (t *tree) dir(path string) (map[string]any, bool) {
	d, ok := t.dirs[strings.TrimSuffix(path, "/")]
	return d, ok
}

// node returns the leaf or the directory at path, or nil.
func (t *tree) node(path string) any {
	i := strings.LastIndexByte(path, '/')
	return t.dirs[path[:max(i, 0)]][path[i+1:]]
}

// text returns the string at path.
func (t *tree) text(path string) (string, bool) {
	s, ok := t.node(path).(string)
	return s, ok
}

// tags returns the tags of the instance, or false if IMDS does not expose them. Tags are
// strings; IMDS never serves a directory there.
func (t *tree) tags() (map[string]string, bool) {
	dir, ok := t.dir(paths.Tags)
	if !ok {
		return nil, false
	}
	tags := map[string]string{}
	for key, v := range dir {
		if s, isString := v.(string); isString {
			tags[key] = s
		}
	}
	return tags, true
}

// tree arranges the leaves below meta-data/ in directories. It does so in sorted order, so
// that the same leaves always have the same problems.
func (b *builder) tree() *tree {
	t := &tree{dirs: map[string]map[string]any{}}
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(b.leaves)) {
		if b.usable(key) {
			keys = append(keys, key)
		}
	}
	// Create all directories first, so that a leaf with the name of a directory is ignored.
	for _, key := range keys {
		if i := strings.LastIndexByte(key, '/'); i > 0 {
			t.mkdir(key[:i])
		}
	}
	for _, key := range keys {
		if !strings.HasSuffix(key, "/") {
			b.leaf(t, key)
		}
	}
	return t
}

// maxSegments is the maximum number of segments of a path. The crawl already stops at 12.
const maxSegments = 32

// usable reports whether key can be in the tree. If it is invalid, usable records a problem.
func (b *builder) usable(key string) bool {
	rest, below := strings.CutPrefix(key, paths.MetaData)
	if !below {
		return false // it does not belong in meta-data.json
	}
	if rest == "" {
		return true
	}
	if paths.IsCredentials(key) {
		return false
	}
	if class := checkPath(key); class != "" {
		b.problem(key, class)
		return false
	}
	// A list or a document cannot be a directory, because its type is documented.
	segs := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	last := len(segs)
	if !strings.HasSuffix(key, "/") {
		last--
	}
	for i := 1; i <= last; i++ {
		if paths.KindOf(segs[:i]) != paths.Text {
			b.problem(paths.MetaData+strings.Join(segs[:i], "/"), classBadResponse)
			return false
		}
	}
	return true
}

// checkPath returns the error class of a path, or "" if the path can be a key in a file. It
// rejects the paths that the crawl rejects, because listings are untrusted data.
func checkPath(path string) (class string) {
	if !utf8.ValidString(path) {
		return classNotUTF8
	}
	segs := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if len(segs) > maxSegments || strings.ContainsFunc(path, unicode.IsControl) {
		return classBadResponse
	}
	for _, s := range segs {
		if s == "" || s == "." || s == ".." {
			return classBadResponse
		}
	}
	return ""
}

// mkdir returns the directory at path. It adds the directory and its parents if they are
// missing.
func (t *tree) mkdir(path string) map[string]any {
	if d, ok := t.dirs[path]; ok {
		return d
	}
	d := map[string]any{}
	t.dirs[path] = d
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		t.mkdir(path[:i])[path[i+1:]] = d
	}
	return d
}

// leaf adds the body at key to its directory, with the type of its path.
func (b *builder) leaf(t *tree, key string) {
	if _, ok := t.dirs[key]; ok {
		return
	}
	i := strings.LastIndexByte(key, '/')
	segs := strings.Split(strings.TrimPrefix(key, paths.MetaData), "/")
	s, class := text(b.leaves[key])
	var v any = s
	switch paths.KindOf(segs) {
	case paths.Text:
		v = paths.Chomp(s)
	case paths.Lines:
		v = paths.SplitLines(s)
	case paths.Document:
		v, class = document(b.leaves[key])
	}
	if class == "" && !b.fits(v, key) {
		class = classTooLarge
	}
	if class != "" {
		b.problem(key, class)
		return
	}
	t.dirs[key[:i]][key[i+1:]] = v
}

// fits reports whether meta-data.json has room for a node at path, and reserves the room.
func (b *builder) fits(node any, path string) bool {
	depth := strings.Count(path, "/")
	size := encodedSize(node, depth) + escapedSize(path[strings.LastIndexByte(path, '/')+1:]) + 2*depth + 6
	if b.size+size > maxMetaData {
		return false
	}
	b.size += size
	return true
}

// merge adds the previous value of each missing path. A value is dropped if an ancestor is a
// leaf now, or if two collections in a row got a 404 for it, except for the root and the
// interfaces. A path that a successful listing no longer contains is not missing, so its
// value is dropped as well.
func (b *builder) merge(t *tree, previous *Previous) {
	for _, path := range slices.Sorted(maps.Keys(b.missing)) { // a directory comes before its content
		key, below := strings.CutPrefix(path, paths.MetaData)
		again := b.missing[path] == "404" && previous.missing[path] == "404"
		if !below || again && path != paths.MetaData && path != paths.Macs {
			continue
		}
		if old := previous.lookup(key); old != nil && b.usable(path) {
			b.restore(t, path, old)
			b.restored[path] = true
		}
	}
}

// lookup returns the previous node at a path below meta-data/, or nil.
func (p *Previous) lookup(key string) any {
	var node any = p.metaData
	for _, seg := range segments(key) {
		dir, _ := node.(map[string]any)
		node = dir[seg]
	}
	return node
}

// segments splits a path below meta-data/. The root has no segments.
func segments(key string) []string {
	key = strings.TrimSuffix(key, "/")
	if key == "" {
		return nil
	}
	return strings.Split(key, "/")
}

// restore adds a previous node at path, which ends in "/" if it must be a directory. If the
// collection already has that directory, only missing nodes in it are added.
func (b *builder) restore(t *tree, path string, old any) {
	name := strings.TrimSuffix(path, "/")
	segs := segments(strings.TrimPrefix(name+"/", paths.MetaData))
	dir, isDir := old.(map[string]any)
	isDir = isDir && paths.KindOf(segs) != paths.Document
	now := t.node(name)
	_, nowDir := t.dir(name)
	switch {
	case isDir != strings.HasSuffix(path, "/"), now != nil && !(isDir && nowDir), t.leafAbove(name):
		return
	case isDir:
		t.mkdir(name)
		for _, below := range slices.Sorted(maps.Keys(dir)) {
			child := name + "/" + below
			if _, ok := dir[below].(map[string]any); ok && paths.KindOf(append(slices.Clone(segs), below)) != paths.Document {
				child += "/"
			}
			b.restore(t, child, dir[below])
		}
		return
	}
	if list, ok := old.([]any); ok && paths.KindOf(segs) == paths.Lines {
		old = stringsOf(list)
	}
	if b.fits(old, name) {
		i := strings.LastIndexByte(name, '/')
		t.mkdir(name[:i])[name[i+1:]] = old
	}
}

// leafAbove reports whether an ancestor of path is a leaf.
func (t *tree) leafAbove(path string) bool {
	for i := range path {
		if path[i] != '/' {
			continue
		}
		if _, isDir := t.dirs[path[:i]]; !isDir && t.node(path[:i]) != nil {
			return true
		}
	}
	return false
}

// stringsOf returns the strings in a JSON array.
func stringsOf(list []any) []string {
	found := make([]string, 0, len(list))
	for _, e := range list {
		if s, ok := e.(string); ok {
			found = append(found, s)
		}
	}
	return found
}

// Paths returns how many paths a collection requests that leads to the same tree.
func (p *Previous) Paths() int { return len(p.missing) + requests(p.metaData, nil) }

// requests returns how many paths lead to a node, whose path has these segments: one for each
// directory and for each leaf.
func requests(node any, segs []string) int {
	dir, isDir := node.(map[string]any)
	if !isDir || paths.KindOf(segs) == paths.Document {
		return 1
	}
	n := 1
	for name, child := range dir {
		n += requests(child, append(slices.Clip(segs), name))
	}
	return n
}
