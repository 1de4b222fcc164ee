// SPDX-License-Identifier: Apache-2.0

// Command waiter waits for the instance identity document with the AWS SDK for
// Go, as a program on an instance does: with the SDK's defaults, or tuned to be
// patient. It exits 0 when it has the document, and 1 when it gives up.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

func main() {
	endpoint := flag.String("endpoint", "", "base URL")
	patient := flag.Bool("patient", false, "60 attempts, at most 1 s apart, and no limit of 5 s for all of them")
	flag.Parse()
	if err := wait(context.Background(), options(*endpoint, *patient)); err != nil {
		fmt.Fprintf(os.Stderr, "waiter: %v\n", err)
		os.Exit(1)
	}
}

// options are the SDK's defaults, or what the node agent of EKS changes of them
// (awslabs/amazon-eks-ami, nodeadm/internal/aws/imds/imds.go).
func options(endpoint string, patient bool) imds.Options {
	o := imds.Options{Endpoint: endpoint}
	if patient {
		o.DisableDefaultTimeout = true
		o.Retryer = retryer()
	}
	return o
}

// retryer also retries a 404: what is asked for may appear late.
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 60
		o.MaxBackoff = time.Second
		o.Retryables = append(o.Retryables, &retry.RetryableHTTPStatusCode{
			Codes: map[int]struct{}{http.StatusNotFound: {}},
		})
	})
}

func wait(ctx context.Context, o imds.Options) error {
	document, err := imds.New(o).GetInstanceIdentityDocument(ctx, nil)
	if err != nil {
		return err
	}
	fmt.Println(document.InstanceID)
	return nil
}
