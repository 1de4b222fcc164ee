// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"slices"
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
)

// The default curve without jitter: pauses of 50, 100, 200, 400, 500, 500 ms.
func TestRefusedForTwoSeconds(t *testing.T) {
	sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("refuse:2s,ok")...)
	tr := newTrial(t, sim).run(t)
	if tr.exit != readiness.ExitOK {
		t.Fatalf("exit %d\n%s", tr.exit, tr.log)
	}
	want := []string{
		"0s SYN refuse", "50ms SYN refuse", "150ms SYN refuse", "350ms SYN refuse",
		"750ms SYN refuse", "1.25s SYN refuse", "1.75s SYN refuse",
		"2.25s PUT api/token 200", "2.25s GET dynamic/instance-identity/document 200",
	}
	if got := tr.trace()[:len(want)]; !slices.Equal(got, want) {
		t.Errorf("trace:\n%q\nwant:\n%q", got, want)
	}
	st := tr.status
	if st.State != "ready" || st.Attempts != 8 || st.Errors["connection-refused"] != 7 || len(st.Missing) != 0 {
		t.Errorf("status %+v", st)
	}
	if tr.elapsed > 3*time.Second {
		t.Errorf("ready after %v", tr.elapsed)
	}
	t.Log(tr.log)
	t.Log(tr.said())
}
