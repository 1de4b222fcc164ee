// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/internal/words"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/retry"
)

// Check makes one attempt at a required path and checks that its answer can be used:
// otherwise the path is not there yet. An empty body is returned as it is.
func (s Source) Check(ctx context.Context, t imds.Timeouts, path string) ([]byte, error) {
	body, err := s.Client.GetWithin(ctx, t, path)
	switch {
	case err != nil || len(body) == 0:
		return nil, err
	case path == paths.Roles:
		return []byte("a role"), s.checkRole(ctx, t, body) // nothing of it is kept
	case strings.HasSuffix(path, "/"):
		return body, checkListing(path, body)
	}
	found, problems := publish.Build(publish.Collection{Leaves: map[string][]byte{path: body}})
	if len(problems) > 0 { // it would be in no file
		return nil, fmt.Errorf("GET %s: %w: %s", path, retry.ErrContent, unusable(problems[0].Class))
	}
	if path == paths.Identity && found.InstanceID() == "" {
		return nil, fmt.Errorf("GET %s: %w: no instanceId", path, retry.ErrContent)
	}
	if path == paths.RoleInfo {
		return body, checkCode(path, body)
	}
	return body, s.checkValue(path, body)
}

// checkValue returns nil if a required path may have this value.
func (s Source) checkValue(path string, body []byte) error {
	i := slices.IndexFunc(s.Require, func(r Require) bool { return r.Path == path })
	wanted, value := s.Require[i].Equals, paths.Chomp(string(body))
	if len(wanted) == 0 || slices.Contains(wanted, value) {
		return nil
	}
	quoted := make([]string, len(wanted))
	for i, value := range wanted {
		quoted[i] = words.Excerpt(value)
	}
	return &retry.MismatchError{Path: path, Got: "the value is " + words.Excerpt(value), Want: strings.Join(quoted, " or ")}
}

// checkCode returns nil if a document has no Code, or has the Code Success.
func checkCode(path string, body []byte) error {
	var role struct{ Code *string }
	if err := json.Unmarshal(body, &role); err != nil {
		return fmt.Errorf("GET %s: %w: its Code is not a string", path, retry.ErrContent)
	}
	if role.Code != nil && *role.Code != "Success" {
		return &retry.MismatchError{Path: path, Got: "its Code is " + words.Excerpt(*role.Code), Want: "Success"}
	}
	return nil
}

// unusable says what is wrong with a body, by its class.
func unusable(class string) string {
	if class == string(policy.NotUTF8) {
		return "not UTF-8"
	}
	return "not a JSON document, or not the kind of value that this path has"
}

// checkListing returns nil if the listing has an entry.
func checkListing(path string, body []byte) error {
	entries, refused := imds.ParseListing(body)
	switch {
	case len(entries) > 0:
		return nil
	case len(refused) > 0:
		return fmt.Errorf("GET %s: %w: no entry that is a name, but %s", path, retry.ErrContent, words.Excerpt(refused[0]))
	default:
		return fmt.Errorf("GET %s: %w", path, retry.ErrEmpty)
	}
}

// checkRole returns nil if the role in the listing has credentials, which are
// dropped at once.
func (s Source) checkRole(ctx context.Context, t imds.Timeouts, listing []byte) error {
	if err := checkListing(paths.Roles, listing); err != nil {
		return err
	}
	roles, _ := imds.ParseListing(listing)
	s.step(retry.LongestAttempt(s.Policy)) // another PUT and GET
	body, err := s.Client.GetWithin(ctx, t, paths.Roles+roles[0])
	if err != nil {
		return err
	}
	var role struct{ Code string }
	if err := json.Unmarshal(body, &role); err != nil {
		return fmt.Errorf("GET %s%s: %w: not a JSON document", paths.Roles, roles[0], retry.ErrContent)
	}
	if role.Code != "Success" {
		return fmt.Errorf("GET %s%s: %w: its Code is %s, not Success", paths.Roles, roles[0], retry.ErrContent, words.Excerpt(role.Code))
	}
	return nil
}
