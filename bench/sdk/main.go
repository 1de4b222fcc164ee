// SPDX-License-Identifier: Apache-2.0

// Command sdk does the work of imds-ready with the AWS SDK for Go, as a user of the SDK would write it, but without the
// SDK's configuration loader, which would only make it larger and slower. With -out it crawls: it writes the identity
// document and everything below meta-data/ except the credentials as JSON. Without -out it waits for the identity
// document, and exits with 1 if the SDK gives up.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

func main() {
	endpoint := flag.String("endpoint", "", "base URL")
	patient := flag.Bool("patient", false, "60 attempts at most 1 s apart, without the limit of 5 s for all of them")
	out := flag.String("out", "", "crawl, and write the result to this JSON file")
	concurrency := flag.Int("concurrency", 1, "requests in flight during a crawl")
	identity := flag.Bool("identity", false, "crawl only the identity document")
	flag.Parse()
	ctx, client := context.Background(), imds.New(options(*endpoint, *patient))
	var err error
	if *out != "" {
		err = crawl(ctx, client, *out, *concurrency, *identity)
	} else {
		_, err = client.GetInstanceIdentityDocument(ctx, nil)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "sdk: %v\n", err)
		os.Exit(1)
	}
}

// options returns the SDK's defaults or, for a patient client, those of the node agent of EKS
// (awslabs/amazon-eks-ami, nodeadm/internal/aws/imds/imds.go), which also retries a 404, as some paths appear late.
func options(endpoint string, patient bool) imds.Options {
	o := imds.Options{Endpoint: endpoint}
	if patient {
		o.DisableDefaultTimeout = true
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = 60, time.Second
			o.Retryables = append(o.Retryables, &retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusNotFound: {}}})
		})
	}
	return o
}

func crawl(ctx context.Context, client *imds.Client, out string, concurrency int, identityOnly bool) error {
	document, err := client.GetDynamicData(ctx, &imds.GetDynamicDataInput{Path: "instance-identity/document"})
	if err != nil {
		return err
	}
	identity, err := text(document.Content)
	leaves := map[string]string{"dynamic/instance-identity/document": identity}
	for level := []string{""}; err == nil && len(level) > 0 && !identityOnly; {
		var bodies, below []string
		bodies, err = getAll(ctx, client, level, concurrency)
		for i, path := range level {
			if path == "" || strings.HasSuffix(path, "/") {
				below = append(below, children(path, bodies[i])...)
			} else {
				leaves["meta-data/"+path] = bodies[i]
			}
		}
		level = below
	}
	data, failed := json.MarshalIndent(leaves, "", "  ")
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	return os.WriteFile(out, data, 0o644)
}

// getAll gets paths below meta-data/, some at a time. The path of a directory ends in "/" or is empty.
func getAll(ctx context.Context, client *imds.Client, paths []string, concurrency int) ([]string, error) {
	bodies, errs := make([]string, len(paths)), make([]error, len(paths))
	places := make(chan struct{}, concurrency)
	var all sync.WaitGroup
	for i, path := range paths {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			answer, err := client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
			if err == nil {
				bodies[i], err = text(answer.Content)
			}
			if err != nil {
				errs[i] = fmt.Errorf("getting %s: %w", path, err)
			}
		})
	}
	all.Wait()
	return bodies, errors.Join(errs...)
}

// children returns the paths that the listing of a directory leads to.
func children(path, listing string) (all []string) {
	for entry := range strings.SplitSeq(listing, "\n") {
		switch {
		case entry == "" || entry == "security-credentials/":
		case path == "public-keys/":
			index, _, _ := strings.Cut(entry, "=")
			all = append(all, path+index+"/openssh-key")
		default:
			all = append(all, path+entry)
		}
	}
	return all
}

func text(body io.ReadCloser) (string, error) {
	defer body.Close()
	b, err := io.ReadAll(body)
	return string(b), err
}
