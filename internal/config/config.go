// SPDX-License-Identifier: Apache-2.0

// Package config turns TOML files and environment variables into a validated
// [Config], or into the list of everything that is wrong with them
// ([Problems]). It is strict: an unknown key, a number in place of a duration
// and a value out of its range are problems, never guesses, because a boot is
// the worst time to find out.
//
// A file goes through four steps. It is read, bounded in size and nesting
// (files.go). It is split into statements, so that each value has its line and
// its source text (split.go); the TOML library parses each of them. Each key is
// looked up in one table, the schema, which holds its kind, its range and where
// its value goes (document.go, schema.go, kind.go); the list of settings, "did
// you mean" and the test of imds-ready.toml.example use the same table. Finally
// the files are merged, a later one over an earlier one, and the environment
// over all of them (merge.go, environment.go).
//
// Nothing is decoded into structs by reflection: the library would match keys
// in any case, take `5` for five nanoseconds, and forget the lines.
package config

import (
	"os"

	"github.com/imds-ready/imds-ready/imds"
	"github.com/imds-ready/imds-ready/readiness"
)

// Options say where the configuration is. The zero value is that of the
// daemon without flags.
type Options struct {
	// File is the value of --config: only it and the *.toml files of FILE.d are
	// read. If empty, /etc/imds-ready/imds-ready.toml and the drop-ins of
	// /usr/lib/imds-ready/imds-ready.toml.d and
	// /etc/imds-ready/imds-ready.toml.d are read.
	File string
	// Root is put before /etc and /usr/lib, for tests.
	Root string
	// Getenv reads the environment. If nil, it is os.Getenv.
	Getenv func(name string) string
}

// Config is a valid configuration.
type Config struct {
	// IMDS has the endpoints, the interface and the token's lifetime; Dial, Pace and
	// UserAgent are left to the caller.
	IMDS *imds.Client
	// Readiness is everything else.
	Readiness readiness.Config
	// Watch is the [watch] table.
	Watch Watch
	// Settings lists every effective key in the order of the documentation,
	// for `check`.
	Settings []Setting
	// Files are the paths that were read, in the order in which they apply.
	Files []string
	// Hidden are the drop-ins that were not read because another one of the
	// same name replaces or removes them.
	Hidden []string
	// Ignored are the files beside the drop-ins that were not read because of their
	// names, except README and hidden files that do not end in ".toml".
	Ignored []string
}

// Setting is one effective key.
type Setting struct {
	// Key is dotted. The fields of a list's entries are numbered from 1, in
	// effective order, and are present only if something sets them:
	// "retry.rule[1].on", "require[2].deadline".
	Key string `json:"key"`
	// Value is printed as TOML: "\"500ms\"", "true", "[\"meta-data/**\"]".
	Value string `json:"value"`
	// Source is where it was set.
	Source Source `json:"-"`
	// Origin is Source in words: "default", "preset sdk", "FILE:LINE" or
	// "environment NAME".
	Origin string `json:"origin"`
}

// Load reads the files and the environment. If anything is wrong, the Config is
// nil and the error is a [Problems] with everything that is wrong in all of
// them, at most the first 100 in detail.
func Load(o Options) (*Config, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	keys := newSchema()
	files, unread, problems := o.find()
	var documents []document
	var read []string
	for _, file := range files {
		text, problem := file.read()
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		read = append(read, file.path)
		documents = append(documents, parse(keys, file.path, text))
	}
	documents = append(documents, environment(keys, getenv))
	for _, d := range documents {
		problems = append(problems, d.problems...)
	}
	if len(problems) > 0 {
		return nil, problems.bounded()
	}
	v, settings := merge(documents).resolve(keys)
	v.ready.Disabled = disabled(getenv)
	v.ready.ExplicitEndpoint = v.url != ""
	return &Config{IMDS: v.client(), Readiness: v.ready, Watch: v.watch, Settings: settings, Files: read, Hidden: unread.hidden, Ignored: unread.ignored}, nil
}

// client makes the IMDS client of the values. An explicit endpoint beats a
// mode, wherever either was set.
func (v values) client() *imds.Client {
	endpoints := []string{imds.EndpointIPv4, imds.EndpointIPv6}
	switch {
	case v.url != "":
		endpoints = []string{v.url}
	case v.mode == modeIPv4:
		endpoints = endpoints[:1]
	case v.mode == modeIPv6:
		endpoints = endpoints[1:]
	}
	return &imds.Client{
		Endpoints: endpoints,
		Interface: v.iface,
		TokenTTL:  v.tokenTTL,
	}
}
