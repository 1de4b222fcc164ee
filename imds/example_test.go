// SPDX-License-Identifier: Apache-2.0

package imds_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/imds-ready/imds-ready/imds"
)

// Gets a listing, a value and a path that does not exist from a service on loopback.
// Without Endpoints, the client would use the service of the instance.
func ExampleClient() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "PUT /latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			io.WriteString(w, "a-token")
		case "GET /latest/meta-data/":
			io.WriteString(w, "instance-id\nplacement/\n../")
		case "GET /latest/meta-data/instance-id":
			io.WriteString(w, "i-1234567890abcdef0")
		default:
			http.NotFound(w, r)
		}
	}))
	defer service.Close()

	ctx := context.Background()
	c := &imds.Client{Endpoints: []string{service.URL}}

	body, _ := c.Get(ctx, "meta-data/")
	entries, refused := imds.ParseListing(body)
	fmt.Println(entries, refused)

	body, _ = c.Get(ctx, "meta-data/instance-id")
	fmt.Printf("%s\n", body)

	_, err := c.Get(ctx, "meta-data/spot/instance-action")
	if e, ok := errors.AsType[*imds.Error](err); ok {
		fmt.Println(e.Op, e.Path, e.Status)
	}
	fmt.Println(c.Requests(), "requests")
	// Output:
	// [instance-id placement/] [../]
	// i-1234567890abcdef0
	// GET meta-data/spot/instance-action 404
	// 4 requests
}
