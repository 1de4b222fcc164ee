// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/readiness"
	"github.com/imds-ready/imds-ready/snapshot"
)

// vendor returns the sysfs of a machine with a vendor.
func vendor(name string) fs.FS {
	return fstest.MapFS{"class/dmi/id/sys_vendor": {Data: []byte(name + "\n")}}
}

// outcomeRow is one line of the table of outcomes of imds-ready.toml(5).
type outcomeRow struct {
	name  string
	fault string
	set   func(*readiness.Config)
	dmi   string // the vendor; if empty, the check is off

	exit  readiness.Exit
	state string
	class string // last_error's
	errno string // ERRNO= in the last datagram
	files []string
}

func onTimeout(c *readiness.Config)   { c.OnTimeout = readiness.Continue }
func onDisabled(c *readiness.Config)  { c.OnDisabled = readiness.Continue }
func notEC2Fail(c *readiness.Config)  { c.OnNotEC2 = readiness.Fail }
func notEC2Try(c *readiness.Config)   { c.OnNotEC2 = readiness.Try }
func explicit(c *readiness.Config)    { c.ExplicitEndpoint = true }
func switchedOff(c *readiness.Config) { c.Disabled = true }

// The files after a run.
var (
	onlyStatus = []string{"status.json"}
	noMetadata = []string{"imds.env", "status.json"}
	everything = []string{"identity.json", "imds.env", "meta-data.json", "network.json", "status.json", "tags.json"}
)

func TestOutcomes(t *testing.T) {
	const forever = "404@meta-data/spot/**" // required, but it never exists
	for _, row := range []outcomeRow{
		{name: "ready", exit: 0, state: "ready", files: everything},
		{name: "refused", fault: "refuse", exit: 75, state: "failed", class: "connection-refused", errno: "110", files: onlyStatus},
		{name: "refused, continue", fault: "refuse", set: onTimeout, exit: 0, state: "degraded", class: "connection-refused", files: noMetadata},
		{name: "not retried", fault: "400@get", exit: 75, state: "failed", class: "400", errno: "110", files: onlyStatus},
		{name: "unreachable", fault: "unreachable", exit: 75, state: "failed", class: "unreachable", errno: "110", files: onlyStatus},
		{name: "not IMDS", fault: "html@get", exit: 76, state: "failed", class: "bad-response", errno: "71", files: onlyStatus},
		{name: "notIMDS, continue", fault: "html@get", set: onTimeout, exit: 0, state: "degraded", class: "bad-response", files: noMetadata},
		{name: "not IMDS after no answer", fault: "refusex1,garbage", exit: 76, state: "failed", class: "bad-response", errno: "71", files: onlyStatus},
		{name: "notIMDS, then no answer", fault: "garbagex2,refuse", exit: 76, state: "failed", class: "connection-refused", errno: "71", files: onlyStatus},
		{name: "not IMDS with a 503 among them", fault: "503@getx1,html@get", exit: 75, state: "failed", class: "bad-response", errno: "110", files: onlyStatus},
		{name: "not IMDS with an empty answer", fault: "empty@getx1,html@get", exit: 75, state: "failed", class: "bad-response", errno: "110", files: onlyStatus},
		{name: "too large", fault: "big=65537@get", exit: 76, state: "failed", class: "too-large", errno: "71", files: onlyStatus},
		{name: "no answer is not a wrong answer", fault: "hang", exit: 75, state: "failed", class: "read-timeout", errno: "110", files: onlyStatus},
		{name: "blocked", fault: "blocked", exit: 77, state: "failed", class: "blocked", errno: "13", files: onlyStatus},
		{name: "blocked at last", fault: "refusex1,blocked", exit: 77, state: "failed", class: "blocked", errno: "13", files: onlyStatus},
		{name: "blocked, continue", fault: "blocked", set: onTimeout, exit: 0, state: "degraded", class: "blocked", files: noMetadata},
		{name: "disabled", fault: "403@put", exit: 69, state: "failed", class: "disabled", errno: "19", files: onlyStatus},
		{name: "disabled by the document", fault: "403@get", exit: 69, state: "failed", class: "disabled", errno: "19", files: onlyStatus},
		{name: "disabled, continue", fault: "403@put", set: onDisabled, exit: 0, state: "degraded", class: "disabled", files: noMetadata},
		{name: "on_timeout does not apply to disabled", fault: "403@put", set: onTimeout, exit: 69, state: "failed", class: "disabled", errno: "19", files: onlyStatus},
		{name: "on_disabled does not apply to a timeout", fault: "refuse", set: onDisabled, exit: 75, state: "failed", class: "connection-refused", errno: "110", files: onlyStatus},
		{name: "required", fault: forever, exit: 75, state: "failed", class: "404", errno: "110", files: onlyStatus},
		{name: "required, continue", fault: forever, set: onTimeout, exit: 0, state: "degraded", class: "404", files: everything},
		{name: "not EC2", dmi: "QEMU", exit: 0, state: "skipped", class: "not-ec2", files: noMetadata},
		{name: "not EC2, fail", dmi: "QEMU", set: notEC2Fail, exit: 69, state: "failed", class: "not-ec2", errno: "19", files: onlyStatus},
		{name: "not EC2, try", dmi: "QEMU", set: notEC2Try, exit: 0, state: "ready", files: everything},
		{name: "not EC2, an endpoint is set", dmi: "QEMU", set: explicit, exit: 0, state: "ready", files: everything},
		{name: "EC2", dmi: "Amazon EC2", exit: 0, state: "ready", files: everything},
		{name: "AWS_EC2_METADATA_DISABLED", fault: "refuse", set: switchedOff, exit: 0, state: "skipped", files: noMetadata},
		{name: "AWS_EC2_METADATA_DISABLED beats DMI", dmi: "QEMU", set: switchedOff, exit: 0, state: "skipped", files: noMetadata},
	} {
		t.Run(row.name, func(t *testing.T) { row.check(t, row.fault == forever) })
	}
}

// check runs the row. If requireSpot is true, it requires a path that does not exist.
func (row outcomeRow) check(t *testing.T, requireSpot bool) {
	tr := faulty(t, row.fault)
	if requireSpot {
		tr.require("meta-data/spot/instance-action")
	}
	tr.limits(3, time.Minute)
	if row.dmi != "" {
		tr.sys, tr.config.ExplicitEndpoint = vendor(row.dmi), false
	}
	if row.set != nil {
		row.set(&tr.config)
	}
	tr.run(t)
	if tr.exit != row.exit || tr.status.State != row.state || tr.lastClass() != row.class {
		t.Errorf("exit %d, state %q, class %q, want %d, %q, %q",
			tr.exit, tr.status.State, tr.lastClass(), row.exit, row.state, row.class)
	}
	if got := tr.names(t); !slices.Equal(got, row.files) {
		t.Errorf("files %q, want %q", got, row.files)
	}
	last := tr.datagrams[len(tr.datagrams)-1].state
	if got := strings.Contains(last, "ERRNO="); got != (row.errno != "") || !strings.Contains(last, "ERRNO="+row.errno) && got {
		t.Errorf("the last datagram is %q, want ERRNO=%s", last, row.errno)
	}
	if row.state != "failed" && !strings.HasPrefix(tr.file(t, "imds.env"), "IMDS_STATE="+row.state+"\n") {
		t.Errorf("imds.env:\n%s", tr.file(t, "imds.env"))
	}
	if skips := row.state == "skipped" || row.class == "not-ec2"; skips && len(tr.sim.Trace()) > 0 {
		t.Errorf("requests: %v", tr.sim.Trace())
	}
	answered := slices.ContainsFunc(tr.sim.Requests(), func(r imdstest.Request) bool { return r.Status != 0 })
	if (tr.status.Endpoint != nil) != answered {
		t.Errorf("endpoint %v after %v", tr.status.Endpoint, tr.sim.Requests())
	}
	row.checkLog(t, tr)
}

// checkLog checks that the last line is an error for a failure, and a warning for a
// degraded gate and a machine that is not EC2. Otherwise there are no errors and warnings.
func (row outcomeRow) checkLog(t *testing.T, tr *trial) {
	errors, warnings := tr.logged("ERROR"), tr.logged("WARN")
	wantErrors, wantWarnings := 0, 0
	switch {
	case row.state == "failed":
		wantErrors = 1
	case row.state == "degraded" || row.class == "not-ec2":
		wantWarnings = 1
	}
	if len(errors) != wantErrors || len(warnings) != wantWarnings {
		t.Errorf("errors %q, warnings %q", errors, warnings)
	}
	if row.class == "" {
		return
	}
	line := slices.Concat(errors, warnings)[0]
	if !strings.Contains(line, " class="+row.class) || !strings.Contains(line, fmt.Sprintf(" exit_code=%d", row.exit)) {
		t.Errorf("the last line is %s", line)
	}
	if row.dmi != "" && !strings.Contains(line, row.dmi) {
		t.Errorf("the line does not name the vendor: %s", line)
	}
}

// If on_timeout makes the gate degraded after the identity document was fetched, the
// metadata is collected too.
func TestOutcomeDegradedCollects(t *testing.T) {
	tr := faulty(t, "").require("meta-data/spot/instance-action").limits(2, time.Minute)
	tr.config.OnTimeout = readiness.Continue
	tr.run(t)
	if tr.status.State != snapshot.Degraded || tr.status.Generation != 1 || len(tr.status.Missing) != 0 {
		t.Errorf("status %+v", tr.status)
	}
	if got := tr.object(t, "meta-data.json")["instance-id"]; got != "i-0123456789abcdef0" {
		t.Errorf("instance-id %v", got)
	}
	if r := tr.status.Required["meta-data/spot/instance-action"]; r.OK || *r.Class != "404" {
		t.Errorf("required %v", tr.status.Required)
	}
	if last := tr.statusTexts()[len(tr.statusTexts())-1]; !strings.Contains(last, "degraded") || !strings.Contains(last, "spot/instance-action") {
		t.Errorf("STATUS=%s", last)
	}
}
