// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

// preset returns a preset that there must be.
func preset(t testing.TB, name string) policy.Policy {
	t.Helper()
	p, ok := policy.Preset(name)
	if !ok {
		t.Fatalf("no preset %q", name)
	}
	return p
}

func TestNothingIsSet(t *testing.T) {
	for name, files := range map[string]tree{
		"empty file":          {"/etc/imds-ready/imds-ready.toml": ""},
		"empty named file":    {"config.toml": "# nothing\n"},
		"empty tables":        {"config.toml": "[endpoint]\n[retry]\n[ready]\n[metadata]\n[output]\n"},
		"byte order mark":     {"config.toml": "\ufeff[endpoint]\n"},
		"lines of Windows":    {"config.toml": "[endpoint]\r\nmode = \"auto\"\r\n"},
		"lists without entry": {"config.toml": "require = []\nretry.rule = []\n"},
	} {
		t.Run(name, func(t *testing.T) { sameAsDefaults(t, files.mustLoad(t)) })
	}
}

func TestEveryKeyIsTaken(t *testing.T) {
	c := one(t, `
[endpoint]
mode = "ipv6"
url = "http://127.0.0.1:1338/base/"
interface = "ens5.100"
token_ttl = "1h"
[retry]
preset = "sdk"
max_attempts = 7
deadline = "0s"
initial_backoff = "2s"
multiplier = 3
max_backoff = "1ms"
jitter = "equal"
connect_timeout = "1h"
read_timeout = "1ms"
retry_connect_timeouts = true
eager = true
[[retry.rule]]
on = ["404", "5xx", "connect-timeout"]
path = "meta-data/iam/**"
action = "absent"
[[retry.rule]]
on = ["4xx"]
action = "wait"
[[require]]
path = "meta-data/tags/instance/"
deadline = "168h"
max_attempts = 1000000
[[require]]
path = "user-data"
[ready]
on_timeout = "continue"
on_disabled = "continue"
on_not_ec2 = "try"
[metadata]
include = ["meta-data/placement/**", "**/x"]
exclude = ["meta-data/spot/**"]
collect_deadline = "1m"
user_data = true
signatures = true
concurrency = 16
requests_per_second = 200
[output]
textfile = "/var/lib/prometheus/node-exporter/"
[watch]
paths = ["meta-data/mac", "dynamic/instance-identity/document"]
interval = "1h"
`)
	p := preset(t, "sdk")
	p.MaxAttempts, p.Deadline = 7, 0
	p.Backoff = policy.Backoff{Initial: 2 * time.Second, Max: time.Millisecond, Multiplier: 3, Jitter: policy.JitterEqual}
	p.ConnectTimeout, p.ReadTimeout = time.Hour, time.Millisecond
	p.RetryConnectTimeouts, p.Eager = true, true
	p.Rules = []policy.Rule{
		{On: []string{"404", "5xx", "connect-timeout"}, Path: "meta-data/iam/**", Action: policy.Absent},
		{On: []string{"4xx"}, Action: policy.Wait},
	}
	want := readiness.Config{
		Policy: p,
		Require: []readiness.Require{
			{Path: imds.IdentityPath, MaxAttempts: 7, Deadline: 0},
			{Path: "meta-data/tags/instance/", MaxAttempts: 1000000, Deadline: 168 * time.Hour},
			{Path: "user-data", MaxAttempts: 7, Deadline: 0},
		},
		OnTimeout: readiness.Continue, OnDisabled: readiness.Continue, OnNotEC2: readiness.Try,
		Metadata: readiness.Metadata{
			Include: []string{"meta-data/placement/**", "**/x"}, Exclude: []string{"meta-data/spot/**"},
			CollectDeadline: time.Minute, UserData: true, Signatures: true, Concurrency: 16, RequestsPerSecond: 200,
		},
		Textfile:         "/var/lib/prometheus/node-exporter/imds_ready.prom",
		ExplicitEndpoint: true,
	}
	if w := (Watch{[]string{"meta-data/mac", imds.IdentityPath}, time.Hour}); !reflect.DeepEqual(c.Watch, w) {
		t.Errorf("got  %+v\nwant %+v", c.Watch, w)
	}
	if !reflect.DeepEqual(c.Readiness, want) {
		t.Errorf("got  %+v\nwant %+v", c.Readiness, want)
	}
	client := &imds.Client{
		Endpoints: []string{"http://127.0.0.1:1338/base"}, TokenTTL: time.Hour,
		Interface: "ens5.100",
	}
	if !reflect.DeepEqual(c.IMDS, client) {
		t.Errorf("the client's endpoints are %v, its token lifetime %v", c.IMDS.Endpoints, c.IMDS.TokenTTL)
	}
	for _, s := range c.Settings {
		if s.Source.Line == 0 && s.Key != "require[1].path" {
			t.Errorf("%s is %s, not from the file", s.Key, s.Origin)
		}
	}
}

// TestWaysToWrite checks that a value has its line however TOML writes it.
func TestWaysToWrite(t *testing.T) {
	for _, tt := range []struct{ name, text, key, want string }{
		{"table", "\n[retry]\n\ndeadline = '1m'\n", "retry.deadline", `"1m" from config.toml:4`},
		{"dotted", "# one\nretry.deadline = \"1m\" # two", "retry.deadline", `"1m" from config.toml:2`},
		{"quoted", `"retry" . 'deadline' = "1m"`, "retry.deadline", `"1m" from config.toml:1`},
		{"escaped", "[\"r\\u0065try\"]\n\"deadlin\\x65\" = \"\\u0031m\"", "retry.deadline", `"1m" from config.toml:2`},
		{"spaces", "  [ retry ]\n\tdeadline\t=\t\"1m\"", "retry.deadline", `"1m" from config.toml:2`},
		{"inline table", "\nretry = { eager = false, deadline = \"1m\" }", "retry.deadline", `"1m" from config.toml:2`},
		{"multi-line string", "[retry]\ndeadline = \"\"\"\\\n  1m\"\"\"\neager = false", "retry.eager", `false from config.toml:4`},
		{"number forms", "metadata.concurrency = 0x1_0", "metadata.concurrency", `16 from config.toml:1`},
		{"whole multiplier", "retry.multiplier = 1", "retry.multiplier", `1.0 from config.toml:1`},
		{"multi-line array", "[metadata]\nexclude = [\n \"a\", # ]\n 'b]',\n]\nuser_data = true", "metadata.user_data", `true from config.toml:6`},
		{"list of tables", "[[require]]\npath='user-data'\n[[require]]\npath='meta-data/x'\ndeadline='1s'", "require[3].deadline", `"1s" from config.toml:5`},
		{"inline list of tables", "\nrequire = [{path='user-data', deadline='1s'}]", "require[2].deadline", `"1s" from config.toml:2`},
		{"rules inline", "[retry]\neager=false\nrule = [\n{on=['404'], action='fail'}, {on=['4xx'], action='wait'}]", "retry.rule[2].on", `["4xx"] from config.toml:3`},
		{"table after its list", "[[retry.rule]]\non=['404']\naction='fail'\n[retry]\neager=false", "retry.eager", `false from config.toml:5`},
		{"lines of Windows", "[retry]\r\n# why\r\neager = false # so\r\n\r\ndeadline = '1m'\r\n", "retry.deadline", `"1m" from config.toml:5`},
		{"list in lines of Windows", "[metadata]\r\nexclude = [\r\n'a', # b\r\n]\r\nuser_data = true\r\n", "metadata.user_data", `true from config.toml:5`},
		{"hours and minutes", "retry.deadline = '1h30m0s'", "retry.deadline", `"1h30m" from config.toml:1`},
		{"a long wait", "retry.deadline = '168h'", "retry.deadline", `"168h" from config.toml:1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := setting(t, one(t, tt.text), tt.key); got != tt.want {
				t.Errorf("%s is %s, want %s", tt.key, got, tt.want)
			}
		})
	}
}

func TestEnvironmentOfTheProcess(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.9:9")
	c, err := Load(Options{Root: t.TempDir()})
	if err != nil || c.IMDS.Endpoints[0] != "http://127.0.0.9:9" {
		t.Errorf("got %+v, %v: os.Getenv is not asked", c, err)
	}
}

func ExampleProblem() {
	fmt.Println(Problem{
		Source:  Source{File: "/etc/imds-ready/imds-ready.toml", Line: 7},
		Key:     "retry.deadline",
		Value:   "300",
		Message: `a duration needs a unit (ms, s, m, h): write "300s", valid: "0s" (no limit), "1ms" to "168h"`,
	})
	// Output:
	// /etc/imds-ready/imds-ready.toml:7: retry.deadline = 300: a duration needs a unit (ms, s, m, h): write "300s", valid: "0s" (no limit), "1ms" to "168h"
}
