// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/collect"
	"github.com/imds-ready/imds-ready/policy"
)

// With one request at a time the order is level by level, even if a goroutine takes long to
// record what it has fetched.
func TestOrderIsThatOfTheListings(t *testing.T) {
	tree := map[string]string{"meta-data/": "a/\nb/", "meta-data/a/": "x", "meta-data/b/": "y", "meta-data/a/x": "1", "meta-data/b/y": "2"}
	synctest.Test(t, func(t *testing.T) {
		var got []string
		collect.Collector{
			Metadata: collect.Metadata{Include: []string{"**"}, Concurrency: 1, RequestsPerSecond: 1},
			Policy:   policy.Boot(),
			Fetch: func(_ context.Context, _ imds.Timeouts, path string) ([]byte, error) {
				got = append(got, path)
				return []byte(tree[path]), nil
			},
			Step: func(longest time.Duration) {
				if longest == 0 && got[len(got)-1] == "meta-data/a/" {
					time.Sleep(time.Second)
				}
			},
		}.Run(t.Context())
		if want := []string{"meta-data/", "meta-data/a/", "meta-data/b/", "meta-data/a/x", "meta-data/b/y"}; !slices.Equal(got, want) {
			t.Errorf("requested %q, want %q", got, want)
		}
	})
}
