// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/snapshot"
)

// env returns the lines of imds.env for these leaves.
func env(t *testing.T, state string, in map[string]string) string {
	t.Helper()
	snap, _ := build(leaves(in))
	for name, f := range snap.Files(state) {
		if name == snapshot.EnvFile {
			return strings.ReplaceAll(strings.TrimSuffix(string(f.Data), "\n"), "\n", " ")
		}
	}
	t.Fatal("imds.env is missing")
	return ""
}

func TestEnvironment(t *testing.T) {
	const identity = `{"instanceId": "i-1", "instanceType": "t", "region": "r", "availabilityZone": "z",
		"accountId": "012345678901", "imageId": "ami-1", "architecture": "arm64", "privateIp": "10.0.0.1"}`
	metaData := map[string]string{
		"instance-id": "i-2", "instance-type": "t2", "placement/region": "r2", "placement/availability-zone": "z2",
		"placement/availability-zone-id": "id2", "ami-id": "ami-2", "local-hostname": "h2", "local-ipv4": "10.0.0.2",
		"public-ipv4": "192.0.2.2", "ipv6": "2001:db8::2", "mac": "m2", "hostname": "not this one",
		"network/interfaces/macs/m2/vpc-id": "vpc-2", "network/interfaces/macs/m2/subnet-id": "subnet-2",
		"network/interfaces/macs/m1/vpc-id": "vpc-1", "network/interfaces/macs/m2/owner-id": "999",
	}
	with := func(document string) map[string]string {
		in := map[string]string{}
		for path, body := range metaData {
			in["meta-data/"+path] = body
		}
		if document != "" {
			in[paths.Identity] = document
		}
		return in
	}
	tests := []struct {
		name string
		in   map[string]string
		want string
	}{
		{"nothing", nil, "IMDS_STATE=ready"},
		{
			"both, the document first", with(identity),
			"IMDS_STATE=ready IMDS_INSTANCE_ID=i-1 IMDS_INSTANCE_TYPE=t IMDS_REGION=r IMDS_AVAILABILITY_ZONE=z " +
				"IMDS_AVAILABILITY_ZONE_ID=id2 IMDS_ACCOUNT_ID=012345678901 IMDS_AMI_ID=ami-1 IMDS_ARCHITECTURE=arm64 " +
				"IMDS_HOSTNAME=h2 IMDS_LOCAL_IPV4=10.0.0.2 IMDS_PUBLIC_IPV4=192.0.2.2 IMDS_IPV6=2001:db8::2 IMDS_MAC=m2 " +
				"IMDS_VPC_ID=vpc-2 IMDS_SUBNET_ID=subnet-2",
		},
		{
			"meta-data alone", with(""),
			"IMDS_STATE=ready IMDS_INSTANCE_ID=i-2 IMDS_INSTANCE_TYPE=t2 IMDS_REGION=r2 IMDS_AVAILABILITY_ZONE=z2 " +
				"IMDS_AVAILABILITY_ZONE_ID=id2 IMDS_AMI_ID=ami-2 " +
				"IMDS_HOSTNAME=h2 IMDS_LOCAL_IPV4=10.0.0.2 IMDS_PUBLIC_IPV4=192.0.2.2 IMDS_IPV6=2001:db8::2 IMDS_MAC=m2 " +
				"IMDS_VPC_ID=vpc-2 IMDS_SUBNET_ID=subnet-2",
		},
		{
			"the document alone",
			map[string]string{paths.Identity: identity},
			"IMDS_STATE=ready IMDS_INSTANCE_ID=i-1 IMDS_INSTANCE_TYPE=t IMDS_REGION=r IMDS_AVAILABILITY_ZONE=z " +
				"IMDS_ACCOUNT_ID=012345678901 IMDS_AMI_ID=ami-1 IMDS_ARCHITECTURE=arm64",
		},
		{
			"a document of other types",
			map[string]string{
				paths.Identity:          `{"instanceType": 5, "region": null, "accountId": ["x"], "imageId": "", "architecture": {}}`,
				"meta-data/instance-id": "i-2",
			},
			"IMDS_STATE=ready IMDS_INSTANCE_ID=i-2",
		},
		{
			"no interface of that MAC",
			map[string]string{
				"meta-data/mac": "m9", "meta-data/network/interfaces/macs/m2/vpc-id": "vpc-2",
			},
			"IMDS_STATE=ready IMDS_MAC=m9",
		},
		{
			"no MAC",
			map[string]string{"meta-data/network/interfaces/macs/m2/vpc-id": "vpc-2"},
			"IMDS_STATE=ready",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := env(t, snapshot.Ready, tt.in); got != tt.want {
				t.Errorf("\n%s, want\n%s", strings.ReplaceAll(got, " ", "\n"), strings.ReplaceAll(tt.want, " ", "\n"))
			}
		})
	}
	for _, state := range []string{snapshot.Waiting, snapshot.Ready, snapshot.Degraded, snapshot.Skipped, snapshot.Failed} {
		if got := env(t, state, nil); got != "IMDS_STATE="+state {
			t.Errorf("state %s: %s", state, got)
		}
	}
}

// Values that a shell, systemd and docker would not read alike are omitted.
func TestEnvironmentIsPlain(t *testing.T) {
	allowed := regexp.MustCompile(`^[A-Za-z0-9._:/@+-]+$`)
	for _, value := range []string{
		"a", "A-Z_0.9:/@+", "/", "", " ", "a b", "a\nb", "a\r", "a\tb", "$HOME", "$(id)", "`id`", `a"b`, "a'b", `a\b`,
		"a;b", "a#b", "#", "a=b", "a%b", "~", "a~b", "*", "é", "a\x00b", "a,b", "(a)", "{a}", "[a]", "!", "&", "|", "<",
		">", "^", "?",
	} {
		want := "IMDS_STATE=ready"
		if allowed.MatchString(value) {
			want += " IMDS_HOSTNAME=" + value
		}
		if got := env(t, snapshot.Ready, map[string]string{"meta-data/local-hostname": value}); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
	if isPlain("\xff") || isPlain("a\xc3\xa9") {
		t.Error("isPlain accepts bytes above 127")
	}
}

// A value that is too long, or that could be an option, is omitted and reported.
func TestEnvironmentOmits(t *testing.T) {
	long := strings.Repeat("a", 255)
	for value, omitted := range map[string]bool{
		long: false, long + "a": true, "/a": false, "0": false, "Z": false, "-rf": true, ".a": true, ":a": true, "+a": true, "@a": true, "_": true,
		"": false, "a b": false, "-a b": false, // absent, or omitted without a report, since some DHCP options contain two domains
	} {
		s, problems := build(leaves(map[string]string{"meta-data/local-hostname": value, "meta-data/mac": "m"}))
		if got := slices.Equal(s.Omitted(), []string{"IMDS_HOSTNAME"}); got != omitted || len(problems) != 0 {
			t.Errorf("%.20q: omitted are %q, problems %v", value, s.Omitted(), problems)
		}
		got := env(t, snapshot.Ready, map[string]string{"meta-data/local-hostname": value, "meta-data/mac": "m"})
		if omitted && got != "IMDS_STATE=ready IMDS_MAC=m" {
			t.Errorf("%.20q: %.80q", value, got)
		}
	}
}

func TestIsInstanceID(t *testing.T) {
	pattern := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$`)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringMatching(`[A-Za-z0-9.-]{0,65}`), rapid.StringMatching(`[iI][a-z0-9._:-]{0,5}\n?`), rapid.String(),
		).Draw(t, "s")
		if got, want := IsInstanceID(s), pattern.MatchString(s); got != want {
			t.Fatalf("%q: %t, want %t", s, got, want)
		}
	})
	for id, want := range map[string]string{
		`"i-0123456789abcdef0"`: "", `"i.1"`: "", `"-i"`: "bad-response", `""`: "bad-response", `"i 1"`: "bad-response", "5": "bad-response",
		"null": "bad-response", `"` + strings.Repeat("i", 63) + `"`: "", `"` + strings.Repeat("i", 64) + `"`: "bad-response",
	} {
		out, problems := files(t, leaves(map[string]string{paths.Identity: `{"region": "r", "instanceId": ` + id + `}`}))
		if _, ok := out[snapshot.IdentityFile]; ok != (want == "") || want != "" && problemText(problems) != paths.Identity+" "+want {
			t.Errorf("%s: identity.json exists: %t, problems %v", id, ok, problems)
		}
	}
}

// A shell reads the values of a realistic instance exactly as they are in the file.
func TestEnvironmentInAShell(t *testing.T) {
	out, _ := files(t, instance(t))
	d := open(t)
	if _, err := d.Write(snapshot.EnvFile, out[snapshot.EnvFile]); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `set -eu; set -a; . "$0"; env -0`, d.path+"/"+snapshot.EnvFile)
	cmd.Env = []string{"PATH=/bin:/usr/bin"}
	printed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out[snapshot.EnvFile].Data) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if !bytes.Contains(append([]byte{0}, printed...), append(append([]byte{0}, line...), 0)) {
			t.Errorf("a shell does not see %s in %q", line, printed)
		}
	}
}
