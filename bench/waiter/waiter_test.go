// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

func TestWait(t *testing.T) {
	late := imdstest.Phase{Fault: "404", Method: "GET", Count: 1}
	for _, tc := range []struct {
		name     string
		patient  bool
		schedule []imdstest.Phase
		gaveUp   bool
		requests int
	}{
		{name: "up", requests: 2},
		{name: "defaults, 404", schedule: []imdstest.Phase{late}, gaveUp: true, requests: 2},
		{name: "patient, 404", patient: true, schedule: []imdstest.Phase{late}, requests: 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := imdstest.New(imdstest.DefaultTree(), tc.schedule...)
			url, err := server.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			err = wait(t.Context(), options(url, tc.patient))
			if (err != nil) != tc.gaveUp || len(server.Requests()) != tc.requests {
				t.Errorf("err = %v after %v", err, server.Requests())
			}
		})
	}
}

func TestOptions(t *testing.T) {
	if o := options("x", false); o.DisableDefaultTimeout || o.Retryer != nil || o.Endpoint != "x" {
		t.Errorf("not the SDK's defaults: %+v", o)
	}
	if o := options("x", true); !o.DisableDefaultTimeout || o.Retryer.MaxAttempts() != 60 {
		t.Errorf("not patient: %+v", o)
	}
}
