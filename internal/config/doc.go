// SPDX-License-Identifier: Apache-2.0

// Package config turns TOML files and environment variables into a validated
// [Config], or into the list of everything that is wrong with them
// ([Problems]). It is strict: a key that it does not know, a number where a
// duration belongs and a value out of its range are problems, never guesses,
// because a boot is the worst time to find out.
//
// A file goes through four steps. It is read, bounded in size and nesting
// (files.go). It is cut into statements, so that every value has its line
// (split.go); the TOML library does the reading of each. Every key is looked
// up in one table, the schema, which holds its kind, its range and the place
// of its value (schema.go, kind.go); the list of settings, the "did you mean"
// and the test of imds-ready.toml.example come from the same table. And the
// files are merged, later over earlier, then the environment over all of them
// (merge.go, environment.go).
//
// Nothing is decoded into structs by reflection: the library would match keys
// in any case, take `5` as five nanoseconds, and forget the lines.
package config
