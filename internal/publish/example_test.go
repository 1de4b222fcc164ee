// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"fmt"

	"github.com/imds-ready/imds-ready/internal/publish"
	"github.com/imds-ready/imds-ready/snapshot"
)

func ExampleBuild() {
	snap, problems := publish.Build(publish.Collection{Leaves: map[string][]byte{
		"dynamic/instance-identity/document":       []byte(`{"instanceId": "i-0abc", "region": "eu-west-1"}`),
		"meta-data/":                               nil,
		"meta-data/local-hostname":                 []byte("ip-10-0-7-10"),
		"meta-data/security-groups":                []byte("default\nweb"),
		"meta-data/events/maintenance/scheduled":   []byte("<html>not now</html>"),
		"meta-data/iam/security-credentials/admin": []byte("dropped"),
	}})
	for name, file := range snap.Files(snapshot.Ready) {
		fmt.Printf("%s %v\n%s", name, file.Mode(), file.Data)
	}
	fmt.Println("problems:", problems)
	// Output:
	// meta-data.json -rw-r--r--
	// {
	//   "events": {
	//     "maintenance": {}
	//   },
	//   "local-hostname": "ip-10-0-7-10",
	//   "security-groups": [
	//     "default",
	//     "web"
	//   ]
	// }
	// imds.env -rw-r--r--
	// IMDS_STATE=ready
	// IMDS_INSTANCE_ID=i-0abc
	// IMDS_REGION=eu-west-1
	// IMDS_HOSTNAME=ip-10-0-7-10
	// identity.json -rw-r--r--
	// {
	//   "instanceId": "i-0abc",
	//   "region": "eu-west-1"
	// }
	// problems: [{meta-data/events/maintenance/scheduled bad-response}]
}
