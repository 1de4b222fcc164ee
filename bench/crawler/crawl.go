// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// crawl collects what is below meta-data/.
type crawl struct {
	client *imds.Client
	leaves map[string]string
}

// get is one path below meta-data/; a directory ends in "/", or is "".
func (c *crawl) get(ctx context.Context, path string) (string, error) {
	answer, err := c.client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	if err != nil {
		return "", fmt.Errorf("getting %s: %w", path, err)
	}
	body, err := text(answer.Content)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return body, nil
}

// recurse is the plain way: depth first, one request after the other.
func (c *crawl) recurse(ctx context.Context, path string) error {
	body, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	for _, child := range c.take(path, body) {
		if err := c.recurse(ctx, child); err != nil {
			return err
		}
	}
	return nil
}

// levels is the careful way: all the paths of a level together, some at a
// time.
func (c *crawl) levels(ctx context.Context, concurrency int) error {
	for level := []string{""}; len(level) > 0; {
		bodies, errs := make([]string, len(level)), make([]error, len(level))
		var next atomic.Int64
		var all sync.WaitGroup
		for range min(concurrency, len(level)) {
			all.Go(func() {
				for i := int(next.Add(1)) - 1; i < len(level); i = int(next.Add(1)) - 1 {
					bodies[i], errs[i] = c.get(ctx, level[i])
				}
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		var below []string
		for i, path := range level {
			below = append(below, c.take(path, bodies[i])...)
		}
		level = below
	}
	return nil
}

// take keeps a leaf, or returns what a listing leads to.
func (c *crawl) take(path, body string) []string {
	if path != "" && !strings.HasSuffix(path, "/") {
		c.leaves["meta-data/"+path] = body
		return nil
	}
	var children []string
	for entry := range strings.SplitSeq(body, "\n") {
		switch {
		case entry == "" || entry == "security-credentials/":
		case path == "public-keys/":
			index, _, _ := strings.Cut(entry, "=")
			children = append(children, path+index+"/openssh-key")
		default:
			children = append(children, path+entry)
		}
	}
	return children
}

// text reads a body to its end.
func text(body io.ReadCloser) (string, error) {
	defer body.Close()
	b, err := io.ReadAll(body)
	return string(b), err
}
