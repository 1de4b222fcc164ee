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

// Collection is what one collection came to, and what this boot had before.
type Collection struct {
	// Leaves are the bodies as served, by path below the version without a leading
	// slash. A key with a final "/" says that this directory was listed, whatever
	// its value: an empty one becomes {}. A path that is both is a directory. The
	// name of a public key, which stands in its listing, is
	// "meta-data/public-keys/0/name".
	Leaves map[string][]byte
	// Missing has the class of each path that could not be fetched.
	Missing map[string]string
	// Previous is what the files had, or nil.
	Previous *Previous
}

// Previous is what the files of this boot had before a collection; [Dir.Previous]
// reads it.
type Previous struct {
	metaData   map[string]any
	missing    map[string]string
	userData   []byte
	signatures signatureSet
}

// Build makes the files of a collection: its leaves become a tree, the last good
// value takes the place of each missing one, and the files follow from the merged
// tree. It is pure: the same input gives the same bytes.
//
// Problems are answers that cannot be used, sorted by path, one a path.
// Credentials are dropped without one: they are in no file, even if the leaves
// have them.
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

// builder collects files and problems while it goes through the leaves.
type builder struct {
	leaves   map[string][]byte
	files    map[string]File
	missing  map[string]string // by path: the requests that failed, and the problems
	restored map[string]bool   // missing paths whose previous value stands in
	problems map[string]string
	size     int // of meta-data.json so far, about
}

// problem notes that the answer at path is not used. The first class stays.
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

// signatures are the signatures that were collected.
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

// merged is the set with the previous value of each signature that is missing, if
// that signs the same document.
func (set signatureSet) merged(previous signatureSet, missing map[string]string) signatureSet {
	if set.Document != nil && previous.Document != nil && *set.Document != *previous.Document {
		return set
	}
	last := func(now, before *string, name string) *string {
		if _, failed := missing[signaturePath(name)]; failed && now == nil {
			return before
		}
		return now
	}
	set = signatureSet{
		Document: set.Document, PKCS7: last(set.PKCS7, previous.PKCS7, "pkcs7"),
		RSA2048: last(set.RSA2048, previous.RSA2048, "rsa2048"), Signature: last(set.Signature, previous.Signature, "signature"),
	}
	if set != (signatureSet{}) && set.Document == nil {
		set.Document = previous.Document
	}
	return set
}
