// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/imds-ready/imds-ready/imds"
	"pgregory.net/rapid"
)

func TestParseListing(t *testing.T) {
	for _, tt := range []struct {
		name, body       string
		entries, refused []string
	}{
		{"nothing", "", nil, nil},
		{"as the service answers", "ami-id\nblock-device-mapping/\ntags/", []string{"ami-id", "block-device-mapping/", "tags/"}, nil},
		{"a final line feed", "a\nb/\n", []string{"a", "b/"}, nil},
		{"empty lines", "\n\na\n\n", []string{"a"}, nil},
		{"public-keys", "0=my-key\n1=o k", []string{"0=my-key", "1=o k"}, nil},
		{"both kinds of one name", "security-credentials\nsecurity-credentials/", []string{"security-credentials", "security-credentials/"}, nil},
		{"the same twice", "a\nb\na", []string{"a", "b"}, nil},
		{"not sorted", "z\na", []string{"z", "a"}, nil},
		{"names with dots", "...\n.a\na..\n..a/", []string{"...", ".a", "a..", "..a/"}, nil},
		{"characters that a URL escapes", "a b\nc?d\ne%2Ff\n#g\nGröße\n%2e%2e", []string{"a b", "c?d", "e%2Ff", "#g", "Größe", "%2e%2e"}, nil},
		{"itself", ".\n./", nil, []string{".", "./"}},
		{"the parent", "..\n../\na", []string{"a"}, []string{"..", "../"}},
		{"a way up", "../../etc/passwd\na/../b\n..//", nil, []string{"../../etc/passwd", "a/../b", "..//"}},
		{"a path", "a/b\n/a\na//\n/\n//", nil, []string{"a/b", "/a", "a//", "/", "//"}},
		{"CRLF", "a\r\nb/\r\n", []string{"a", "b/"}, nil},
		{"a CR inside", "a\rb\r\r\n", nil, []string{"a\rb\r"}},
		{"255 bytes and one more", strings.Repeat("n", 255) + "\n" + strings.Repeat("n", 256), []string{strings.Repeat("n", 255)}, []string{strings.Repeat("n", 256)}},
		{"control characters", "a\x00\na\tb\n\x1b[2J\na\x7f\na\u0085/", nil, []string{"a\x00", "a\tb", "\x1b[2J", "a\x7f", "a\u0085/"}},
		{"not UTF-8", "a\xff\nb", []string{"b"}, []string{"a\xff"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, refused := imds.ParseListing([]byte(tt.body))
			if !slices.Equal(entries, tt.entries) || !slices.Equal(refused, tt.refused) {
				t.Errorf("got %q, refused %q\nwant %q, refused %q", entries, refused, tt.entries, tt.refused)
			}
		})
	}
}

// The largest listing that is read, 256 KiB of short names, must not delay a SIGTERM
// by more than a second. Linear parsing takes milliseconds, quadratic parsing many
// seconds.
func TestParseLargeListing(t *testing.T) {
	var body strings.Builder
	for i := range 1 << 16 {
		body.Write([]byte{'0' + byte(i>>12), '0' + byte(i>>6&63), '0' + byte(i&63), '\n'})
	}
	start := time.Now()
	entries, refused := imds.ParseListing([]byte(body.String()))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("parsing %d bytes took %v", body.Len(), took)
	}
	if len(entries) != 1<<16 || len(refused) != 0 {
		t.Errorf("%d entries, %d refused", len(entries), len(refused))
	}
}

// checkListing checks the properties of every parsed body.
func checkListing(t interface{ Errorf(string, ...any) }, body string) {
	entries, refused := imds.ParseListing([]byte(body))
	seen := make(map[string]bool)
	for _, entry := range entries {
		name := strings.TrimSuffix(entry, "/")
		if len(entry) > 255 || name == "" || name == "." || name == ".." || strings.Contains(name, "/") ||
			strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
			t.Errorf("an entry escapes: %q", entry)
		}
		if seen[entry] {
			t.Errorf("%q twice", entry)
		}
		seen[entry] = true
	}
	for _, line := range refused {
		if seen[line] {
			t.Errorf("%q is an entry and refused", line)
		}
	}
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	for _, line := range lines {
		if line != "" && !slices.Contains(entries, line) && !slices.Contains(refused, line) {
			t.Errorf("line %q is neither an entry nor refused", line)
		}
	}
	for _, entry := range append(entries, refused...) {
		if !slices.Contains(lines, entry) {
			t.Errorf("%q was never served", entry)
		}
	}
	// Parsing the entries again returns the same entries and refuses none.
	again, refused := imds.ParseListing([]byte(strings.Join(entries, "\n")))
	if !slices.Equal(again, entries) || refused != nil {
		t.Errorf("parsed again: %q, refused %q, from %q", again, refused, entries)
	}
}

func TestListingNeverEscapes(t *testing.T) {
	line := rapid.OneOf(
		rapid.SampledFrom([]string{"", ".", "..", "/", "a", "a/", "../", "a/b", "\r", "\x1b", "\xff", "%2e%2e/", "\u2028"}),
		rapid.String(),
		rapid.StringMatching(`[./ab]{0,6}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		checkListing(t, strings.Join(rapid.SliceOf(line).Draw(t, "lines"), "\n"))
	})
}

func FuzzParseListing(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "ami-id\nblock-device-mapping/\nhostname", "0=my-key", "..", "../", ".", "a/b", "/", "//",
		"a\r\n", "\x00", "\x1b[2J", "\xff\xfe", "a\na\n", "\u0085", "%2e%2e/%2e%2e/", "..\n../\n/..\n...",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) { checkListing(t, body) })
}
