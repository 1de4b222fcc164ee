// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"testing"

	"go.uber.org/goleak"
)

// A test that leaves a goroutine behind fails the whole run: every connection,
// race and token in the making ends with the call that needed it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
