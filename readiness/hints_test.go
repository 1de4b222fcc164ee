// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
)

// The hints of imds-ready(8), and when each is given.
func TestHints(t *testing.T) {
	const roles, tags = "meta-data/iam/security-credentials/", "meta-data/tags/instance/"
	for _, tt := range []struct {
		name, fault string
		require     string
		deadline    time.Duration
		want        []string // parts of the hint
	}{
		{"disabled", "403@put", "", 0, []string{"IMDS is disabled for this instance", "http-endpoint"}},
		{"disabled by the document", "403@get", "", 0, []string{"IMDS is disabled for this instance"}},
		{"hop limit", "hang@put", "", 3 * time.Second, []string{"probably the response hop limit is too small", "HttpPutResponseHopLimit", "retry.read_timeout"}},
		{"a silent GET is not a hop limit", "hang@get", "", 3 * time.Second, []string{"has granted a token", "retry.read_timeout"}},
		{"blocked", "blocked", "", 0, []string{"a prohibit", "systemd-imdsd", "examples/systemd-imdsd.conf"}},
		{"refused for 4 s", "refuse", "", 4 * time.Second, []string{"nothing answers at this address yet", "endpoint.url"}},
		{"refused for 11 s", "refuse", "", 11 * time.Second, []string{"probably a local firewall allows IMDS to root only", "allow the user imds-ready"}},
		{"connect-timeout for 9 s", "blackhole", "", 9 * time.Second, []string{"nothing answers at this address yet"}},
		{"connect-timeout for 11 s", "blackhole", "", 11 * time.Second, []string{"allow the user imds-ready"}},
		{"refused, 503, refused", "refuse:9s,503x1,refuse", "", 15 * time.Second, []string{"nothing answers at this address yet"}},
		{"unreachable", "unreachable", "", time.Second, []string{"no address or route"}},
		{"401 twice", "401@get", "", 140 * time.Millisecond, []string{"check --explain 401 dynamic/instance-identity/document"}},
		{"401 once, then another", "401@getx1,400@get", "", 0, []string{"check --explain 400 dynamic/instance-identity/document"}},
		{"too large", "bigheaders", "", time.Second, []string{"probably something other than IMDS answers"}},
		{"too large, of the roles", "bigheaders@" + roles, roles, time.Second, []string{"probably something other than IMDS answers"}},
		{"401 for 3 s", "401@get", "", 3 * time.Second, []string{"does not accept its own token"}},
		{"404 to the PUT", "404@put", "", time.Second, []string{"token"}},
		{"the PUT is not known", "405@put", "", 0, []string{"not IMDSv2's", "/latest"}},
		{"401 to the PUT", "401@put", "", time.Second, []string{"needs no token", "proxy"}},
		{"503", "503", "", time.Second, []string{"usually ends within seconds"}},
		{"reset", "reset", "", time.Second, []string{"before the answer is complete"}},
		{"ARP without an answer", "blackholex1,unreachablex1,blackholex1,unreachablex1,blackholex1,unreachablex9,blackhole", "", 30 * time.Second, []string{"ip route get", "endpoint.interface"}},
		{"no such tag", "404@meta-data/tags/instance/X", "meta-data/tags/instance/X", time.Second, []string{"no such tag", "InstanceMetadataTags"}},
		{"no role", "404@" + roles, roles, time.Second, []string{roles, "instance profile"}},
		{"no tags", "404@" + tags, tags, time.Second, []string{tags, "InstanceMetadataTags"}},
		{"another path", "404@meta-data/spot/**", "meta-data/spot/instance-action", time.Second, []string{"meta-data/spot/instance-action"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := faulty(t, tt.fault)
			if tt.require != "" {
				tr.require(tt.require)
			}
			tr.limits(0, tt.deadline).run(t)
			if tr.exit == 0 || tr.status.LastError == nil {
				t.Fatalf("exit %d", tr.exit)
			}
			hint := tr.status.LastError.Hint
			for _, want := range tt.want {
				if !strings.Contains(hint, want) {
					t.Errorf("hint %q lacks %q", hint, want)
				}
			}
			if last := tr.logged("ERROR")[0]; !strings.Contains(last, " hint=") || !strings.Contains(last, hint[:min(20, len(hint))]) {
				t.Errorf("the log's last line has another hint: %s", last)
			}
		})
	}
}

// The hint about the network names an interface and what it lacks.
func TestHintNamesInterfaces(t *testing.T) {
	hint := faulty(t, "unreachable").limits(0, time.Second).run(t).status.LastError.Hint
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	named := strings.Contains(hint, "no network interface but lo")
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 {
			named = strings.Contains(hint, i.Name+" is ")
		}
	}
	if !named {
		t.Errorf("hint %q", hint)
	}
}

// A hint does not suggest what is configured already.
func TestHintToContinue(t *testing.T) {
	for _, choice := range []readiness.Choice{readiness.Fail, readiness.Continue} {
		tr := faulty(t, "403@put").gateOnly()
		tr.config.OnDisabled = choice
		tr.run(t)
		if tr.status.LastError == nil || strings.Contains(tr.status.LastError.Hint, "on_disabled") != (choice == readiness.Fail) {
			t.Errorf("on_disabled = %s: %+v", choice, tr.status.LastError)
		}
	}
}

// If several paths fail, the last line and status.json are about the one that ended the
// gate.
func TestHintOfThePathThatEndedIt(t *testing.T) {
	const tag, role = "meta-data/tags/instance/None", "meta-data/iam/info"
	about := map[string]string{tag: "InstanceMetadataTags", role: "IMDS is there and not ready"}
	for range 20 {
		tr := faulty(t, "503@"+role).require(tag, role).limits(0, 700*time.Millisecond).run(t)
		lines := tr.logged("ERROR")
		if len(lines) != 1 || tr.status.LastError == nil {
			t.Fatalf("errors %q, last error %+v", lines, tr.status.LastError)
		}
		last := tr.status.LastError
		want, known := about[last.Path]
		if !known || !strings.Contains(lines[0], " path="+last.Path+" ") || !strings.Contains(lines[0], " class="+last.Class+" ") ||
			!strings.Contains(last.Hint, want) || (last.Hint == "") != (want == "") || strings.Contains(lines[0], "hint=") != (want != "") {
			t.Fatalf("last error %+v, last line %s", last, lines[0])
		}
	}
}
