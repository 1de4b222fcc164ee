// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"time"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/policy"
)

// HeadStart is how long IPv4 is asked alone where both families are.
const HeadStart = imds.HeadStart

// IdentityPath is the instance identity document: always required, and asked
// for first and alone.
const IdentityPath = "dynamic/instance-identity/document"

// Config is a validated configuration; internal/config makes it from TOML.
type Config struct {
	// Policy is the [retry] table, rules included.
	Policy policy.Policy
	// Require lists the paths that must be there before READY=1, each once,
	// the identity document first.
	Require []Require
	// OnTimeout is what to do when a required path could not be had: Fail or
	// Continue.
	OnTimeout Choice
	// OnDisabled is what to do when IMDS is off for this instance: Fail or
	// Continue.
	OnDisabled Choice
	// OnNotEC2 is what to do when DMI says that this is not EC2: Skip, Fail or
	// Try.
	OnNotEC2 Choice
	// Metadata says what to collect once the gate is decided.
	Metadata Metadata
	// Textfile is [output] textfile: the file for the metrics of this run, its
	// name absolute and ending in ".prom"; "": none.
	Textfile string
	// Disabled is AWS_EC2_METADATA_DISABLED: no request is made at all.
	Disabled bool
	// ExplicitEndpoint is true when endpoint.url or its environment variable
	// is set: DMI is not asked then.
	ExplicitEndpoint bool
}

// Require is one path that must be there before READY=1.
type Require struct {
	// Path is exact, below the version, without a leading slash; with a final
	// "/" it is a listing that must have an entry.
	Path string
	// MaxAttempts and Deadline are this path's own patience; where the
	// configuration is silent they are [retry]'s.
	MaxAttempts int
	Deadline    time.Duration
}

// Metadata is the [metadata] table.
type Metadata struct {
	// Include and Exclude are doublestar globs over paths below the version.
	Include, Exclude []string
	// CollectDeadline bounds the collection of everything that is not
	// required, from its own start; 0: no limit.
	CollectDeadline time.Duration
	// UserData and Signatures ask for the secret files of these names.
	UserData, Signatures bool
	// Concurrency is how many requests are under way at once, 1..16.
	Concurrency int
	// RequestsPerSecond is how many requests begin in any one second, 1..200.
	RequestsPerSecond int
}

// Choice is what [ready] says of a gate that cannot be ready.
type Choice string

// The values of [ready]'s keys.
const (
	Fail     Choice = "fail"
	Continue Choice = "continue"
	Skip     Choice = "skip"
	Try      Choice = "try"
)
