// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"cmp"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/internal/collect"
	"github.com/imds-ready/imds-ready/internal/gather"
	"github.com/imds-ready/imds-ready/internal/hints"
	"github.com/imds-ready/imds-ready/internal/paths"
	"github.com/imds-ready/imds-ready/policy"
)

// Config is a validated configuration; internal/config makes it from TOML.
type Config struct {
	// Policy is the [retry] table, rules included.
	Policy policy.Policy
	// Require lists the paths that must be there before READY=1, each once, the
	// identity document first. If empty, it is the identity document alone.
	Require []Require
	// OnTimeout is what to do if a required path could not be fetched: Fail (the
	// default) or Continue.
	OnTimeout Choice
	// OnDisabled is what to do if IMDS is disabled for this instance: Fail (the
	// default) or Continue.
	OnDisabled Choice
	// OnNotEC2 is what to do if DMI says that this is not EC2: Skip (the default),
	// Fail or Try.
	OnNotEC2 Choice
	// Metadata says what to collect after the gate is decided.
	Metadata Metadata
	// Textfile is [output] textfile, the file for the metrics of this run: an
	// absolute name that ends in ".prom". If empty, no metrics are written.
	Textfile string
	// Disabled is AWS_EC2_METADATA_DISABLED: no request is made.
	Disabled bool
	// ExplicitEndpoint is true if endpoint.url or its environment variable is set.
	// Then DMI is not consulted.
	ExplicitEndpoint bool
}

// Require is one path that must be there before READY=1. Its Equals must not be set for a
// listing or a document ([IsDocument]).
type Require = gather.Require

// IsDocument reports whether a path below the version holds a JSON document.
func IsDocument(path string) bool { return paths.IsDocument(path) }

// Metadata is the [metadata] table.
type Metadata = collect.Metadata

// withDefaults returns c with a default for every zero field that has one.
func (c Config) withDefaults() Config {
	if len(c.Require) == 0 {
		c.Require = []Require{{Path: paths.Identity, MaxAttempts: c.Policy.MaxAttempts, Deadline: c.Policy.Deadline}}
	}
	c.OnTimeout, c.OnDisabled, c.OnNotEC2 = cmp.Or(c.OnTimeout, Fail), cmp.Or(c.OnDisabled, Fail), cmp.Or(c.OnNotEC2, Skip)
	c.Metadata.Concurrency = cmp.Or(c.Metadata.Concurrency, DefaultConcurrency)
	c.Metadata.RequestsPerSecond = cmp.Or(c.Metadata.RequestsPerSecond, DefaultRequestsPerSecond)
	return c
}

// hints returns the settings that hints depend on.
func (c Config) hints(client *imds.Client) hints.Settings {
	return hints.Settings{Interface: client.Interface, Tolerant: c.OnDisabled == Continue}
}

// The defaults of zero fields of [Metadata].
const (
	DefaultConcurrency       = 4
	DefaultRequestsPerSecond = 240
)

// Choice is what to do with a gate that cannot become ready.
type Choice string

// The values of [ready]'s keys.
const (
	Fail     Choice = "fail"
	Continue Choice = "continue"
	Skip     Choice = "skip"
	Try      Choice = "try"
)
