// SPDX-License-Identifier: Apache-2.0

package paths_test

import (
	"testing"

	"github.com/imds-ready/imds-ready/internal/paths"
)

func TestIsCredentials(t *testing.T) {
	for path, want := range map[string]bool{
		paths.Roles:                           true,
		"meta-data/iam/security-credentials":  true,
		paths.Roles + "web":                   true,
		"meta-data/iam/Security-Credentials/": true,
		"meta-data/identity-credentials/ec2/security-credentials/ec2-instance": true,
		"meta-data/meta-data/iam/security-credentials/web":                     true,
		"meta-data/tags/security-credentials/x":                                true,
		"meta-data/tags/instance/security-credentials/x":                       true,
		"dynamic/security-credentials":                                         true,
		"meta-data/tags/instance/security-credentials":                         false,
		"meta-data/tags/instance/security-credentials-role":                    false,
		"meta-data/iam/info":                                                   false,
		paths.Identity:                                                         false,
	} {
		if got := paths.IsCredentials(path); got != want {
			t.Errorf("IsCredentials(%q) = %v, want %v", path, got, want)
		}
	}
}
