// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The ranges, written out.
const (
	rangeDeadline = `, valid: "0s" (no limit), "1ms" to "168h"`
	rangePause    = `, valid: "1ms" to "1h"`
	rangeAttempts = `, valid: 0 to 1000000 (0: no limit)`
	rangePath     = `, valid: an exact path below meta-data/ or dynamic/, or user-data; with a final slash, a listing`
	rangeEquals   = `, valid: a string or a list of strings; "" for any value`
	rangeAction   = `, valid: "retry", "wait", "fail" or "absent"`
	rangeURL      = `, valid: http:// with an IP address or localhost, optionally a port and a base path, as in "http://127.0.0.1:1338"`
	rangeTextfile = `, valid: the absolute path of a directory, or of a file that ends in ".prom"; "" for no metrics`
	noUnit        = `must be a number and a unit (ms, s, m, h), as in "5s" or "1m30s"`
	noClass       = `; classes are unreachable, blocked, local-error, connect-timeout, connection-refused, connection-reset, ` +
		`read-timeout, disabled, bad-response, empty, mismatch, too-large, a status from 400 to 599, 4xx and 5xx`
	tables    = `[endpoint], [retry], [[retry.rule]], [[require]], [ready], [metadata], [output] or [watch]`
	allTables = `valid: ` + tables
)

// TestProblems has the exact text of each problem. F stands for the file.
func TestProblems(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		// Durations.
		{"bare number", "[retry]\ndeadline = 5", `F:2: retry.deadline = 5: a duration needs a unit (ms, s, m, h): write "5s"` + rangeDeadline},
		{"bare zero", "retry.deadline = 0", `F:1: retry.deadline = 0: a duration needs a unit (ms, s, m, h): write "0s"` + rangeDeadline},
		{"bare negative", "retry.deadline = -5", `F:1: retry.deadline = -5: a duration needs a unit (ms, s, m, h): write "5s"` + rangeDeadline},
		{"bare float", "retry.deadline = 0.5", `F:1: retry.deadline = 0.5: a duration needs a unit (ms, s, m, h): write "0.5s"` + rangeDeadline},
		{"bare infinity", "retry.deadline = inf", `F:1: retry.deadline = inf: a duration needs a unit (ms, s, m, h): write "5s"` + rangeDeadline},
		{"quoted number", "retry.deadline = '30'", `F:1: retry.deadline = '30': a duration needs a unit (ms, s, m, h): write "30s"` + rangeDeadline},
		{"quoted zero", "retry.deadline = '0'", `F:1: retry.deadline = '0': a duration needs a unit (ms, s, m, h): write "0s"` + rangeDeadline},
		{"no duration", "retry.deadline = '5 minutes'", `F:1: retry.deadline = '5 minutes': ` + noUnit + rangeDeadline},
		{"empty duration", "retry.deadline = ''", `F:1: retry.deadline = '': ` + noUnit + rangeDeadline},
		{"days", "retry.deadline = '7d'", `F:1: retry.deadline = '7d': ` + noUnit + rangeDeadline},
		{"beyond a Duration", "retry.deadline = '9999999999h'", `F:1: retry.deadline = '9999999999h': ` + noUnit + rangeDeadline},
		{"boolean for a duration", "retry.deadline = true", `F:1: retry.deadline = true: must be a duration with a unit (ms, s, m, h), not a boolean` + rangeDeadline},
		{"list for a duration", "retry.deadline = ['5s']", `F:1: retry.deadline = ['5s']: must be a duration with a unit (ms, s, m, h), not a list` + rangeDeadline},
		{"table for a duration", "retry.deadline = {s = 5}", `F:1: retry.deadline = {s = 5}: must be a duration with a unit (ms, s, m, h), not a table` + rangeDeadline},
		{"time for a duration", "retry.deadline = 00:05:00", `F:1: retry.deadline = 00:05:00: must be a duration with a unit (ms, s, m, h), not a date or time` + rangeDeadline},
		{"unquoted", "[retry]\ndeadline = 5s # short", `F:2: broken TOML: a duration is a string: write "5s"`},
		{"negative duration", "retry.deadline = '-1s'", `F:1: retry.deadline = '-1s': out of range` + rangeDeadline},
		{"short deadline", "retry.deadline = '999us'", `F:1: retry.deadline = '999us': out of range` + rangeDeadline},
		{"long deadline", "retry.deadline = '168h1ns'", `F:1: retry.deadline = '168h1ns': out of range` + rangeDeadline},
		{"no pause", "retry.initial_backoff = '0s'", `F:1: retry.initial_backoff = '0s': out of range` + rangePause},
		{"long pause", "retry.max_backoff = '1h1s'", `F:1: retry.max_backoff = '1h1s': out of range` + rangePause},
		{"connect_timeout", "retry.connect_timeout = '0s'", `F:1: retry.connect_timeout = '0s': out of range` + rangePause},
		{"read_timeout", "retry.read_timeout = '2h'", `F:1: retry.read_timeout = '2h': out of range` + rangePause},
		{"collect_deadline", "metadata.collect_deadline = '1us'", `F:1: metadata.collect_deadline = '1us': out of range` + rangeDeadline},
		{"token_ttl", "endpoint.token_ttl = '7h'", `F:1: endpoint.token_ttl = '7h': out of range, valid: "1s" to "6h" in whole seconds`},
		{"token_ttl of 0", "endpoint.token_ttl = '0s'", `F:1: endpoint.token_ttl = '0s': out of range, valid: "1s" to "6h" in whole seconds`},
		{"token_ttl of half seconds", "endpoint.token_ttl = '1500ms'", `F:1: endpoint.token_ttl = '1500ms': must be a whole number of seconds, valid: "1s" to "6h" in whole seconds`},

		// Numbers.
		{"negative number", "retry.max_attempts = -1", `F:1: retry.max_attempts = -1: out of range` + rangeAttempts},
		{"absurd number", "retry.max_attempts = 1000001", `F:1: retry.max_attempts = 1000001: out of range` + rangeAttempts},
		{"the largest number", "retry.max_attempts = 9223372036854775807", `F:1: retry.max_attempts = 9223372036854775807: out of range` + rangeAttempts},
		{"beyond all numbers", "retry.max_attempts = 9223372036854775808", `F:1: broken TOML: 9223372036854775808 is out of range for int64`},
		{"string for a number", "retry.max_attempts = '4'", `F:1: retry.max_attempts = '4': must be a whole number, not a string` + rangeAttempts},
		{"float for a whole number", "retry.max_attempts = 4.0", `F:1: retry.max_attempts = 4.0: must be a whole number, not a float` + rangeAttempts},
		{"concurrency", "metadata.concurrency = 17", `F:1: metadata.concurrency = 17: out of range, valid: 1 to 16`},
		{"requests_per_second", "metadata.requests_per_second = 0", `F:1: metadata.requests_per_second = 0: out of range, valid: 1 to 280`},
		{"multiplier below 1", "retry.multiplier = 0.99", `F:1: retry.multiplier = 0.99: out of range, valid: 1.0 to 100.0`},
		{"multiplier above 100", "retry.multiplier = 101", `F:1: retry.multiplier = 101: out of range, valid: 1.0 to 100.0`},
		{"multiplier nan", "retry.multiplier = nan", `F:1: retry.multiplier = nan: out of range, valid: 1.0 to 100.0`},
		{"multiplier inf", "retry.multiplier = +inf", `F:1: retry.multiplier = +inf: out of range, valid: 1.0 to 100.0`},
		{"multiplier -inf", "retry.multiplier = -inf", `F:1: retry.multiplier = -inf: out of range, valid: 1.0 to 100.0`},
		{"multiplier as a string", "retry.multiplier = '2'", `F:1: retry.multiplier = '2': must be a number, not a string, valid: 1.0 to 100.0`},

		// Booleans and enumerations.
		{"string for a boolean", "retry.eager = 'true'", `F:1: retry.eager = 'true': must be a boolean, not a string, valid: true or false`},
		{"number for a boolean", "retry.retry_connect_timeouts = 1", `F:1: retry.retry_connect_timeouts = 1: must be a boolean, not a whole number, valid: true or false`},
		{"yes", "metadata.user_data = yes", `F:1: broken TOML: a boolean must be true or false`},
		{"upper case", "retry.jitter = 'Full'", `F:1: retry.jitter = 'Full': must be in lower case, valid: "full", "equal" or "none"`},
		{"no such jitter", "retry.jitter = 'half'", `F:1: retry.jitter = 'half': unknown value, valid: "full", "equal" or "none"`},
		{"no such preset", "retry.preset = 'aws'", `F:1: retry.preset = 'aws': unknown value, valid: "boot" or "sdk"`},
		{"empty mode", "endpoint.mode = ''", `F:1: endpoint.mode = '': unknown value, valid: "auto", "ipv4" or "ipv6"`},
		{"number for a mode", "endpoint.mode = 4", `F:1: endpoint.mode = 4: must be a string, not a whole number, valid: "auto", "ipv4" or "ipv6"`},
		{"on_timeout", "ready.on_timeout = 'skip'", `F:1: ready.on_timeout = 'skip': unknown value, valid: "fail" or "continue"`},
		{"on_disabled", "ready.on_disabled = 'skip'", `F:1: ready.on_disabled = 'skip': unknown value, valid: "fail" or "continue"`},
		{"on_not_ec2", "ready.on_not_ec2 = 'continue'", `F:1: ready.on_not_ec2 = 'continue': unknown value, valid: "skip", "fail" or "try"`},

		// Texts.
		{"url", "endpoint.url = 'https://127.0.0.1'", `F:1: endpoint.url = 'https://127.0.0.1': the scheme must be http` + rangeURL},
		{"number for a url", "endpoint.url = 80", `F:1: endpoint.url = 80: must be a string, not a whole number` + rangeURL},
		{"textfile", "output.textfile = 'metrics.prom'", `F:1: output.textfile = 'metrics.prom': must be absolute: begin it with a slash` + rangeTextfile},
		{"number for a textfile", "[output]\ntextfile = 1", `F:2: output.textfile = 1: must be a string, not a whole number` + rangeTextfile},
		{"misspelled textfile", "[output]\ntext_file = '/run/imds'", `F:2: output.text_file = '/run/imds': unknown key, did you mean output.textfile?`},
		{"require.path", "[[require]]\npath = '/meta-data/ami-id'", `F:2: require.path = '/meta-data/ami-id': must be relative to the version: write "meta-data/ami-id"` + rangePath},
		{"require.path as a list", "[[require]]\npath = []", `F:2: require.path = []: must be a string, not a list` + rangePath},
		{"require.deadline", "[[require]]\npath = 'user-data'\ndeadline = 5", `F:3: require.deadline = 5: a duration needs a unit (ms, s, m, h): write "5s"` + rangeDeadline},
		{"require.max_attempts", "[[require]]\npath = 'user-data'\nmax_attempts = -5", `F:3: require.max_attempts = -5: out of range` + rangeAttempts},
		{"include", "metadata.include = 'meta-data/**'", `F:1: metadata.include = 'meta-data/**': must be a list of strings, not a string: write ["meta-data/**"]`},
		{"include of numbers", "metadata.include = ['meta-data/**', 5]", `F:1: metadata.include = ['meta-data/**', 5]: item 2 must be a string, not a whole number: write "5"`},
		{"include elsewhere", "metadata.include = ['dynamic/**']", `F:1: metadata.include = ['dynamic/**']: "dynamic/**" can never match below meta-data/: remove it`},
		{"exclude", "metadata.exclude = ['meta-data/{']", `F:1: metadata.exclude = ['meta-data/{']: "meta-data/{" is not a valid glob: a bracket or brace is not closed, or it ends with a backslash`},
		{"equals as a number", "[[require]]\npath = 'meta-data/mac'\nequals = 5", `F:3: require.equals = 5: must be a string or a list of strings, not a whole number: write "5"` + rangeEquals},
		{"equals as a boolean", "[[require]]\npath = 'meta-data/mac'\nequals = true", `F:3: require.equals = true: must be a string or a list of strings, not a boolean: write "true"` + rangeEquals},
		{"equals as a table", "[[require]]\npath = 'meta-data/mac'\nequals = {}", `F:3: require.equals = {}: must be a string or a list of strings, not a table` + rangeEquals},
		{"equals of numbers", "[[require]]\npath = 'meta-data/mac'\nequals = ['a', 5]", `F:3: require.equals = ['a', 5]: item 2 must be a string, not a whole number: write "5"` + rangeEquals},
		{"empty equals", "[[require]]\npath = 'meta-data/mac'\nequals = []", `F:3: require.equals = []: an empty list matches nothing` + rangeEquals},
		{"an empty item of equals", "[[require]]\npath = 'meta-data/mac'\nequals = ['']", `F:3: require.equals = ['']: an empty string in a list matches nothing` + rangeEquals},
		{"equals with a line break", "[[require]]\npath = 'meta-data/mac'\nequals = \"a\\n\"", `F:3: require.equals = "a\n": "a\n" ends with a line break, which is not part of a value: remove it` + rangeEquals},
		{"equals and a directory", "[[require]]\nequals = 'a'\npath = 'meta-data/tags/instance/'", `F:2: require.equals = "a": "meta-data/tags/instance/" is a directory, which has no value: require a path in it, or remove equals`},
		{"equals and the role", "[[require]]\npath = 'meta-data/iam/info'\nequals = ['a', 'b']", `F:3: require.equals = ["a", "b"]: "meta-data/iam/info" is a JSON document: remove equals, and the gate waits until its Code is Success`},
		{"equals and a document", "[[require]]\npath = 'meta-data/spot/instance-action'\nequals = 'a'", `F:3: require.equals = "a": "meta-data/spot/instance-action" is a JSON document: remove equals, and the gate waits until it exists`},
		{"equals and the identity document", "[[require]]\npath = 'dynamic/instance-identity/document'\nequals = 'a'", `F:3: require.equals = "a": "dynamic/instance-identity/document" is a JSON document: remove equals, and the gate waits until it exists`},
		{"equals and user-data", "[[require]]\npath = 'user-data'\nequals = 'a'", `F:3: require.equals = "a": "user-data" may be secret, so its value is not compared: remove equals, and the gate waits until it exists`},
		{"equals and an invalid path", "[[require]]\npath = '/meta-data/x/'\nequals = 'a'", `F:2: require.path = '/meta-data/x/': must be relative to the version: write "meta-data/x/"` + rangePath},
		{"equals without a path", "[[require]]\nequals = 'a'", `F:1: [[require]]: path is missing` + rangePath},

		// Rules.
		{
			"two wrong classes", "[[retry.rule]]\naction = 'fail'\non = ['nope', '404', 'deadline']",
			`F:3: retry.rule.on = ['nope', '404', 'deadline']: no class is "nope"` + noClass + "\n" +
				`F:3: retry.rule.on = ['nope', '404', 'deadline']: "deadline" is never the class of an attempt`,
		},
		{"status 200", "[[retry.rule]]\non = ['200']\naction = 'fail'", `F:2: retry.rule.on = ['200']: no class is "200": an answer without a body is "empty"`},
		{"status as a number", "[[retry.rule]]\non = [404]\naction = 'fail'", `F:2: retry.rule.on = [404]: item 1 must be a string, not a whole number: write "404"`},
		{"misspelled class", "[[retry.rule]]\non = ['read-timout', '5XX']\naction = 'fail'", `F:2: retry.rule.on = ['read-timout', '5XX']: no class is "read-timout", did you mean "read-timeout"?` + "\n" + `F:2: retry.rule.on = ['read-timout', '5XX']: no class is "5XX", did you mean "5xx"?`},
		{"empty on", "[[retry.rule]]\non = []\naction = 'fail'", `F:2: retry.rule.on = []: an empty list matches nothing: name a class`},
		{"on as a string", "[[retry.rule]]\non = '404'\naction = 'fail'", `F:2: retry.rule.on = '404': must be a list of strings, not a string: write ["404"]`},
		{"action", "[[retry.rule]]\non = ['404']\naction = 'ignore'", `F:3: retry.rule.action = 'ignore': unknown value` + rangeAction},
		{"rule.path", "[[retry.rule]]\non = ['404']\naction = 'fail'\npath = '/meta-data/**'", `F:4: retry.rule.path = '/meta-data/**': "/meta-data/**" must be relative to the version: write "meta-data/**"`},
		{"incomplete rule", "\n[[retry.rule]]\npath = '**'", "F:2: [[retry.rule]]: on is missing\nF:2: [[retry.rule]]: action is missing" + rangeAction},
		{"incomplete require", "[[require]]\n\n[[require]]\npath = 'user-data'", `F:1: [[require]]: path is missing` + rangePath},

		// Tables.
		{"table for a list", "[require]\npath = 'user-data'", `F:1: [require]: write [[require]]`},
		{"table for rules", "[retry.rule]\non = 5", `F:1: [retry.rule]: write [[retry.rule]]`},
		{"list for a table", "[[retry]]\ndeadline = 5", `F:1: [[retry]]: write [retry]`},
		{"key as a table", "[retry.deadline]\nx = 1", `F:1: [retry.deadline]: a table in place of a value`},
		{"value for a table", "retry = 5", `F:1: retry = 5: must be a table, not a whole number: write [retry]`},
		{"value for a list", "require = 'user-data'", `F:1: require = 'user-data': must be a list of tables, not a string: write [[require]]`},
		{"strings for a list of tables", "require = ['user-data']", `F:1: require = ['user-data']: item 1 must be a table, not a string: write [[require]]`},
		{"table for an inline list", "retry.rule = {on = ['404'], action = 'fail'}", `F:1: retry.rule = {on = ['404'], action = 'fail'}: must be a list of tables, not a table: write [[retry.rule]]`},
		{"field without its list", "[retry]\nrule.on = ['404']", `F:2: retry.rule.on = ['404']: belongs in a list of tables: write [[retry.rule]]`},
		{"table below an entry", "[[require]]\npath = 'user-data'\n[require.more]\nx = 1", `F:3: [require.more]: unknown table, ` + allTables},

		// Unknown keys.
		{"misspelled key", "[retry]\nmax_atempts = 4", `F:2: retry.max_atempts = 4: unknown key, did you mean retry.max_attempts?`},
		{"dash", "[metadata]\nuser-data = true", `F:2: metadata.user-data = true: unknown key, did you mean metadata.user_data?`},
		{"case", "[Retry]\nDeadline = '5m'", `F:1: [Retry]: unknown table, did you mean [retry]?`},
		{"case of a key", "[retry]\nDeadline = '5m'", `F:2: retry.Deadline = '5m': unknown key, did you mean retry.deadline?`},
		{"wrong table", "[metadata]\non_timeout = 'fail'", `F:2: metadata.on_timeout = 'fail': unknown key, did you mean ready.on_timeout?`},
		{"no table", "deadline = '5m'", `F:1: deadline = '5m': unknown key, did you mean retry.deadline?`},
		{"misspelled dotted", "raedy.on_timeout = 'fail'", `F:1: raedy.on_timeout = 'fail': unknown key, did you mean ready.on_timeout?`},
		{"misspelled inline", "retry = { jiter = 'full' }", `F:1: retry.jiter = 'full': unknown key, did you mean retry.jitter?`},
		{"misspelled list", "[[retry.rules]]\non = 5", `F:1: [[retry.rules]]: unknown table, did you mean [[retry.rule]]?`},
		{"misspelled inline list", "[retry]\nrules = []", `F:2: retry.rules = []: unknown key, did you mean [[retry.rule]]?`},
		{"misspelled in an entry", "[[require]]\npath = 'user-data'\ndeadlin = '5s'", `F:3: require.deadlin = '5s': unknown key, did you mean require.deadline?`},
		{"quoted dot", "'retry.deadline' = '5m'", `F:1: "retry.deadline" = '5m': unknown key, did you mean retry.deadline?`},
		{"below a key", "retry.deadline.x = 1", `F:1: retry.deadline.x = 1: unknown key, valid tables: ` + tables},
		{"unknown in its table", "[endpoint]\nproxy = 'x'", `F:2: endpoint.proxy = 'x': unknown key, valid in [endpoint]: mode, url, interface or token_ttl`},
		{"unknown table", "[refresh]\ninterval = '5m'", `F:1: [refresh]: unknown table, ` + allTables},
		{"unknown in another", "[output]\nformat = 'text'", `F:2: output.format = 'text': unknown key, valid in [output]: textfile`},
		{"unknown table without keys", "[verify]", `F:1: [verify]: unknown table, ` + allTables},
		{"unknown in a large table", "metadata.credentials = true", `F:1: metadata.credentials = true: unknown key, valid in [metadata]: include, exclude, collect_deadline, user_data, signatures, concurrency or requests_per_second`},
		{"control characters", "\"a\\u001b[2J\" = \"\\u001b\\u202e\"", `F:1: "a\u001b[2J" = "\u001b\u202e": unknown key, valid tables: ` + tables},

		// The value as it was written.
		{"on several lines", "[metadata]\ninclude = [ # why\n\t'/a',\n\t'b' ]", `F:2: metadata.include = [ # why '/a', 'b' ]: "/a" must be relative to the version: write "meta-data/a"` + "\n" + `F:2: metadata.include = [ # why '/a', 'b' ]: "b" can never match below meta-data/: write "meta-data/b"`},
		{"a multi-line string", "retry.jitter = \"\"\"\n  full\"\"\"", `F:1: retry.jitter = """ full""": unknown value, valid: "full", "equal" or "none"`},
		{"a hash and an equals sign", "'a=#' = '=#' # =", `F:1: "a=#" = '=#': unknown key, valid tables: ` + tables},
		{"characters that reorder text", "retry.jitter = '\u202efull\u2066'", `F:1: retry.jitter = '\u202Efull\u2066': unknown value, valid: "full", "equal" or "none"`},
		{"inline, on several lines", "require = [\n {path = 'user-data', deadline = 5}, # why\n {path = '/x', # ]\n  }]", `F:1: require.deadline = 5: a duration needs a unit (ms, s, m, h): write "5s"` + rangeDeadline + "\n" + `F:1: require.path = '/x': is not a path of IMDS, did you mean "meta-data/x"?`},
		{"inline in inline", "retry = {rule = [{on = [\"a,}\"], action = \"fail\", why = 1}]}", `F:1: retry.rule.on = ["a,}"]: no class is "a,}"` + noClass + "\n" + `F:1: retry.rule.why = 1: unknown key, valid in [[retry.rule]]: on, path or action`},

		// What is not TOML.
		{"a table twice", "[retry]\neager = true\n[ready]\n[retry]\ndeadline = '1m'", `F:4: [retry]: already begun in line 1: merge the two tables`},
		{"a table after an inline one", "retry = {}\n[retry]", `F:2: [retry]: already begun in line 1: merge the two tables`},
		{"a key twice, elsewhere the same", "[[require]]\npath = 'user-data'\n[[require]]\npath = 'meta-data/x'\npath = 'meta-data/y'", `F:5: require.path = 'meta-data/y': already set in line 4: remove one of the two`},
		{"a table after its list", "[[require]]\npath = 'user-data'\n[require]", `F:3: [require]: write [[require]]`},
		{"a list written in two ways", "require = [{path = 'user-data'}]\n[[require]]\npath = 'meta-data/x'", `F:2: [[require]]: written in another way in line 1: write [[require]] for each entry`},
		{"a key twice in an inline table", "retry = {eager = true, eager = false}", `F:1: broken TOML: Key 'retry.eager' has already been defined`},
		{"curly quotes", "[retry]\ndeadline = “5m”", `F:2: broken TOML: write straight quotes, " or ', instead of curly ones`},
		{"curly quotes in a list", "[metadata]\ninclude = [\n  ‘meta-data/**’,\n]", `F:3: broken TOML: write straight quotes, " or ', instead of curly ones`},
		{"curly quotes in a string", "endpoint.interface = '“' oops", `F:1: broken TOML: expected a top-level item to end with a newline, comment, or EOF, but got 'o' instead`},
		{"slashes", "// why\n[retry]", `F:1: broken TOML: a comment begins with #, not with //`},
		{"slashes behind a value", "retry.deadline = '5m' // why: “x”", `F:1: broken TOML: a comment begins with #, not with //`},
		{"slashes behind a url", "endpoint.url = 'http://127.0.0.1' // why", `F:1: broken TOML: a comment begins with #, not with //`},
		{"bare url", "endpoint.url = http://127.0.0.1", `F:1: broken TOML: a string needs quotes: write "http://127.0.0.1"`},
		{"bare word", "endpoint.mode = ipv4 # a: “b” // c", `F:1: broken TOML: a string needs quotes: write "ipv4"`},
		{"a space in a key", "retry eager = true", `F:1: broken TOML: a key has no spaces: write retry.eager`},
		{"a space in a key of a table", "[retry]\nmax attempts = 4", `F:2: broken TOML: a key has no spaces: write max_attempts`},
		{"spaces in a key", "retry.retry connect timeouts = true", `F:1: broken TOML: a key has no spaces: write retry.retry_connect_timeouts`},
		{"semicolon", "; why\n[retry]", `F:1: broken TOML: a comment begins with #, not with ;`},
		{"semicolon behind a value", "[retry]\ndeadline = '5m' ; why", `F:2: broken TOML: a comment begins with #, not with ;`},
		{"colon", "[retry]\ndeadline: '5m'", `F:2: broken TOML: write key = value instead of key: value`},
		{"JSON", "{ \"retry\": { \"deadline\": \"5m\" } }", `F:1: broken TOML: write key = value instead of key: value`},
		{"twice", "[retry]\neager = true\neager = false", `F:3: retry.eager = false: already set in line 2: remove one of the two`},
		{"open header", "\n[retry\neager = true", `F:2: broken TOML: close the table's name with ]`},
		{"open header of a list", "[[require]\npath = 'user-data'", `F:1: broken TOML: close the table's name with ]]`},
		{"open string", "retry.jitter = \"full\n", `F:1: broken TOML: the string is not closed: add "`},
		{"open string at the end of the file", "retry.jitter = \"full", `F:1: broken TOML: the string is not closed: add "`},
		{"open literal string at the end of the file", "retry.jitter = 'full", `F:1: broken TOML: the string is not closed: add '`},
		{"open literal string", "[retry]\njitter = 'full # why\neager = true", `F:2: broken TOML: the string is not closed: add '`},
		{"open string in a list", "metadata.include = [\"a\", \"b]\n", `F:1: broken TOML: the string is not closed: add "`},
		{"open multi-line string", "retry.jitter = \"\"\"full\n", `F:1: broken TOML: unexpected EOF; expected '"""'`},
		{"open list", "[metadata]\ninclude = [\n'meta-data/**',\n", `F:3: broken TOML: unexpected EOF; expected value`},
		{"no value", "[retry]\ndeadline =\n", `F:2: broken TOML: expected value but found '\n' instead`},
		{"YAML", "retry:\n  deadline: 5m", `F:1: broken TOML: write key = value instead of key: value`},
		{"NUL", "[retry]\n# \x00", "F:2: a NUL byte: the file must be text in UTF-8"},
		{"UTF-16", "\xff\xfe[\x00r\x00", "F:1: the file is UTF-16: save it as UTF-8"},
		{"UTF-16, the other way", "\xfe\xff\x00[", "F:1: the file is UTF-16: save it as UTF-8"},
		{"two byte order marks", "\ufeff\ufeff[retry]", "F:1: a second byte order mark: remove it"},
		{"Latin-1", "[retry]\n# Gr\xfc\xdfe", "F:2: not UTF-8: save the file as UTF-8"},
		{"a replacement character is UTF-8", "# \ufffd\nx = 1", `F:2: x = 1: unknown key, valid tables: ` + tables},
		{"control character", "[retry]\n# \x01", "F:2: broken TOML: TOML files cannot contain control characters: '0x01'"},
		{"deep tables", "\nx = " + strings.Repeat("{a = ", 9) + "1" + strings.Repeat("}", 9), "F:2: nested too deeply: no key needs more than three levels"},
		{"deep names", "\n" + strings.Repeat("a.", 9) + "a = 1", "F:2: nested too deeply: no key needs more than three levels"},
		{"a binary", "\x7fELF\x02\x01\x01\x00", "F:1: a NUL byte: the file must be text in UTF-8"},
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
	want := `config.toml:2: retry.deadline = 5: a duration needs a unit (ms, s, m, h): write "5s"` + rangeDeadline + `
config.toml:3: retry.jitter = 'x': unknown value, valid: "full", "equal" or "none"
config.toml:4: broken TOML: a boolean must be true or false
config.toml.d/1.toml:1: [[require]]: path is missing` + rangePath + `
config.toml.d/1.toml:2: [[retry.rule]]: action is missing` + rangeAction + `
config.toml.d/1.toml:5: require.path = 'x': is not a path of IMDS, did you mean "meta-data/x"?
config.toml.d/1.toml:8: broken TOML: a duration is a string: write "5s"
config.toml.d/2.toml:1: [refresh]: unknown table, ` + allTables + `
config.toml.d/2.toml:4: retry.read_timeout = 1: a duration needs a unit (ms, s, m, h): write "1s"` + rangePause + `
environment: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE = "ipv7": unknown value, valid: ipv4 or ipv6 (in any case)`
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

// TestManyProblems checks that the first hundred are reported, in the order of
// files and lines, and that the others are counted.
func TestManyProblems(t *testing.T) {
	for n, last := range map[int]string{
		100:    "config.toml.d/1.toml:99: ",
		101:    "and 1 more problem",
		30_000: "and 29900 more problems",
	} {
		var b strings.Builder
		for i := range n - 1 {
			fmt.Fprintf(&b, "x%d=1\n", i)
		}
		lines := strings.Split(tree{"config.toml": "y = 1", "config.toml.d/1.toml": b.String()}.problemsOf(t), "\n")
		if got := lines[len(lines)-1]; !strings.HasPrefix(got, last) || len(lines) != min(n, 101) {
			t.Errorf("%d problems: %d lines, the last is %s", n, len(lines), got)
		}
		if got := lines[98]; !strings.HasPrefix(lines[0], "config.toml:1: y = 1: ") || !strings.HasPrefix(got, "config.toml.d/1.toml:98: x97 = 1: ") {
			t.Errorf("%d problems: the first is %s, the 99th is %s", n, lines[0], got)
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
