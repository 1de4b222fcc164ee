// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"strings"
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

// Paths with a meaning of their own, below the version.
const (
	metaDataRoot = "meta-data"
	identityPath = "dynamic/instance-identity/document"
	userDataPath = "user-data"
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
	if root, ok := t.dir(metaDataRoot); ok {
		b.addJSON(MetaDataFile, root, false)
	}
	if tags, ok := t.tags(); ok {
		b.addJSON(TagsFile, tags, false)
	}
	if n, ok := b.network(t); ok {
		b.addJSON(NetworkFile, n, false)
	}
	id := b.identity()
	if id != nil {
		b.addJSON(IdentityFile, id, false)
	}
	if s, ok := b.signatures(); ok {
		b.addJSON(SignaturesFile, s, true)
	}
	if body, ok := leaves[userDataPath]; ok {
		b.files[UserDataFile] = File{Data: slices.Clone(body), Secret: true}
	}
	env := environment(id, t)
	return Snapshot{id: env.value("IMDS_INSTANCE_ID"), files: b.files, env: env.lines()}, b.sorted()
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
	path = printable(path)
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
func (b *builder) addJSON(name string, v any, secret bool) {
	if data, err := encode(v); err == nil {
		b.files[name] = File{Data: data, Secret: secret}
	}
}

// identity is the identity document, or nil when it is not there or not usable.
func (b *builder) identity() map[string]any {
	body, ok := b.leaves[identityPath]
	if !ok {
		return nil
	}
	v, class := document(body)
	object, isObject := v.(map[string]any)
	if class == "" && !isObject {
		class = classBadResponse
	}
	if class != "" {
		b.problem(identityPath, class)
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

// signatures is false when no signature was collected.
func (b *builder) signatures() (signatureSet, bool) {
	get := func(name string) *string {
		path := strings.TrimSuffix(identityPath, "document") + name
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
