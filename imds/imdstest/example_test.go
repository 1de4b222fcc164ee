// SPDX-License-Identifier: Apache-2.0

package imdstest_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/imds-ready/imds-ready/imds/imdstest"
)

// A client under test dials the server, and the trace shows what it did.
func ExampleServer() {
	s := imdstest.New(imdstest.DefaultTree(), imdstest.MustSchedule("refusex1,503x1,ok")...)
	defer s.Close()

	put := func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		client := http.Client{Transport: &http.Transport{DialContext: s.Dial}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://169.254.169.254/latest/api/token", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "60")
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		fmt.Println("status:", resp.Status)
		resp.Body.Close()
	}
	for range 3 {
		put()
	}
	for _, r := range s.Trace() {
		fmt.Printf("%s %q: %d %q\n", r.Kind, r.Path, r.Status, r.Fault)
	}
	// Output:
	// error: Put "http://169.254.169.254/latest/api/token": dial tcp 169.254.169.254:80: connect: connection refused
	// status: 503 Service Unavailable
	// status: 200 OK
	// SYN "": 0 "refuse"
	// SYN "": 0 ""
	// PUT "api/token": 503 "503"
	// SYN "": 0 ""
	// PUT "api/token": 200 ""
}
