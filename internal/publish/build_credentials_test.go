// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"testing"

	"github.com/imds-ready/imds-ready/snapshot"
)

// Credentials are never in a file or a problem, regardless of the spelling of their path.
func TestCredentialsAreDropped(t *testing.T) {
	const secret = "NEVER-IN-A-FILE"
	for _, path := range []string{
		"iam/security-credentials",
		"iam/security-credentials/",
		"iam/security-credentials/" + secret,
		"iam/security-credentials/role/deeper/" + secret,
		"IAM/Security-Credentials/" + secret,
		"identity-credentials/ec2/security-credentials",
		"identity-credentials/ec2/security-credentials/",
		"identity-credentials/ec2/security-credentials/ec2-instance",
		"identity-credentials/" + secret + "/security-credentials/x",
		"iam//security-credentials/role",
		"iam/./security-credentials/role",
		"./iam/security-credentials/role",
		"iam/x/../security-credentials/role",
	} {
		t.Run(path, func(t *testing.T) {
			out, problems := files(t, metaData(map[string]string{
				"instance-id": "i-1", path: secret, path + "/" + secret: secret,
			}))
			for name, f := range out {
				if text := string(f.Data); strings.Contains(text, secret) || strings.Contains(strings.ToLower(text), "security-credentials") {
					t.Errorf("%s contains the credentials: %s", name, text)
				}
			}
			for _, p := range problems {
				if p.Class != classBadResponse {
					t.Errorf("problem %v", p)
				}
			}
			if compact(t, out[snapshot.MetaDataFile]) != `{"instance-id":"i-1"}` {
				t.Errorf("meta-data.json is %s", out[snapshot.MetaDataFile].Data)
			}
		})
	}
}
