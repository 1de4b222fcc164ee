// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"strings"
	"testing"
)

// The ranges, written out.
const (
	rangeDeadline = `, legal: "0s" (no limit), "1ms" to "168h"`
	rangePause    = `, legal: "1ms" to "1h"`
	rangeAttempts = `, legal: 0 to 1000000 (0: no limit)`
	rangePath     = `, legal: an exact path below meta-data/ or dynamic/, or user-data; with a final slash, a listing`
	rangeAction   = `, legal: "retry", "wait", "fail", "absent"`
	rangeURL      = `, legal: http://, an IP literal or localhost, perhaps a port and a base path, as in "http://127.0.0.1:1338"`
	rangeTextfile = `, legal: an absolute path of a directory or of a file that ends in ".prom", or "" for none`
	noUnit        = `not a duration: write a number and a unit (ms, s, m, h), as in "5s" or "1m30s"`
	noClass       = `; classes are unreachable, blocked, local-error, connect-timeout, connection-refused, connection-reset, ` +
		`read-timeout, disabled, bad-response, empty, too-large, a status from 400 to 599, 4xx and 5xx`
	allTables = `legal: [endpoint], [retry], [[retry.rule]], [[require]], [ready], [metadata], [output]`
)

// TestProblems has the exact text of each problem. F stands for the file.
func TestProblems(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		// Durations.
		{"bare number", "[retry]\ndeadline = 5", `F:2: retry.deadline = 5: a duration needs a unit: write "5s"` + rangeDeadline},
		{"bare zero", "retry.deadline = 0", `F:1: retry.deadline = 0: a duration needs a unit: write "0s"` + rangeDeadline},
		{"bare negative", "retry.deadline = -5", `F:1: retry.deadline = -5: a duration needs a unit: write "5s"` + rangeDeadline},
		{"bare float", "retry.deadline = 0.5", `F:1: retry.deadline = 0.5: a duration needs a unit: write "0.5s"` + rangeDeadline},
		{"bare infinity", "retry.deadline = inf", `F:1: retry.deadline = inf: a duration needs a unit: write "5s"` + rangeDeadline},
		{"quoted number", "retry.deadline = '30'", `F:1: retry.deadline = "30": a duration needs a unit: write "30s"` + rangeDeadline},
		{"quoted zero", "retry.deadline = '0'", `F:1: retry.deadline = "0": a duration needs a unit: write "0s"` + rangeDeadline},
		{"no duration", "retry.deadline = '5 minutes'", `F:1: retry.deadline = "5 minutes": ` + noUnit + rangeDeadline},
		{"empty duration", "retry.deadline = ''", `F:1: retry.deadline = "": ` + noUnit + rangeDeadline},
		{"days", "retry.deadline = '7d'", `F:1: retry.deadline = "7d": ` + noUnit + rangeDeadline},
		{"beyond a Duration", "retry.deadline = '9999999999h'", `F:1: retry.deadline = "9999999999h": ` + noUnit + rangeDeadline},
		{"boolean for a duration", "retry.deadline = true", `F:1: retry.deadline = true: a boolean where a duration belongs` + rangeDeadline},
		{"list for a duration", "retry.deadline = ['5s']", `F:1: retry.deadline = ["5s"]: a list where a duration belongs` + rangeDeadline},
		{"table for a duration", "retry.deadline = {s = 5}", `F:1: retry.deadline = {s = 5}: a table where a duration belongs` + rangeDeadline},
		{"time for a duration", "retry.deadline = 00:05:00", `F:1: retry.deadline = 00:05:00: a date or time where a duration belongs` + rangeDeadline},
		{"unquoted", "[retry]\ndeadline = 5s # short", `F:2: broken TOML: expected a top-level item to end with a newline, comment, or EOF, but got 's' instead; a duration is a string: write "5s"`},
		{"negative duration", "retry.deadline = '-1s'", `F:1: retry.deadline = "-1s": out of range` + rangeDeadline},
		{"short deadline", "retry.deadline = '999us'", `F:1: retry.deadline = "999us": out of range` + rangeDeadline},
		{"long deadline", "retry.deadline = '168h1ns'", `F:1: retry.deadline = "168h1ns": out of range` + rangeDeadline},
		{"no pause", "retry.initial_backoff = '0s'", `F:1: retry.initial_backoff = "0s": out of range` + rangePause},
		{"long pause", "retry.max_backoff = '1h1s'", `F:1: retry.max_backoff = "1h1s": out of range` + rangePause},
		{"connect_timeout", "retry.connect_timeout = '0s'", `F:1: retry.connect_timeout = "0s": out of range` + rangePause},
		{"read_timeout", "retry.read_timeout = '2h'", `F:1: retry.read_timeout = "2h": out of range` + rangePause},
		{"collect_deadline", "metadata.collect_deadline = '1us'", `F:1: metadata.collect_deadline = "1us": out of range` + rangeDeadline},
		{"token_ttl", "endpoint.token_ttl = '7h'", `F:1: endpoint.token_ttl = "7h": out of range, legal: "1s" to "6h" in whole seconds`},
		{"token_ttl of 0", "endpoint.token_ttl = '0s'", `F:1: endpoint.token_ttl = "0s": out of range, legal: "1s" to "6h" in whole seconds`},
		{"token_ttl of half seconds", "endpoint.token_ttl = '1500ms'", `F:1: endpoint.token_ttl = "1500ms": not a whole number of seconds, legal: "1s" to "6h" in whole seconds`},

		// Numbers.
		{"negative number", "retry.max_attempts = -1", `F:1: retry.max_attempts = -1: out of range` + rangeAttempts},
		{"absurd number", "retry.max_attempts = 1000001", `F:1: retry.max_attempts = 1000001: out of range` + rangeAttempts},
		{"the largest number", "retry.max_attempts = 9223372036854775807", `F:1: retry.max_attempts = 9223372036854775807: out of range` + rangeAttempts},
		{"beyond all numbers", "retry.max_attempts = 9223372036854775808", `F:1: broken TOML: 9223372036854775808 is out of range for int64`},
		{"string for a number", "retry.max_attempts = '4'", `F:1: retry.max_attempts = "4": a string where a whole number belongs` + rangeAttempts},
		{"float for a whole number", "retry.max_attempts = 4.0", `F:1: retry.max_attempts = 4.0: a float where a whole number belongs` + rangeAttempts},
		{"concurrency", "metadata.concurrency = 17", `F:1: metadata.concurrency = 17: out of range, legal: 1 to 16`},
		{"requests_per_second", "metadata.requests_per_second = 0", `F:1: metadata.requests_per_second = 0: out of range, legal: 1 to 200`},
		{"multiplier below 1", "retry.multiplier = 0.99", `F:1: retry.multiplier = 0.99: out of range, legal: 1.0 to 100.0`},
		{"multiplier above 100", "retry.multiplier = 101", `F:1: retry.multiplier = 101: out of range, legal: 1.0 to 100.0`},
		{"multiplier nan", "retry.multiplier = nan", `F:1: retry.multiplier = nan: out of range, legal: 1.0 to 100.0`},
		{"multiplier inf", "retry.multiplier = +inf", `F:1: retry.multiplier = inf: out of range, legal: 1.0 to 100.0`},
		{"multiplier -inf", "retry.multiplier = -inf", `F:1: retry.multiplier = -inf: out of range, legal: 1.0 to 100.0`},
		{"multiplier as a string", "retry.multiplier = '2'", `F:1: retry.multiplier = "2": a string where a number belongs, legal: 1.0 to 100.0`},

		// Booleans and enumerations.
		{"string for a boolean", "retry.eager = 'true'", `F:1: retry.eager = "true": a string where a boolean belongs, legal: true, false`},
		{"number for a boolean", "retry.retry_connect_timeouts = 1", `F:1: retry.retry_connect_timeouts = 1: a whole number where a boolean belongs, legal: true, false`},
		{"yes", "metadata.user_data = yes", `F:1: broken TOML: expected value but found "yes" instead`},
		{"upper case", "retry.jitter = 'Full'", `F:1: retry.jitter = "Full": enumerations are lower case, legal: "full", "equal", "none"`},
		{"no such jitter", "retry.jitter = 'half'", `F:1: retry.jitter = "half": no such value, legal: "full", "equal", "none"`},
		{"no such preset", "retry.preset = 'aws'", `F:1: retry.preset = "aws": no such value, legal: "boot", "sdk"`},
		{"empty mode", "endpoint.mode = ''", `F:1: endpoint.mode = "": no such value, legal: "auto", "ipv4", "ipv6"`},
		{"number for a mode", "endpoint.mode = 4", `F:1: endpoint.mode = 4: a whole number where a string belongs, legal: "auto", "ipv4", "ipv6"`},
		{"on_timeout", "ready.on_timeout = 'skip'", `F:1: ready.on_timeout = "skip": no such value, legal: "fail", "continue"`},
		{"on_disabled", "ready.on_disabled = 'skip'", `F:1: ready.on_disabled = "skip": no such value, legal: "fail", "continue"`},
		{"on_not_ec2", "ready.on_not_ec2 = 'continue'", `F:1: ready.on_not_ec2 = "continue": no such value, legal: "skip", "fail", "try"`},

		// Texts.
		{"url", "endpoint.url = 'https://127.0.0.1'", `F:1: endpoint.url = "https://127.0.0.1": IMDS speaks http only` + rangeURL},
		{"number for a url", "endpoint.url = 80", `F:1: endpoint.url = 80: a whole number where a string belongs` + rangeURL},
		{"textfile", "output.textfile = 'metrics.prom'", `F:1: output.textfile = "metrics.prom": is relative: begin it with a slash` + rangeTextfile},
		{"number for a textfile", "[output]\ntextfile = 1", `F:2: output.textfile = 1: a whole number where a string belongs` + rangeTextfile},
		{"misspelt textfile", "[output]\ntext_file = '/run/imds'", `F:2: output.text_file = "/run/imds": unknown key, did you mean output.textfile?`},
		{"require.path", "[[require]]\npath = '/meta-data/ami-id'", `F:2: require.path = "/meta-data/ami-id": begins with a slash: drop it` + rangePath},
		{"require.path as a list", "[[require]]\npath = []", `F:2: require.path = []: a list where a string belongs` + rangePath},
		{"require.deadline", "[[require]]\npath = 'user-data'\ndeadline = 5", `F:3: require.deadline = 5: a duration needs a unit: write "5s"` + rangeDeadline},
		{"require.max_attempts", "[[require]]\npath = 'user-data'\nmax_attempts = -5", `F:3: require.max_attempts = -5: out of range` + rangeAttempts},
		{"include", "metadata.include = 'meta-data/**'", `F:1: metadata.include = "meta-data/**": a string where a list of strings belongs`},
		{"include of numbers", "metadata.include = ['meta-data/**', 5]", `F:1: metadata.include = ["meta-data/**", 5]: 5: a whole number where a string belongs`},
		{"include elsewhere", "metadata.include = ['dynamic/**']", `F:1: metadata.include = ["dynamic/**"]: "dynamic/**" can never match below meta-data/: begin it with meta-data/, as in "meta-data/**"`},
		{"exclude", "metadata.exclude = ['meta-data/{']", `F:1: metadata.exclude = ["meta-data/{"]: "meta-data/{" is not a valid glob: a bracket or brace is not closed, or a final backslash`},

		// Rules.
		{
			"two wrong classes", "[[retry.rule]]\naction = 'fail'\non = ['nope', '404', 'deadline']",
			`F:3: retry.rule.on = ["nope", "404", "deadline"]: no class is "nope"` + noClass + "\n" +
				`F:3: retry.rule.on = ["nope", "404", "deadline"]: "deadline" is never the class of an attempt`,
		},
		{"status 200", "[[retry.rule]]\non = ['200']\naction = 'fail'", `F:2: retry.rule.on = ["200"]: no class is "200": an answer without a body is "empty"`},
		{"status as a number", "[[retry.rule]]\non = [404]\naction = 'fail'", `F:2: retry.rule.on = [404]: 404: a whole number where a string belongs`},
		{"empty on", "[[retry.rule]]\non = []\naction = 'fail'", `F:2: retry.rule.on = []: an empty list matches nothing: name a class`},
		{"on as a string", "[[retry.rule]]\non = '404'\naction = 'fail'", `F:2: retry.rule.on = "404": a string where a list of strings belongs`},
		{"action", "[[retry.rule]]\non = ['404']\naction = 'ignore'", `F:3: retry.rule.action = "ignore": no such value` + rangeAction},
		{"rule.path", "[[retry.rule]]\non = ['404']\naction = 'fail'\npath = '/meta-data/**'", `F:4: retry.rule.path = "/meta-data/**": "/meta-data/**" begins with a slash: drop it`},
		{"incomplete rule", "\n[[retry.rule]]\npath = '**'", "F:2: [[retry.rule]]: has no on\nF:2: [[retry.rule]]: has no action" + rangeAction},
		{"incomplete require", "[[require]]\n\n[[require]]\npath = 'user-data'", `F:1: [[require]]: has no path` + rangePath},

		// Tables.
		{"table for a list", "[require]\npath = 'user-data'", `F:1: [require]: write [[require]]`},
		{"table for rules", "[retry.rule]\non = 5", `F:1: [retry.rule]: write [[retry.rule]]`},
		{"list for a table", "[[retry]]\ndeadline = 5", `F:1: [[retry]]: write [retry]`},
		{"key as a table", "[retry.deadline]\nx = 1", `F:1: [retry.deadline]: a table where a value belongs`},
		{"value for a table", "retry = 5", `F:1: retry = 5: a whole number where a table belongs: write [retry]`},
		{"value for a list", "require = 'user-data'", `F:1: require = "user-data": a string where a list of tables belongs: write [[require]]`},
		{"strings for a list of tables", "require = ['user-data']", `F:1: require = ["user-data"]: a string where a table belongs: write [[require]]`},
		{"table for an inline list", "retry.rule = {on = ['404'], action = 'fail'}", `F:1: retry.rule = {action = "fail", on = ["404"]}: a table where a list of tables belongs: write [[retry.rule]]`},
		{"field without its list", "[retry]\nrule.on = ['404']", `F:2: retry.rule.on = ["404"]: belongs in a list of tables: write [[retry.rule]]`},
		{"table below an entry", "[[require]]\npath = 'user-data'\n[require.more]\nx = 1", `F:3: [require.more]: unknown table, ` + allTables},

		// Unknown keys.
		{"misspelt key", "[retry]\nmax_atempts = 4", `F:2: retry.max_atempts = 4: unknown key, did you mean retry.max_attempts?`},
		{"dash", "[metadata]\nuser-data = true", `F:2: metadata.user-data = true: unknown key, did you mean metadata.user_data?`},
		{"case", "[Retry]\nDeadline = '5m'", `F:1: [Retry]: unknown table, did you mean [retry]?`},
		{"case of a key", "[retry]\nDeadline = '5m'", `F:2: retry.Deadline = "5m": unknown key, did you mean retry.deadline?`},
		{"wrong table", "[metadata]\non_timeout = 'fail'", `F:2: metadata.on_timeout = "fail": unknown key, did you mean ready.on_timeout?`},
		{"no table", "deadline = '5m'", `F:1: deadline = "5m": unknown key, did you mean retry.deadline?`},
		{"misspelt dotted", "raedy.on_timeout = 'fail'", `F:1: raedy.on_timeout = "fail": unknown key, did you mean ready.on_timeout?`},
		{"misspelt inline", "retry = { jiter = 'full' }", `F:1: retry.jiter = "full": unknown key, did you mean retry.jitter?`},
		{"misspelt list", "[[retry.rules]]\non = 5", `F:1: [[retry.rules]]: unknown table, did you mean [[retry.rule]]?`},
		{"misspelt inline list", "[retry]\nrules = []", `F:2: retry.rules = []: unknown key, did you mean [[retry.rule]]?`},
		{"misspelt in an entry", "[[require]]\npath = 'user-data'\ndeadlin = '5s'", `F:3: require.deadlin = "5s": unknown key, did you mean require.deadline?`},
		{"quoted dot", "'retry.deadline' = '5m'", `F:1: "retry.deadline" = "5m": unknown key, did you mean retry.deadline?`},
		{"below a key", "retry.deadline.x = 1", `F:1: retry.deadline.x = 1: unknown key, legal tables: [endpoint], [retry], [[retry.rule]], [[require]], [ready], [metadata], [output]`},
		{"unknown in its table", "[endpoint]\nproxy = 'x'", `F:2: endpoint.proxy = "x": unknown key, legal in [endpoint]: mode, url, interface, token_ttl`},
		{"another issue's table", "[refresh]\ninterval = '5m'", `F:1: [refresh]: unknown table, ` + allTables},
		{"unknown in another", "[output]\nformat = 'text'", `F:2: output.format = "text": unknown key, legal in [output]: textfile`},
		{"and another one", "[verify]", `F:1: [verify]: unknown table, ` + allTables},
		{"and the last", "metadata.credentials = true", `F:1: metadata.credentials = true: unknown key, legal in [metadata]: include, exclude, collect_deadline, user_data, signatures, concurrency, requests_per_second`},
		{"control characters", "\"a\\u001b[2J\" = \"\\u001b\\u202e\"", `F:1: "a\u001b[2J" = "\u001B\u202E": unknown key, legal tables: [endpoint], [retry], [[retry.rule]], [[require]], [ready], [metadata], [output]`},

		// What is no TOML.
		{"twice", "[retry]\neager = true\neager = false", `F:3: broken TOML: Key 'retry.eager' has already been defined`},
		{"open header", "\n[retry\neager = true", `F:2: broken TOML: expected '.' or ']' to end table name, but got '\n' instead`},
		{"open string", "retry.jitter = \"full\n", `F:1: broken TOML: strings cannot contain newlines`},
		{"open list", "[metadata]\ninclude = [\n'meta-data/**',\n", `F:3: broken TOML: unexpected EOF; expected value`},
		{"no value", "[retry]\ndeadline =\n", `F:2: broken TOML: expected value but found '\n' instead`},
		{"YAML", "retry:\n  deadline: 5m", `F:1: broken TOML: expected '.' or '=', but got ':' instead`},
		{"NUL", "[retry]\n# \x00", "F:2: a NUL byte: this is no text file, or one in UTF-16; TOML is UTF-8"},
		{"UTF-16", "\xff\xfe[\x00r\x00", "F:1: UTF-16, but TOML is UTF-8: save it so"},
		{"UTF-16, the other way", "\xfe\xff\x00[", "F:1: UTF-16, but TOML is UTF-8: save it so"},
		{"two byte order marks", "\ufeff\ufeff[retry]", "F:1: a second byte order mark: remove it"},
		{"Latin-1", "[retry]\n# Gr\xfc\xdfe", "F:2: not UTF-8, as TOML must be: save it so"},
		{"a replacement character is UTF-8", "# \ufffd\nx = 1", `F:2: x = 1: unknown key, legal tables: [endpoint], [retry], [[retry.rule]], [[require]], [ready], [metadata], [output]`},
		{"control character", "[retry]\n# \x01", "F:2: broken TOML: TOML files cannot contain control characters: '0x01'"},
		{"deep tables", "\nx = " + strings.Repeat("{a = ", 9) + "1" + strings.Repeat("}", 9), "F:2: nested too deeply: no key of this file needs more than three levels"},
		{"deep names", "\n" + strings.Repeat("a.", 9) + "a = 1", "F:2: nested too deeply: no key of this file needs more than three levels"},
		{"a binary", "\x7fELF\x02\x01\x01\x00", "F:1: a NUL byte: this is no text file, or one in UTF-16; TOML is UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tree{"config.toml": tt.text}.problemsOf(t)
			if want := strings.ReplaceAll(tt.want, "F:", "config.toml:"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestAllAtOnce has something wrong in each file and each way, and a syntax
// error behind which nothing can be said.
func TestAllAtOnce(t *testing.T) {
	got := tree{
		"config.toml": "[retry]\ndeadline = 5\njitter = 'x'\neager = no\nmax_attempts = -1\n",
		"config.toml.d/1.toml": "[[require]]\n[[retry.rule]]\non = ['404']\n[[require]]\npath = 'x'\n" +
			"[retry]\ndeadline = '1m'\njitter = 5s",
		"config.toml.d/2.toml": "[refresh]\nx = 1\n[retry]\nread_timeout = 1",
	}.problemsOf(t, envMode, "ipv7")
	want := `config.toml:2: retry.deadline = 5: a duration needs a unit: write "5s"` + rangeDeadline + `
config.toml:3: retry.jitter = "x": no such value, legal: "full", "equal", "none"
config.toml:4: broken TOML: expected value but found "no" instead
config.toml.d/1.toml:1: [[require]]: has no path` + rangePath + `
config.toml.d/1.toml:2: [[retry.rule]]: has no action` + rangeAction + `
config.toml.d/1.toml:5: require.path = "x": is no place of IMDS` + rangePath + `
config.toml.d/1.toml:8: broken TOML: expected a top-level item to end with a newline, comment, or EOF, but got 's' instead; a duration is a string: write "5s"
config.toml.d/2.toml:1: [refresh]: unknown table, ` + allTables + `
config.toml.d/2.toml:4: retry.read_timeout = 1: a duration needs a unit: write "1s"` + rangePause + `
environment: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE = "ipv7": no such value, legal: ipv4, ipv6 (in any case)`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestOneProblemPerEntry checks that a broken entry at the end of a broken
// file is not said to lack what may stand below.
func TestOneProblemPerEntry(t *testing.T) {
	got := tree{"config.toml": "[[retry.rule]]\non = ['404']\npath = \naction = 'fail'"}.problemsOf(t)
	if want := `config.toml:3: broken TOML: expected value but found '\n' instead`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLongValuesAreShortened(t *testing.T) {
	long := strings.Repeat("ä", 1<<16)
	for name, text := range map[string]string{
		"key":     "\"" + long + "\" = 1",
		"value":   "retry.deadline = '" + long + "'",
		"pattern": "metadata.include = ['/" + long + "']",
		"item":    "metadata.include = [['" + long + "']]",
		"class":   "[[retry.rule]]\non = ['" + long + "']\naction = 'fail'",
		"broken":  "\"" + long + "\" = 1\n\"" + long + "\" = 1",
		"header":  "[\"" + long + "\"]",
	} {
		got := tree{"config.toml": text}.problemsOf(t)
		if got == "" || len(got) > 1000 || !strings.Contains(got, "...") {
			t.Errorf("%s: a problem of %d bytes", name, len(got))
		}
	}
}

func TestProblemsAsErrors(t *testing.T) {
	_, _, err := tree{"config.toml": "retry.deadline = 5\nretry.jitter = 1"}.load(t)
	problems, ok := errors.AsType[Problems](err)
	if !ok || len(problems) != 2 {
		t.Fatalf("got %v, want two problems", err)
	}
	first, ok := errors.AsType[Problem](err)
	if !ok || first.Key != "retry.deadline" || first.Value != "5" || first.Source.Line != 1 {
		t.Errorf("got %+v", first)
	}
}
