// SPDX-License-Identifier: Apache-2.0

package imdstest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSchedule(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []Phase
		text     string // how String writes it, if not like in
	}{
		{name: "empty", in: " "},
		{name: "a boot", in: "refuse:2s,503:1s,ok", want: []Phase{
			{Fault: "refuse", For: 2 * time.Second}, {Fault: "503", For: time.Second}, {Fault: "ok"},
		}},
		{name: "counts", in: "404x3,429;retry-after=2x1,ok", want: []Phase{
			{Fault: "404", Count: 3}, {Fault: "429", RetryAfter: "2", Count: 1}, {Fault: "ok"},
		}},
		{name: "spaces", in: " refuse:2s , hang ", text: "refuse:2s,hang", want: []Phase{
			{Fault: "refuse", For: 2 * time.Second}, {Fault: "hang"},
		}},
		{name: "method", in: "503@put:1s", want: []Phase{{Fault: "503", Method: "PUT", For: time.Second}}},
		{name: "path and count", in: "404@meta-data/tags/**x2", want: []Phase{
			{Fault: "404", Path: "meta-data/tags/**", Count: 2},
		}},
		{name: "path that ends like a count", in: `404@"meta-data/tags/x2"`, want: []Phase{
			{Fault: "404", Path: "meta-data/tags/x2"},
		}},
		{name: "path that is a reserved word", in: `hang@"put"`, want: []Phase{{Fault: "hang", Path: "put"}}},
		{name: "path with colons", in: "404@meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/mac:1m", want: []Phase{
			{Fault: "404", Path: "meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/mac", For: time.Minute},
		}, text: "404@meta-data/network/interfaces/macs/0e:49:61:0f:c3:11/mac:1m0s"},
		{name: "everything", in: "429;retry-after=5@ipv6@get@user-datax7", want: []Phase{
			{Fault: "429", RetryAfter: "5", Method: "GET", Family: "ipv6", Path: "user-data", Count: 7},
		}, text: "429;retry-after=5@get@ipv6@user-datax7"},
		{name: "date", in: `503;retry-after="Wed, 21 Oct 2015 07:28:00 GMT":2s`, want: []Phase{
			{Fault: "503", RetryAfter: "Wed, 21 Oct 2015 07:28:00 GMT", For: 2 * time.Second},
		}},
		{name: "value that ends like a count", in: `body="2x1"x2`, want: []Phase{{Fault: "body", Value: "2x1", Count: 2}}},
		{name: "empty value", in: `ttl=""`, want: []Phase{{Fault: "ttl"}}},
		{name: "negative value", in: "ttl=-1x1,drip", want: []Phase{{Fault: "ttl", Value: "-1", Count: 1}, {Fault: "drip"}}},
		{name: "drip", in: "dripx1,drip=5ms", want: []Phase{{Fault: "drip", Count: 1}, {Fault: "drip", Value: "5ms"}}},
		{name: "errno", in: "errno=ENETDOWN:100ms,big=9437184x1,interim=6", want: []Phase{
			{Fault: "errno", Value: "ENETDOWN", For: 100 * time.Millisecond},
			{Fault: "big", Value: "9437184", Count: 1},
			{Fault: "interim", Value: "6"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSchedule(tt.in)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("ParseSchedule(%q) = %#v, %v, want %#v", tt.in, got, err, tt.want)
			}
			want := strings.TrimSpace(tt.in)
			if tt.text != "" {
				want = tt.text
			}
			if got := text(got); got != want {
				t.Errorf("printed %q, want %q", got, want)
			}
		})
	}
}

// text returns the text of a schedule.
func text(phases []Phase) string {
	var texts []string
	for _, p := range phases {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ",")
}

func TestParseScheduleErrors(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"unknown fault", "refse:2s", `phase 1, "refse:2s": unknown fault "refse"`},
		{"second phase", "ok:1s,nope", `phase 2, "nope"`},
		{"empty phase", "ok:1s,,ok", "must begin with a fault"},
		{"status 600", "600", `unknown fault "600"`},
		{"status 099", "099", `unknown fault "099"`},
		{"never reached", "hang,ok", `"hang": it never ends, so "ok" is never reached`},
		{"no unit", "refuse:2", `limit ":2": must be x1 to x1000000, or :1ns to :168h0m0s with a unit`},
		{"zero duration", "refuse:0s", `limit ":0s"`},
		{"long duration", "refuse:169h", "must have a duration of 0 to 168h0m0s"},
		{"zero count", "404x0", `limit "x0"`},
		{"big count", "404x99999999999999999999", `limit "x9999`},
		{"mac address as path", "404@meta-data/macs/0e:49:61:0f:c3:11", "quote a path"},
		{"connect fault with method", "refuse@put:1s", "only @ipv4 and @ipv6"},
		{"connect fault with path", "blackhole@user-data", "only @ipv4 and @ipv6"},
		{"value for a fault without", "hang=2", "hang takes no value"},
		{"status with value", "503=2", "503 takes no value"},
		{"no value", "big", "big needs a value: write big=VALUE"},
		{"big of nothing", "big=0", "must be 1 to 67108864"},
		{"big too big", "big=67108865", "must be 1 to 67108864"},
		{"interim", "interim=-1", "must be 1 to 1000"},
		{"slow without unit", "slow=2", "must be 1ns to 168h0m0s, with a unit"},
		{"errno unknown", "errno=ESMTH", `unknown errno "ESMTH"`},
		{"retry-after on hang", "hang;retry-after=2", "only a status has one"},
		{"option", "503;after=2", `unknown option "after"`},
		{"header ends", `503;retry-after="2\r\nX: y"`, "must not contain CR, LF or NUL"},
		{"ttl header ends", `ttl="2\n"`, "must not contain CR, LF or NUL"},
		{"twice", "503@put@get", `@GET conflicts with "PUT"`},
		{"open quote", `503@"meta-data`, "not closed"},
		{"text after a quote", `503@"meta-data"/x`, "unexpected text"},
		{"quote at once", `"503"`, "must begin with a fault"},
		{"empty word", "503@", "empty value or path"},
		{"bad glob", `404@"meta-data/["`, "a bracket that is not closed"},
		{"too long", strings.Repeat("x", maxSchedule+1), "65537 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSchedule(tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) || got != nil {
				t.Errorf("ParseSchedule(%.80q) = %v, %v, want nil and an error with %q", tt.in, got, err, tt.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "parsing schedule: ") {
				t.Errorf("error does not name the operation: %v", err)
			}
		})
	}
}

func TestMustSchedulePanics(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), `unknown fault "nope"`) {
			t.Errorf("recovered %v", r)
		}
	}()
	MustSchedule("nope")
}

func TestNewPanicsForInvalidPhase(t *testing.T) {
	for _, tt := range []struct {
		name   string
		phases []Phase
		want   string
	}{
		{"both limits", []Phase{{Fault: "503", For: 1, Count: 1}}, "not both"},
		{"negative", []Phase{{Fault: "503", Count: -1}}, "a count of 0 to 1000000"},
		{"method", []Phase{{Fault: "503", Method: "put"}}, `method "put": must be PUT or GET`},
		{"family", []Phase{{Fault: "503", Family: "ipx"}}, `family "ipx"`},
		{"never reached", []Phase{{}, {}}, "never ends"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, tt.want) {
					t.Errorf("recovered %q, want %q", r, tt.want)
				}
			}()
			New(nil, tt.phases...)
		})
	}
}

// genPhase draws a phase that is valid anywhere in a schedule.
func genPhase(t *rapid.T) Phase {
	p := Phase{Fault: rapid.SampledFrom([]string{
		"ok", "refuse", "blackhole", "errno", "503", "100", "hang", "big", "interim", "ttl", "body", "slow", "drip", "dotdot",
	}).Draw(t, "fault")}
	switch p.Fault {
	case "errno":
		p.Value = rapid.SampledFrom([]string{"EPERM", "ENOMEM"}).Draw(t, "errno")
	case "big", "interim":
		p.Value = rapid.SampledFrom([]string{"1", "1000"}).Draw(t, "number")
	case "ttl":
		p.Value = rapid.StringMatching(`[^\r\n\x00]*`).Draw(t, "ttl")
	case "body":
		p.Value = rapid.String().Draw(t, "body")
	case "slow":
		p.Value = "1.5s"
	}
	if statusOf(p.Fault) != 0 {
		p.RetryAfter = rapid.StringMatching(`[^\r\n\x00]*`).Draw(t, "retry-after")
	}
	p.Family = rapid.SampledFrom([]string{"", "ipv4", "ipv6"}).Draw(t, "family")
	if !kindOf(p.Fault).connect {
		p.Method = rapid.SampledFrom([]string{"", "PUT", "GET"}).Draw(t, "method")
		p.Path = rapid.OneOf(rapid.StringMatching(`[^\[\\]*`), rapid.SampledFrom([]string{"put", "a/x2", "a:2s", "x", ""})).Draw(t, "path")
	}
	if rapid.Bool().Draw(t, "counted") {
		p.Count = rapid.IntRange(1, maxCount).Draw(t, "count")
	} else {
		p.For = time.Duration(rapid.Int64Range(1, int64(maxFor)).Draw(t, "for"))
	}
	return p
}

// A path that ends like a limit, or that the limit behind it would make end so, is quoted.
func TestPathsAreQuoted(t *testing.T) {
	for path, want := range map[string]string{
		":": `ok@":"x1`, "a:": `ok@"a:"x1`, "a:1": `ok@"a:1"x1`, "ax1": `ok@"ax1"x1`, "a:b/c": "ok@a:b/cx1", "a": "ok@ax1",
	} {
		if got := (Phase{Fault: "ok", Path: path, Count: 1}).String(); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}

func TestPhasesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phases := rapid.SliceOfN(rapid.Custom(genPhase), 1, 5).Draw(t, "phases")
		got, err := ParseSchedule(text(phases))
		if err != nil || !reflect.DeepEqual(got, phases) {
			t.Fatalf("%#v printed as %q, read as %#v, %v", phases, text(phases), got, err)
		}
	})
}

func FuzzParseSchedule(f *testing.F) {
	for _, s := range []string{
		"", "refuse:2s,503:1s,ok", "404x3,429;retry-after=2x1", `503;retry-after="Wed, 21 Oct 2015 07:28:00 GMT":2s`,
		"404@meta-data/tags/**x2", `body="a\"b,c"x1,ttl=""`, "drip=5ms", `hang@"put"`, "blackhole@ipv6:1µs", `404@"\xff"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		phases, err := ParseSchedule(s)
		if err != nil {
			if phases != nil {
				t.Fatalf("%v with an error: %v", phases, err)
			}
			return
		}
		printed := text(phases)
		again, err := ParseSchedule(printed)
		if err != nil || text(again) != printed || !reflect.DeepEqual(again, phases) {
			t.Fatalf("%q printed as %q, read as %#v, %v", s, printed, again, err)
		}
		New(nil, phases...) // panics if a parsed phase is invalid
	})
}
