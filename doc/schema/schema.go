// SPDX-License-Identifier: Apache-2.0

// Package schema has the JSON schemas (draft 2020-12) of the files in
// /run/imds: status, identity, meta-data, network, tags, signatures and, for
// watch/status.json, watch-status, each as NAME.schema.json. The package contains only data, so that a program can use the
// schemas without a validator. Package schematest checks files against them.
package schema

import "embed"

// FS holds the schemas by file name, such as status.schema.json.
//
//go:embed *.schema.json
var FS embed.FS
