// SPDX-License-Identifier: Apache-2.0

// Command crawler does with the AWS SDK for Go what imds-ready does: it gets the
// identity document and everything below meta-data/ but the credentials, and
// writes one JSON file. It is written as a user of the SDK would, on purpose
// without the SDK's configuration loader, which would only make it larger and
// slower.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

func main() {
	endpoint := flag.String("endpoint", "", "base URL")
	out := flag.String("out", "", "JSON file to write")
	concurrency := flag.Int("concurrency", 1, "requests under way at once; 1: a plain recursion")
	identity := flag.Bool("identity", false, "the identity document only")
	flag.Parse()
	if err := run(context.Background(), *endpoint, *out, *concurrency, *identity); err != nil {
		fmt.Fprintf(os.Stderr, "crawler: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, endpoint, out string, concurrency int, identityOnly bool) error {
	client := imds.New(imds.Options{Endpoint: endpoint})
	leaves := map[string]string{}
	document, err := client.GetDynamicData(ctx, &imds.GetDynamicDataInput{Path: "instance-identity/document"})
	if err != nil {
		return fmt.Errorf("getting the identity document: %w", err)
	}
	if leaves["dynamic/instance-identity/document"], err = text(document.Content); err != nil {
		return fmt.Errorf("reading the identity document: %w", err)
	}
	c := crawl{client: client, leaves: leaves}
	switch {
	case identityOnly:
	case concurrency > 1:
		err = c.levels(ctx, concurrency)
	default:
		err = c.recurse(ctx, "")
	}
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(leaves, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, data, 0o644)
}
