// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"maps"
	"slices"
	"strings"

	"github.com/imds-ready/imds-ready/internal/paths"
)

// tree is what stands below meta-data/.
type tree struct {
	// dirs are the directories by path without a final slash, and at the same time
	// the nodes of the tree: a map in a map is a directory in a directory. A leaf is
	// a string, a []string or a JSON document, by its path.
	dirs map[string]map[string]any
}

// dir is the directory at path, such as [paths.Tags].
func (t *tree) dir(path string) (map[string]any, bool) {
	d, ok := t.dirs[strings.TrimSuffix(path, "/")]
	return d, ok
}

// node is the leaf or directory at path, or nil.
func (t *tree) node(path string) any {
	i := strings.LastIndexByte(path, '/')
	return t.dirs[path[:max(i, 0)]][path[i+1:]]
}

// text is the string at path.
func (t *tree) text(path string) (string, bool) {
	s, ok := t.node(path).(string)
	return s, ok
}

// tags are the instance's tags, and false if IMDS does not expose them. A tag is
// a string; IMDS never serves a directory there.
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

// tree sorts the leaves below meta-data/ into directories, in sorted order, so
// that the same leaves always meet the same problems.
func (b *builder) tree() *tree {
	t := &tree{dirs: map[string]map[string]any{}}
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(b.leaves)) {
		if b.usable(key) {
			keys = append(keys, key)
		}
	}
	// All directories first: a leaf of the same name then has no place.
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

// usable reports whether key may stand in the tree, and notes what is wrong with
// it otherwise.
func (b *builder) usable(key string) bool {
	rest, below := strings.CutPrefix(key, paths.MetaData)
	if !below {
		return false // it belongs to another file, or to none
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
	// A list or a document cannot be a directory: its type is promised.
	segs := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	last := len(segs)
	if !strings.HasSuffix(key, "/") {
		last--
	}
	for i := 1; i <= last; i++ {
		if kindOf(segs[:i]) != kindText {
			b.problem(paths.MetaData+strings.Join(segs[:i], "/"), classBadResponse)
			return false
		}
	}
	return true
}

// mkdir makes the directory at path and its parents.
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

// leaf puts the body at key into its directory, as the type that its path has.
func (b *builder) leaf(t *tree, key string) {
	if _, ok := t.dirs[key]; ok {
		return
	}
	i := strings.LastIndexByte(key, '/')
	segs := strings.Split(strings.TrimPrefix(key, paths.MetaData), "/")
	s, class := text(b.leaves[key])
	var v any = s
	switch kindOf(segs) {
	case kindText:
		v = Chomp(s)
	case kindLines:
		v = lines(s)
	case kindDocument:
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

// fits reports whether meta-data.json has room for a node at path, and takes it.
func (b *builder) fits(node any, path string) bool {
	depth := strings.Count(path, "/")
	size := encodedSize(node, depth) + escapedSize(path[strings.LastIndexByte(path, '/')+1:]) + 2*depth + 6
	if b.size+size > maxMetaData {
		return false
	}
	b.size += size
	return true
}

// merge puts the previous node of this boot in the place of each missing one.
// If an ancestor is a leaf now, or an intact listing no longer names the path, the
// path is not missing and its old value is gone. Two 404s in a row end a value
// too.
func (b *builder) merge(t *tree, previous *Previous) {
	for _, path := range slices.Sorted(maps.Keys(b.missing)) { // a directory before what is in it
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

// lookup is the previous node at a path below meta-data/, or nil.
func (p *Previous) lookup(key string) any {
	var node any = p.metaData
	for _, seg := range segments(key) {
		dir, _ := node.(map[string]any)
		node = dir[seg]
	}
	return node
}

// segments are those of a path below meta-data/; the root has none.
func segments(key string) []string {
	key = strings.TrimSuffix(key, "/")
	if key == "" {
		return nil
	}
	return strings.Split(key, "/")
}

// restore puts a previous node at path, which ends in "/" if it is a directory
// now. Where the collection has that directory, only what it lacks is added.
func (b *builder) restore(t *tree, path string, old any) {
	name := strings.TrimSuffix(path, "/")
	segs := segments(strings.TrimPrefix(name+"/", paths.MetaData))
	dir, isDir := old.(map[string]any)
	isDir = isDir && kindOf(segs) != kindDocument
	now := t.node(name)
	_, nowDir := t.dir(name)
	switch {
	case isDir != strings.HasSuffix(path, "/"), now != nil && !(isDir && nowDir), t.leafAbove(name):
		return
	case isDir:
		t.mkdir(name)
		for _, below := range slices.Sorted(maps.Keys(dir)) {
			child := name + "/" + below
			if _, ok := dir[below].(map[string]any); ok && kindOf(append(slices.Clone(segs), below)) != kindDocument {
				child += "/"
			}
			b.restore(t, child, dir[below])
		}
		return
	}
	if list, ok := old.([]any); ok && kindOf(segs) == kindLines {
		old = stringsOf(list)
	}
	if b.fits(old, name) {
		i := strings.LastIndexByte(name, '/')
		t.mkdir(name[:i])[name[i+1:]] = old
	}
}

// leafAbove reports whether a directory that path needs is a leaf.
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

// stringsOf is a JSON array of strings as a list.
func stringsOf(list []any) []string {
	found := make([]string, 0, len(list))
	for _, e := range list {
		if s, ok := e.(string); ok {
			found = append(found, s)
		}
	}
	return found
}
