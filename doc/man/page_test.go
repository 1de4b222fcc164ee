// SPDX-License-Identifier: Apache-2.0

package man_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page is the source of a manual page, with one entry per line.
type page []line

// line is a line with the section and the subsection that it is in.
type line struct{ section, sub, text string }

func readPage(t *testing.T, name string) page {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var p page
	section, sub := "", ""
	for text := range strings.Lines(string(data)) {
		text = strings.TrimRight(text, "\n")
		switch {
		case strings.HasPrefix(text, ".Sh "):
			section, sub = text[len(".Sh "):], ""
		case strings.HasPrefix(text, ".Ss "):
			sub = text[len(".Ss "):]
		}
		p = append(p, line{section, sub, text})
	}
	return p
}

// in returns the lines of a section and subsection. If sub is "*", it returns the
// whole section.
func (p page) in(section, sub string) page {
	return slices.DeleteFunc(slices.Clone(p), func(l line) bool {
		return l.section != section || sub != "*" && l.sub != sub
	})
}

// items returns the text of the list heads that begin with a macro, such as Va. It
// omits the rows of tables.
func (p page) items(macro string) []string {
	var heads []string
	for _, l := range p {
		if rest, ok := strings.CutPrefix(l.text, ".It "+macro+" "); ok && !strings.Contains(rest, " Ta ") {
			heads = append(heads, strings.Split(plain(rest), " , ")...)
		}
	}
	return heads
}

// rows returns the text of the table rows whose first column begins with a macro.
func (p page) rows(macro string) [][]string {
	var rows [][]string
	for _, l := range p {
		rest, ok := strings.CutPrefix(l.text, ".It "+macro+" ")
		if !ok || !strings.Contains(rest, " Ta ") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(rest, " Ta ") {
			cells = append(cells, plain(cell))
		}
		rows = append(rows, cells)
	}
	return rows
}

// item returns the text below one head of a list.
func (p page) item(macro, head string) string {
	var text []string
	within := false
	for _, l := range p {
		if strings.HasPrefix(l.text, ".It ") || strings.HasPrefix(l.text, ".El") {
			within = strings.HasPrefix(l.text, ".It "+macro+" ") && plain(l.text[len(".It ")+len(macro)+1:]) == head
			continue
		}
		if within {
			text = append(text, words(l.text))
		}
	}
	return strings.Join(strings.Fields(strings.Join(text, " ")), " ")
}

// text returns the page without its markup.
func (p page) text() string {
	var all []string
	for _, l := range p {
		all = append(all, words(l.text))
	}
	return strings.Join(strings.Fields(strings.Join(all, " ")), " ")
}

// literals returns the displays of a page, as they are printed.
func (p page) literals() []string {
	var all []string
	within := false
	for _, l := range p {
		switch {
		case strings.HasPrefix(l.text, ".Bd -literal"):
			all, within = append(all, ""), true
		case l.text == ".Ed":
			within = false
		case within:
			all[len(all)-1] += unescape(l.text) + "\n"
		}
	}
	return all
}

// words returns a line of source without its markup.
func words(source string) string {
	if rest, ok := strings.CutPrefix(source, "."); ok {
		return plain(rest)
	}
	return unescape(source)
}

var (
	argument = regexp.MustCompile(`"([^"]*)"|(\S+)`)
	markup   = []string{
		"Ar", "Cm", "Dl", "Dv", "Em", "Ev", "It", "Li", "Nm", "No", "Op", "Pa", "Pp", "Pq", "Ql", "Sx", "Va", "Xr",
	}
)

// plain returns the text of a line of macros: "Fl Fl json" becomes "--json", and
// "Cm slow Ns = Ns Ar D" becomes "slow=D".
func plain(macros string) string {
	var b strings.Builder
	glued := true
	for _, m := range argument.FindAllStringSubmatch(macros, -1) {
		token := m[1] + m[2]
		switch {
		case m[2] == "Fl":
			if !glued {
				b.WriteByte(' ')
			}
			b.WriteByte('-')
			glued = true
		case m[2] == "Ns":
			glued = true
		case slices.Contains(markup, m[2]):
		default:
			if !glued {
				b.WriteByte(' ')
			}
			b.WriteString(unescape(token))
			glued = false
		}
	}
	return b.String()
}

// unescape replaces the escapes that the pages use by the printed characters.
func unescape(s string) string {
	return strings.NewReplacer(`\(dq`, `"`, `\&`, "", `\e`, `\`).Replace(s)
}

// same reports entries that only one of two lists has. It ignores order and
// repetitions.
func same(t *testing.T, what string, inPage, inCode []string) {
	t.Helper()
	if len(inCode) == 0 {
		t.Errorf("%s: not found in the code", what)
	}
	for _, s := range inCode {
		if !slices.Contains(inPage, s) {
			t.Errorf("%s: %q is in the code and not in the page", what, s)
		}
	}
	for _, s := range inPage {
		if !slices.Contains(inCode, s) {
			t.Errorf("%s: %q is in the page and not in the code", what, s)
		}
	}
}

func TestPlain(t *testing.T) {
	for source, want := range map[string]string{
		`Fl Fl config Ar FILE`:           "--config FILE",
		`Cm slow Ns = Ns Ar D`:           "slow=D",
		`Cm reset , close`:               "reset , close",
		`Va "mode = \(dqauto\(dq"`:       `mode = "auto"`,
		`Cm 404 No (optional path)`:      "404 (optional path)",
		`Ar FILE Ns Pa .d/*.toml`:        "FILE.d/*.toml",
		`Dv SIGTERM , SIGINT`:            "SIGTERM , SIGINT",
		`Li {\(dqname\(dq: ...} Ns \e n`: `{"name": ...}\ n`,
	} {
		if got := plain(source); got != want {
			t.Errorf("%s is %q, want %q", source, got, want)
		}
	}
}
