// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/netns"
)

// waitAll lets every waiter wait through every kind of outage at the same time,
// each in a namespace of its own.
func waitAll(ctx context.Context, dir string, howLong time.Duration) ([]wait, error) {
	type place struct{ kind, waiter int }
	var places []place
	for i, k := range kinds() {
		for j := range k.all("") {
			places = append(places, place{i, j})
		}
	}
	waits, errs := make([]wait, len(places)), make([]error, len(places))
	var running sync.WaitGroup
	for i, p := range places {
		running.Go(func() {
			own := filepath.Join(dir, fmt.Sprint(i))
			if errs[i] = os.Mkdir(own, 0o755); errs[i] != nil {
				return
			}
			var out []byte
			out, errs[i] = netns.Output(
				ctx, "-bin", filepath.Join(dir, "bin"), "-dir", own, "-kind", fmt.Sprint(p.kind),
				"-waiter", fmt.Sprint(p.waiter), "-for", howLong.String(),
			)
			if errs[i] == nil {
				errs[i] = json.Unmarshal(out, &waits[i])
			}
		})
	}
	running.Wait()
	return waits, errors.Join(errs...)
}
