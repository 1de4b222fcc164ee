// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// target is what a URL path asks for.
type target struct {
	path    string // below the version, else the whole path
	version bool   // it is below a version
	root    bool   // it is the list of versions
	token   bool   // it is the token's, which exists under latest only
}

// target takes a URL path apart.
func (s *Server) target(urlPath string) target {
	rest, ok := strings.CutPrefix(urlPath, strings.TrimSuffix(s.BasePath, "/")+"/")
	if !ok {
		return target{path: urlPath}
	}
	if rest == "" {
		return target{path: urlPath, root: true}
	}
	version, below, _ := strings.Cut(rest, "/")
	if version != "latest" && !isDated(version) {
		return target{path: urlPath}
	}
	return target{path: below, version: true, token: version == "latest" && below == tokenPath}
}

// isDated reports whether s is a version of the interface, such as 2021-01-03
// or 1.0.
func isDated(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil || s == "1.0"
}

// view is the tree at one moment.
type view struct {
	tree Tree
	late map[string]time.Duration
	now  time.Duration
}

// loop is the entry by which a directory contains itself.
const loop = "loop"

// reply answers a GET of what the target names, or 404. The faults that make
// listings hostile are done here, where listings are made.
func (v view) reply(t target, p Phase) reply {
	if t.root {
		return textReply("1.0\n2021-01-03\nlatest")
	}
	where := t.path
	if p.Fault == "self-listing" {
		where = unloop(where)
	}
	if !t.version || v.hidden(where) {
		return errorReply(http.StatusNotFound)
	}
	if body, ok := v.leaf(where); ok {
		return textReply(body)
	}
	entries := v.list(strings.TrimSuffix(where, "/"))
	if entries == nil {
		return errorReply(http.StatusNotFound)
	}
	switch p.Fault {
	case "self-listing":
		entries = append(entries, loop+"/")
	case "dotdot":
		entries = append(entries, "..", "../", ".", "a/b", "/", "tab\there", "../../api/token")
	}
	return textReply(strings.Join(entries, "\n"))
}

// leaf returns the body of a path that is no directory.
func (v view) leaf(path string) (body string, ok bool) {
	if path == "" || strings.HasSuffix(path, "/") {
		return "", false
	}
	body, ok = v.tree[path]
	return body, ok
}

// list returns the entries of a directory in order, nil when there is none of
// that name. A key of the tree that ends in "/" is a listing as it stands.
func (v view) list(dir string) []string {
	prefix := dir + "/"
	if dir == "" {
		prefix = ""
	}
	if own, ok := v.tree[dir+"/"]; ok && !v.hidden(dir) {
		return strings.Split(own, "\n")
	}
	var entries []string
	for key := range v.tree {
		below, ok := strings.CutPrefix(key, prefix)
		if !ok || below == "" || v.hidden(key) {
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

// hidden reports whether a path, or a directory that it is in, appears later.
func (v view) hidden(path string) bool {
	path = strings.TrimSuffix(path, "/")
	for late, at := range v.late {
		late = strings.Trim(late, "/")
		if v.now < at && (path == late || strings.HasPrefix(path, late+"/")) {
			return true
		}
	}
	return false
}

// selfListed reports whether a path is a directory, once its loops are taken
// out, so that the faults of listings apply to it.
func (v view) selfListed(path string) bool {
	plain := unloop(path)
	_, leaf := v.leaf(plain)
	return path != plain || !leaf && v.list(strings.TrimSuffix(plain, "/")) != nil
}

// unloop takes the segments of a self-listing out of a path.
func unloop(path string) string {
	segments := strings.Split(path, "/")
	return strings.Join(slices.DeleteFunc(segments, func(s string) bool { return s == loop }), "/")
}
