// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/doc/schema/schematest"
	"github.com/imds-ready/imds-ready/snapshot"
)

// hostile contains texts that become long in JSON, or that are not UTF-8.
var hostile = []string{`"`, "\x01", "\\", "\u2028", "\xff", "\xe2\x80", "<", "a", "é", "\n", "/"}

// hostileText returns a text of up to n pieces.
func hostileText(rnd *rand.Rand, n int) string {
	piece := hostile[rnd.IntN(len(hostile))]
	if rnd.IntN(2) == 0 {
		return strings.Repeat(piece, rnd.IntN(n)+1)
	}
	var b strings.Builder
	for range rnd.IntN(n) + 1 {
		b.WriteString(hostile[rnd.IntN(len(hostile))])
	}
	return b.String()
}

// status.json can be read back for any answers, and says how many paths it omits.
func TestStatusIsBounded(t *testing.T) {
	schemas := schematest.Load(t)
	d := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		n, long := rapid.SampledFrom([]int{0, 5, 511, 513, 800}).Draw(rt, "entries"), rapid.SampledFrom([]int{2, 30, 1008}).Draw(rt, "length")
		text := func() string { return hostileText(rnd, rapid.SampledFrom([]int{3, 300, 100_000}).Draw(rt, "text")) }
		st := snapshot.Status{
			State: snapshot.Ready, BootID: text(), Version: text(), Endpoint: new(text()),
			Errors: map[string]int{}, Files: map[string]*string{}, Missing: map[string]string{}, Required: map[string]snapshot.Requirement{},
			LastError: &snapshot.LastError{At: time.Unix(0, 0), Class: text(), Hint: text(), Message: text(), Path: text()},
		}
		for range n {
			st.Missing[hostileText(rnd, long)] = hostileText(rnd, 3)
			st.Required[hostileText(rnd, long)] = snapshot.Requirement{Class: new(hostileText(rnd, long))}
			st.Errors[hostileText(rnd, long)] = 1
			st.Files[hostileText(rnd, long)] = nil
		}
		missing := len(st.Missing)
		if err := d.WriteStatus(st); err != nil {
			rt.Fatal(err)
		}
		back, err := snapshot.ReadStatus(d.path)
		if err != nil {
			rt.Fatal(err)
		}
		data, err := encode(back.Missing)
		if err != nil || len(data) > 256<<10 || len(back.Missing) > 512 {
			rt.Errorf("missing has %d entries in %d bytes, %v", len(back.Missing), len(data), err)
		}
		// Two names that are not UTF-8 may become one.
		if all := len(back.Missing) + back.MissingMore; all > missing || n == 5 && back.MissingMore > 0 {
			rt.Errorf("%d and %d more are missing, not %d", len(back.Missing), back.MissingMore, missing)
		}
		if message, err := encode(back.LastError.Message); err != nil || len(message)-1 > 1<<10 {
			rt.Errorf("the message has %d bytes, %v", len(message), err)
		}
		if len(st.Missing) != missing {
			rt.Error("the caller's map was changed")
		}
		encoded, err := encode(back)
		if err != nil {
			rt.Fatal(err)
		}
		if err := schemas.Validate(snapshot.StatusFile, encoded); err != nil {
			rt.Error(err)
		}
	})
}

// The failures nearest to the root are kept, and a name that is too long does not displace
// others.
func TestShallowestAreKept(t *testing.T) {
	d := open(t)
	missing := map[string]string{"a/" + strings.Repeat("x", 300<<10): "503", "meta-data/": "503"}
	for i := range 400 {
		missing["meta-data/"+strings.Repeat("b", i+1)] = "404"
		missing["meta-data/a/b/"+strings.Repeat("c", i+1)] = "404"
	}
	if err := d.WriteStatus(snapshot.Status{State: snapshot.Ready, BootID: "b", Missing: missing, MissingMore: 7}); err != nil {
		t.Fatal(err)
	}
	st, err := d.Status()
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Missing) != 512 || st.MissingMore != len(missing)-512+7 {
		t.Errorf("%d and %d more", len(st.Missing), st.MissingMore)
	}
	for path := range missing {
		_, ok := st.Missing[path]
		if shallow := !strings.HasPrefix(path, "meta-data/a/b/") && len(path) < 1000; shallow && !ok {
			t.Errorf("%s is not listed", path)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		s     string
		bytes int
		want  string
	}{
		{"", 2, ""},
		{"abcdef", 8, "abcdef"},
		{"abcdefg", 8, "abc..."},
		{`"""`, 8, `"""`},
		{`""""`, 8, `"...`},
		{"ééé", 8, "ééé"},
		{"éééé", 8, "é..."},
		{"a\xff", 40, "a\uFFFD"},
	} {
		if got := shorten(tt.s, tt.bytes); got != tt.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", tt.s, tt.bytes, got, tt.want)
		}
	}
}
