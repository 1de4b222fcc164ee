// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"maps"
	"slices"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/snapshot"
)

// Problem describes an answer that could not be used. It is listed in `missing` in
// status.json.
type Problem struct {
	// Path is the path below the version. Control characters and bytes that are not
	// UTF-8 are replaced with U+FFFD, so that it is safe to print.
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

// Collection is the result of one collection, together with the previous content of the
// files.
type Collection struct {
	// Leaves are the bodies as served, by path below the version without a leading
	// slash. A key with a final "/" means that this directory was listed, and its value
	// is ignored; an empty directory becomes {}. A path that is both a leaf and a
	// directory counts as a directory. The name of a public key, which IMDS includes in
	// the listing, is "meta-data/public-keys/0/name".
	Leaves map[string][]byte
	// Missing contains the error class of each path that could not be fetched.
	Missing map[string]string
	// Previous is the content of the files before this collection, or nil if they did
	// not exist.
	Previous *Previous
}

// Previous is the content of the files of this boot before a collection, as read by
// [Dir.Previous].
type Previous struct {
	metaData   map[string]any
	missing    map[string]string
	userData   []byte
	signatures signatureSet
}

// Build builds the files of a collection. It arranges the leaves in a tree, replaces each
// missing value with the previous one, and derives the files from the merged tree. Build
// is a pure function: the same input gives the same bytes.
//
// It returns a [Problem] for each answer that cannot be used, sorted by path, at most one
// for each path. Credentials are dropped without a Problem: they are never written to a
// file, even if Leaves contains them.
func Build(c Collection) (Snapshot, []Problem) {
	b := builder{leaves: c.Leaves, files: map[string]File{}, problems: map[string]string{}, restored: map[string]bool{}}
	b.missing = map[string]string{}
	maps.Copy(b.missing, c.Missing)
	id := b.identity()
	t := b.tree()
	signatures := b.signatures()
	userData, hasUserData := c.Leaves[paths.UserData]
	if c.Previous != nil {
		b.merge(t, c.Previous)
		signatures = signatures.merged(c.Previous.signatures, b.missing)
		if _, failed := b.missing[paths.UserData]; failed && c.Previous.userData != nil {
			userData, hasUserData = c.Previous.userData, true
		}
	}
	if root, ok := t.dir(paths.MetaData); ok {
		b.addJSON(snapshot.MetaDataFile, root)
	}
	if tags, ok := t.tags(); ok {
		b.addJSON(snapshot.TagsFile, tags)
	}
	if n, ok := b.network(t); ok {
		b.addJSON(snapshot.NetworkFile, n)
	}
	if id != nil {
		b.addJSON(snapshot.IdentityFile, id)
	}
	if signatures != (signatureSet{Document: signatures.Document}) {
		b.addJSON(snapshot.SignaturesFile, signatures)
	}
	if hasUserData {
		b.files[snapshot.UserDataFile] = File{Data: slices.Clone(userData), Secret: isSecret(snapshot.UserDataFile)}
	}
	env := environment(id, t)
	return Snapshot{
		id: env.value("IMDS_INSTANCE_ID"), files: b.files, env: env.lines(), omitted: env.omitted(),
	}, b.sorted()
}

// builder collects the files and the problems of one Build.
type builder struct {
	leaves   map[string][]byte
	files    map[string]File
	missing  map[string]string // the error classes of failed requests and of problems, by path
	restored map[string]bool   // the missing paths that have their previous value
	problems map[string]string
	size     int // the approximate size of meta-data.json so far, in bytes
}

// problem records that the answer at path is not used. The first class for a path is kept.
func (b *builder) problem(path, class string) {
	b.missing[path] = class
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

// addJSON adds a file. Encoding v cannot fail, because it consists of strings and decoded
// JSON; if it did, the file would be omitted.
func (b *builder) addJSON(name string, v any) {
	if data, err := encode(v); err == nil {
		b.files[name] = File{Data: data, Secret: isSecret(name)}
	}
}

// IsInstanceID reports whether s is a valid ID of an instance: 1 to 63 letters, digits,
// dots and dashes, of which the first is a letter or a digit. An identity document whose
// instanceId is invalid is a bad response.
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

// identity returns the identity document, or nil if it is absent or cannot be used.
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

// signatureSet is the content of signatures.json: the signed document and its signatures,
// exactly as served.
type signatureSet struct {
	Document  *string `json:"document"`
	PKCS7     *string `json:"pkcs7"`
	RSA2048   *string `json:"rsa2048"`
	Signature *string `json:"signature"`
}

// signaturePath returns the path of a signature, or of the signed document.
func signaturePath(name string) string { return paths.IdentityDir + name }

// signatures returns the collected signatures.
func (b *builder) signatures() signatureSet {
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
	if set != (signatureSet{}) {
		set.Document = get("document")
	}
	return set
}

// merged returns the set with each missing signature replaced with the previous one, if
// that is of the same document.
func (set signatureSet) merged(previous signatureSet, missing map[string]string) signatureSet {
	if set.Document != nil && previous.Document != nil && *set.Document != *previous.Document {
		return set
	}
	lastGood := func(now, before *string, name string) *string {
		if _, failed := missing[signaturePath(name)]; failed && now == nil {
			return before
		}
		return now
	}
	set = signatureSet{
		Document: set.Document, PKCS7: lastGood(set.PKCS7, previous.PKCS7, "pkcs7"),
		RSA2048: lastGood(set.RSA2048, previous.RSA2048, "rsa2048"), Signature: lastGood(set.Signature, previous.Signature, "signature"),
	}
	if set != (signatureSet{}) && set.Document == nil {
		set.Document = previous.Document
	}
	return set
}
