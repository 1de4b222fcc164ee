// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/imds-ready/imds-ready/bench/internal/process"
	"github.com/imds-ready/imds-ready/bench/internal/sim"
)

// rounds runs every contestant once a round.
type rounds struct {
	dir     string
	server  *sim.Simulator
	timeout time.Duration // of one run
}

// run keeps the results of all rounds but the first warmup. Every second round
// goes backwards, so that nobody always follows the same one.
func (s *rounds) run(ctx context.Context, warmup, counted int, all []*contestant) error {
	for i := range warmup + counted {
		order := slices.Clone(all)
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			result, err := s.once(ctx, c)
			if err != nil {
				return fmt.Errorf("round %d: %s: %w", i+1, c.name, err)
			}
			if i >= warmup {
				c.results = append(c.results, result)
			}
		}
	}
	return nil
}

// once is one run, in a directory that is removed again.
func (s *rounds) once(ctx context.Context, c *contestant) (process.Result, error) {
	dir := filepath.Join(s.dir, "run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return process.Result{}, err
	}
	defer os.RemoveAll(dir)
	args, err := c.args(dir)
	if err != nil {
		return process.Result{}, err
	}
	if _, err := s.server.Take(); err != nil {
		return process.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	r, err := process.Run(ctx, process.Program{Path: c.path, Args: args, Env: c.env, Dir: dir})
	if err != nil {
		return r, err
	}
	switch _, err := os.Stat(filepath.Join(dir, c.product)); {
	case r.Code != 0:
		return r, fmt.Errorf("exit code %d; it printed:\n%s", r.Code, r.Tail())
	case c.ready && r.Ready == 0:
		return r, errors.New("no READY=1")
	case err != nil:
		return r, err
	}
	c.counts, err = s.server.Take()
	return r, err
}
