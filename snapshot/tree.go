// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"maps"
	"slices"
	"strings"
)

// tree is what stands below meta-data/.
type tree struct {
	// dirs are the directories by path, and at the same time the nodes of the
	// tree: a map in a map is a directory in a directory.
	dirs map[string]map[string]any
	// text are the leaves that are in the tree, as served.
	text map[string]string
}

// dir is the directory at path, without a final slash.
func (t *tree) dir(path string) (map[string]any, bool) {
	d, ok := t.dirs[path]
	return d, ok
}

// tags are the instance's tags; false when IMDS does not expose them. A value
// is a string; a directory, which IMDS never serves there, is none.
func (t *tree) tags() (map[string]string, bool) {
	dir, ok := t.dir(metaDataRoot + "/tags/instance")
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
	t := &tree{dirs: map[string]map[string]any{}, text: map[string]string{}}
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
	rest, below := strings.CutPrefix(key, metaDataRoot+"/")
	if !below {
		return false // another file's, or nobody's
	}
	if rest == "" {
		return true
	}
	segs := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	if isCredential(segs) {
		return false
	}
	if class := checkPath(key); class != "" {
		b.problem(key, class)
		return false
	}
	// A list or a document cannot be a directory: its type is promised.
	last := len(segs)
	if !strings.HasSuffix(key, "/") {
		last--
	}
	for i := 1; i <= last; i++ {
		if kindOf(segs[:i]) != kindText {
			b.problem(metaDataRoot+"/"+strings.Join(segs[:i], "/"), classBadResponse)
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
	segs := strings.Split(strings.TrimPrefix(key, metaDataRoot+"/"), "/")
	s, class := text(b.leaves[key])
	var v any = s
	switch kindOf(segs) {
	case kindLines:
		v = lines(s)
	case kindDocument:
		v, class = document(b.leaves[key])
	}
	if class == "" {
		if size := encodedSize(v, len(segs)) + escapedSize(key[i+1:]) + 2*len(segs) + 6; b.size+size > maxMetaData {
			class = classTooLarge
		} else {
			b.size += size
		}
	}
	if class != "" {
		b.problem(key, class)
		return
	}
	t.dirs[key[:i]][key[i+1:]] = v
	t.text[key] = s
}
