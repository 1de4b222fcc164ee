// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"testing"
	"time"

	"github.com/imds-ready/imds-ready/readiness"
)

// answerRow is a failure that takes no time: an answer to the PUT, or to the GET of the
// identity document.
type answerRow struct {
	fault, event, class string
	exit                readiness.Exit
	retry               string // the policies that retry it
}

// The policies that retry a class.
const (
	everywhere = "boot, sdk, toggle"
	onlyBoot   = "boot"
	notSDK     = "boot, toggle" // with_retry_connect_timeouts decides
	nowhere    = ""
)

func TestGateStatus(t *testing.T) {
	for _, row := range []answerRow{
		{"404@dynamic/**", "DOC 404", "404", 75, onlyBoot},
		{"404@put", "PUT 404", "404", 75, onlyBoot},
		{"408@get", "DOC 408", "408", 75, onlyBoot},
		{"408@put", "PUT 408", "408", 75, onlyBoot},
		{"429@get", "DOC 429", "429", 75, onlyBoot},
		{"429@put", "PUT 429", "429", 75, onlyBoot},
		{"500@get", "DOC 500", "500", 75, everywhere},
		{"500@put", "PUT 500", "500", 75, everywhere},
		{"502@get", "DOC 502", "502", 75, everywhere},
		{"503@get", "DOC 503", "503", 75, everywhere},
		{"503@put", "PUT 503", "503", 75, everywhere},
		{"504@get", "DOC 504", "504", 75, everywhere},
		{"599@put", "PUT 599", "599", 75, everywhere},
		{"400@get", "DOC 400", "400", 75, nowhere},
		{"400@put", "PUT 400", "400", 75, nowhere},
		{"405@put", "PUT 405", "405", 75, nowhere},
		{"410@get", "DOC 410", "410", 75, nowhere},
		{"418@get", "DOC 418", "418", 75, nowhere},
		{"403@put", "PUT 403", "disabled", 69, nowhere},
		{"403@get", "DOC 403", "disabled", 69, nowhere},
		{"401@put", "PUT 401", "401", 75, everywhere},
	} {
		row.check(t)
	}
}

// Answers that IMDS does not give. If there are no others, the exit code is 76.
func TestGateNotIMDS(t *testing.T) {
	for _, row := range []answerRow{
		{"101@put", "PUT 101", "bad-response", 76, onlyBoot},
		{"101@get", "DOC 101", "bad-response", 76, onlyBoot},
		{"201@get", "DOC 201", "bad-response", 76, onlyBoot},
		{"206@put", "PUT 206", "bad-response", 76, onlyBoot},
		{"301@get", "DOC 301", "bad-response", 76, onlyBoot},
		{"redirect@put", "PUT 302 redirect", "bad-response", 76, onlyBoot},
		{"redirect@get", "DOC 302 redirect", "bad-response", 76, onlyBoot},
		{"304@get", "DOC 304", "bad-response", 76, onlyBoot},
		{"badtoken", "PUT 200 badtoken", "bad-response", 76, onlyBoot},
		{"nottl", "PUT 200 nottl", "bad-response", 76, onlyBoot},
		{"ttl=0", "PUT 200 ttl=0", "bad-response", 76, onlyBoot},
		{"ttl=-1", "PUT 200 ttl=-1", "bad-response", 76, onlyBoot},
		{"ttl=1.5", "PUT 200 ttl=1.5", "bad-response", 76, onlyBoot},
		{"ttl=soon", "PUT 200 ttl=soon", "bad-response", 76, onlyBoot},
		{`ttl=""`, `PUT 200 ttl=""`, "bad-response", 76, onlyBoot},
		{"html@get", "DOC 200 html", "bad-response", 76, onlyBoot},
		{"html@put", "PUT 200 html", "bad-response", 76, onlyBoot},
		{`body="{}"@get`, `DOC 200 body="{}"`, "bad-response", 76, onlyBoot},
		{`body="[1]"@get`, `DOC 200 body="[1]"`, "bad-response", 76, onlyBoot},
		{"body=null@get", "DOC 200 body=null", "bad-response", 76, onlyBoot},
		{"utf8@get", "DOC 200 utf8", "bad-response", 76, onlyBoot},
		{"garbage@put", "PUT garbage", "bad-response", 76, notSDK},
		{"garbage@get", "DOC garbage", "bad-response", 76, notSDK},
		{"big=4097@put", "PUT 200 big=4097", "too-large", 76, nowhere},
		{"big=65537@get", "DOC 200 big=65537", "too-large", 76, nowhere},
		{"bigheaders@put", "PUT 200 bigheaders", "too-large", 76, nowhere},
		{"bigheaders@get", "DOC 200 bigheaders", "too-large", 76, nowhere},
		{"interim=6@put", "PUT 200 interim=6", "too-large", 76, nowhere},
		{"interim=6@get", "DOC 200 interim=6", "too-large", 76, nowhere},
		{"204@get", "DOC 204", "empty", 75, onlyBoot},
		{"empty@get", "DOC 200 empty", "empty", 75, onlyBoot},
	} {
		row.check(t)
	}
}

// Connections that end before the first byte, and after the headers.
func TestGateReset(t *testing.T) {
	for _, row := range []answerRow{
		{"reset@put", "PUT reset", "connection-reset", 75, notSDK},
		{"reset@get", "DOC reset", "connection-reset", 75, notSDK},
		{"close@put", "PUT close", "connection-reset", 75, notSDK},
		{"close@get", "DOC close", "connection-reset", 75, notSDK},
		{"100@get", "DOC 100", "connection-reset", 75, notSDK}, // the connection ends after an interim answer
		{"truncate@put", "PUT 200 truncate", "connection-reset", 75, onlyBoot},
		{"truncate@get", "DOC 200 truncate", "connection-reset", 75, onlyBoot},
		{"reset-body@put", "PUT 200 reset-body", "connection-reset", 75, onlyBoot},
		{"reset-body@get", "DOC 200 reset-body", "connection-reset", 75, onlyBoot},
	} {
		row.check(t)
	}
}

// Answers at a limit, or with unusual but valid HTTP, succeed.
func TestGateWithinLimits(t *testing.T) {
	for _, fault := range []string{"interim=5", "chunked", "slow=1.9s", "ttl=1", "ttl=21601"} {
		t.Run(fault, func(t *testing.T) {
			tr := faulty(t, fault).gateOnly().run(t)
			if tr.exit != readiness.ExitOK || len(tr.status.Errors) != 0 || tr.status.Attempts != 1 {
				t.Errorf("exit %d, errors %v, %d attempts", tr.exit, tr.status.Errors, tr.status.Attempts)
			}
		})
	}
}

// check runs the row under the three policies.
func (row answerRow) check(t *testing.T) {
	c := classRow{name: row.fault, fault: row.fault}
	c.bootTrace, c.boot = row.expected("boot", " @ 0s 50ms 150ms", 3, 150*time.Millisecond)
	c.sdkTrace, c.sdk = row.expected("sdk", " @ 0s 1s 3s 7s", 4, 7*time.Second)
	c.toggleTrace, c.toggle = row.expected("toggle", " @ 0s 1s 3s 7s", 4, 7*time.Second)
	c.check(t)
}
