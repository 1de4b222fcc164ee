// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/snapshot"
)

// Problem is an answer that could not be used; it goes to `missing` in
// status.json.
type Problem struct {
	// Path is below the version. Bytes that are not UTF-8 and control
	// characters in it are replaced by U+FFFD, so that it can be shown.
	Path string
	// Class is "not-utf8", "bad-response" or "too-large".
	Class string
}

// The classes of a [Problem].
const (
	classNotUTF8     = "not-utf8"
	classBadResponse = "bad-response"
	classTooLarge    = "too-large"
)

// Build makes the files of one collection. It is pure: the same leaves give the
// same bytes.
//
// A key of leaves is a path below the version, without a leading slash, and its
// value the body as served. A key with a final "/" says that this directory was
// listed, whatever its value: an empty one becomes {}. A path that is both is a
// directory. The name of a public key, which stands in its listing, is given as
// "meta-data/public-keys/0/name".
//
// Problems are sorted by path, one a path. Credentials are dropped without one:
// they are in no file, even if somebody hands them in.
func Build(leaves map[string][]byte) (Snapshot, []Problem) {
	b := builder{leaves: leaves, files: map[string]File{}, problems: map[string]string{}}
	t := b.tree()
	if root, ok := t.dir(paths.MetaData); ok {
		b.addJSON(snapshot.MetaDataFile, root)
	}
	if tags, ok := t.tags(); ok {
		b.addJSON(snapshot.TagsFile, tags)
	}
	if n, ok := b.network(t); ok {
		b.addJSON(snapshot.NetworkFile, n)
	}
	id := b.identity()
	if id != nil {
		b.addJSON(snapshot.IdentityFile, id)
	}
	if s, ok := b.signatures(); ok {
		b.addJSON(snapshot.SignaturesFile, s)
	}
	if body, ok := leaves[paths.UserData]; ok {
		b.files[snapshot.UserDataFile] = File{Data: slices.Clone(body), Secret: isSecret(snapshot.UserDataFile)}
	}
	env := environment(id, t)
	return Snapshot{
		id: env.value("IMDS_INSTANCE_ID"), files: b.files, env: env.lines(), omitted: env.omitted(),
	}, b.sorted()
}

// builder collects files and problems while it goes through the leaves.
type builder struct {
	leaves   map[string][]byte
	files    map[string]File
	problems map[string]string
	size     int // of meta-data.json so far, about
}

// problem notes that the answer at path is not used. The first class stays.
func (b *builder) problem(path, class string) {
	path = words.Printable(path)
	if _, ok := b.problems[path]; !ok {
		b.problems[path] = class
	}
}

func (b *builder) sorted() []Problem {
	list := make([]Problem, 0, len(b.problems))
	for path, class := range maps.All(b.problems) {
		list = append(list, Problem{Path: path, Class: class})
	}
	slices.SortFunc(list, func(x, y Problem) int { return cmp.Compare(x.Path, y.Path) })
	return list
}

// addJSON adds a file. What gets here was decoded from JSON or is made of
// strings, so encoding it cannot fail; if it did, no file is better than half.
func (b *builder) addJSON(name string, v any) {
	if data, err := encode(v); err == nil {
		b.files[name] = File{Data: data, Secret: isSecret(name)}
	}
}

// IsInstanceID reports whether s can be the ID of an instance: 1 to 63 letters, digits,
// dots and dashes, a letter or a digit first. An identity document with another
// instanceId is a bad response.
func IsInstanceID(s string) bool {
	for i := range len(s) {
		c := s[i]
		isWord := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !isWord && (i == 0 || c != '.' && c != '-') {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 63
}

// identity is the identity document, or nil if it is absent or cannot be used.
func (b *builder) identity() map[string]any {
	body, ok := b.leaves[paths.Identity]
	if !ok {
		return nil
	}
	v, class := document(body)
	object, isObject := v.(map[string]any)
	if instance, ok := object["instanceId"]; ok && class == "" {
		if id, isString := instance.(string); !isString || !IsInstanceID(id) {
			class = classBadResponse
		}
	}
	if class == "" && !isObject {
		class = classBadResponse
	}
	if class != "" {
		b.problem(paths.Identity, class)
		return nil
	}
	return object
}

// signatureSet is signatures.json: the signed bytes and what signs them, exactly
// as served.
type signatureSet struct {
	Document  *string `json:"document"`
	PKCS7     *string `json:"pkcs7"`
	RSA2048   *string `json:"rsa2048"`
	Signature *string `json:"signature"`
}

// signaturePath is the path of a signature, or of the document that is signed.
func signaturePath(name string) string { return strings.TrimSuffix(paths.Identity, "document") + name }

// signatures is false when no signature was collected.
func (b *builder) signatures() (signatureSet, bool) {
	get := func(name string) *string {
		path := signaturePath(name)
		body, ok := b.leaves[path]
		if !ok {
			return nil
		}
		s, class := text(body)
		if class != "" {
			b.problem(path, class)
			return nil
		}
		return &s
	}
	set := signatureSet{PKCS7: get("pkcs7"), RSA2048: get("rsa2048"), Signature: get("signature")}
	if set.PKCS7 == nil && set.RSA2048 == nil && set.Signature == nil {
		return signatureSet{}, false
	}
	set.Document = get("document")
	return set, true
}

// tree is what stands below meta-data/.
type tree struct {
	// dirs are the directories by path without a final slash, and at the same time the nodes of the
	// tree: a map in a map is a directory in a directory.
	dirs map[string]map[string]any
	// text are the leaves that are in the tree, as served.
	text map[string]string
}

// dir is the directory at path, such as [paths.Tags].
func (t *tree) dir(path string) (map[string]any, bool) {
	d, ok := t.dirs[strings.TrimSuffix(path, "/")]
	return d, ok
}

// tags are the instance's tags; false when IMDS does not expose them. A value
// is a string; a directory, which IMDS never serves there, is none.
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
	rest, below := strings.CutPrefix(key, paths.MetaData)
	if !below {
		return false // another file's, or nobody's
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
