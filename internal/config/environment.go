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
		if v.name == envMode {
			k.valid = modeIPv4 + " or " + modeIPv6 + " (in any case)"
			if v.value == modeAuto { // the SDKs do not have this value
				problems = []string{"unknown value"}
			}
		}
		for _, problem := range problems {
			d.problems = append(d.problems, Problem{
				Source: source, Key: v.name, Value: quote(getenv(v.name)), Message: k.withRange(problem),
			})
		}
		d.assignments = append(d.assignments, assignment{key: k, set: set, source: source})
	}
	return d
}

// disabled reports whether the environment forbids any request. Like the SDKs
// it ignores all values except "true".
func disabled(getenv func(string) string) bool {
	return strings.EqualFold(getenv(envDisabled), "true")
}
