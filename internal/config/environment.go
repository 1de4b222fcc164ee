// SPDX-License-Identifier: Apache-2.0

package config

import "strings"

// The variables that the AWS SDKs know, with their names and their meaning
// (AWS SDKs and Tools Reference Guide, "IMDS client"). An empty one is not set.
const (
	envEndpoint = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
	envMode     = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
	envDisabled = "AWS_EC2_METADATA_DISABLED"
)

// environment reads the variables as a document that comes after all files.
func environment(keys schema, getenv func(string) string) document {
	var d document
	for _, v := range []struct{ name, key, value string }{
		{envEndpoint, urlKey, getenv(envEndpoint)},
		{envMode, modeKey, strings.ToLower(getenv(envMode))},
	} {
		if v.value == "" {
			continue
		}
		k := keys.key(v.key)
		source := Source{File: v.name}
		set, problems := k.read(v.value)
		legal := k.legal
		if v.name == envMode {
			legal = modeIPv4 + ", " + modeIPv6 + " (in any case)"
			if v.value == modeAuto { // not a value that the SDKs know
				problems = []string{"no such value"}
			}
		}
		for _, problem := range problems {
			d.problems = append(d.problems, Problem{
				Source: source, Key: v.name, Value: shorten(tomlString(getenv(v.name))), Message: problem + ", legal: " + legal,
			})
		}
		d.assignments = append(d.assignments, assignment{key: k, set: set, source: source})
	}
	return d
}

// disabled tells whether the environment forbids any request. Any value but
// "true" is ignored, as the SDKs do.
func disabled(getenv func(string) string) bool {
	return strings.EqualFold(getenv(envDisabled), "true")
}
