// SPDX-License-Identifier: Apache-2.0

package readiness_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/imds/imdstest"
	"github.com/imds-ready/imds-ready/policy"
	"github.com/imds-ready/imds-ready/readiness"
)

const loopback = "http://127.0.0.1:1338"

// The exit code is that of a run with the same failure, whatever the policy retries and
// for however long.
func TestProbe(t *testing.T) {
	for _, tt := range []struct {
		schedule, class, hint string
		exit                  readiness.Exit
		most                  time.Duration
	}{
		{schedule: "ok"},
		{schedule: "refuse", class: "connection-refused", hint: "look at endpoint.url", exit: readiness.ExitTempFail},
		{schedule: "blackhole", class: "connect-timeout", hint: "look at endpoint.url", exit: readiness.ExitTempFail, most: imds.DefaultConnectTimeout},
		{schedule: "unreachable", class: "unreachable", hint: "no address or route yet", exit: readiness.ExitTempFail},
		{schedule: "blocked", class: "blocked", hint: "prohibit or blackhole route", exit: readiness.ExitNoPerm},
		{schedule: "404@dynamic/**", class: "404", hint: "always requires it", exit: readiness.ExitTempFail},
		{schedule: "503x1,ok", class: "503", hint: "not ready", exit: readiness.ExitTempFail},
		{schedule: "403@put", class: "disabled", hint: "modify-instance-metadata-options", exit: readiness.ExitUnavailable},
		{schedule: "403@dynamic/**", class: "disabled", hint: "modify-instance-metadata-options", exit: readiness.ExitUnavailable},
		{schedule: "401@get", class: "401", hint: "check --explain 401 dynamic/instance-identity/document", exit: readiness.ExitTempFail},
		{schedule: "bigheaders", class: "too-large", hint: "something other than IMDS", exit: readiness.ExitProtocol},
		{schedule: "html@get", class: "bad-response", hint: "something other than IMDS", exit: readiness.ExitProtocol},
		{schedule: "hang@put", class: "read-timeout", hint: "hop limit", exit: readiness.ExitTempFail, most: imds.DefaultReadTimeout},
	} {
		t.Run(tt.schedule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule(tt.schedule)...)
				defer sim.Close()
				client := &imds.Client{Endpoints: []string{loopback}, Dial: sim.Dial}
				p := policy.Boot()
				p.Deadline, p.Rules = time.Nanosecond, []policy.Rule{{On: []string{"4xx", "5xx"}, Action: policy.Retry}}
				got := readiness.Probe(t.Context(), readiness.Config{Policy: p, OnTimeout: readiness.Continue, Disabled: true}, client)
				if string(got.Class) != tt.class || got.Exit != tt.exit || got.Endpoint != loopback {
					t.Errorf("%+v, want class %s and exit %d", got, tt.class, tt.exit)
				}
				if (got.Err == nil) != (tt.class == "") || (got.InstanceID == "") != (tt.class != "") {
					t.Errorf("error %v, instance %q", got.Err, got.InstanceID)
				}
				if !strings.Contains(got.Hint, tt.hint) || tt.hint == "" && got.Hint != "" {
					t.Errorf("hint %q, want %q", got.Hint, tt.hint)
				}
				if got.Took > tt.most {
					t.Errorf("it took %v, want at most %v", got.Took, tt.most)
				}
			})
		})
	}
}

// If IPv4 has no route, the answer over IPv6 is reported with its endpoint and hint.
func TestProbeReportsTheFamilyThatAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("403@put")...)
		defer sim.Close()
		client := &imds.Client{Endpoints: []string{loopback, "http://[::1]:1338"}}
		client.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasPrefix(addr, "127.") {
				return nil, syscall.ENETUNREACH
			}
			return sim.Dial(ctx, network, addr)
		}
		got := readiness.Probe(t.Context(), readiness.Config{}, client)
		if got.Endpoint != "http://[::1]:1338" || got.Class != policy.Disabled || got.Exit != readiness.ExitUnavailable || !strings.Contains(got.Hint, "HttpEndpoint") {
			t.Errorf("%+v", got)
		}
	})
}

func TestProbeInterrupted(t *testing.T) {
	cause := &readiness.Interrupted{Signal: syscall.SIGTERM}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if got := readiness.Probe(ctx, readiness.Config{}, &imds.Client{Endpoints: []string{loopback}}); !errors.Is(got.Err, cause) || got.Exit == readiness.ExitOK {
		t.Errorf("%+v", got)
	}
}
