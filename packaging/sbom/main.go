// SPDX-License-Identifier: Apache-2.0

// Command sbom prints the software bill of materials of a package as an SPDX 2.3
// document in JSON: the package, and every Go module that is linked into its programs,
// from the build information in the programs themselves. The checksums of the modules
// come from go.sum in the current directory, because programs that were built from
// vendored modules do not have them.
//
//	sbom VERSION DATE PACKAGE PROGRAM...
//
// DATE is a day such as 2026-01-31. The output depends on nothing else, so two builds
// of the same source have the same document.
package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: sbom VERSION DATE PACKAGE PROGRAM...")
		os.Exit(64)
	}
	sums, err := os.ReadFile("go.sum")
	var doc []byte
	if err == nil {
		doc, err = describe(os.Args[1], os.Args[2], os.Args[3], string(sums), os.Args[4:])
	}
	if err == nil {
		_, err = os.Stdout.Write(doc)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

// The types are the part of SPDX 2.3 that is used here; see https://spdx.github.io/spdx-spec/v2.3/.
type (
	document struct {
		SPDXVersion       string         `json:"spdxVersion"`
		DataLicense       string         `json:"dataLicense"`
		SPDXID            string         `json:"SPDXID"`
		Name              string         `json:"name"`
		DocumentNamespace string         `json:"documentNamespace"`
		CreationInfo      creationInfo   `json:"creationInfo"`
		Packages          []spdxPackage  `json:"packages"`
		Relationships     []relationship `json:"relationships"`
	}
	creationInfo struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		SPDXID           string        `json:"SPDXID"`
		Name             string        `json:"name"`
		VersionInfo      string        `json:"versionInfo"`
		PackageFileName  string        `json:"packageFileName,omitempty"`
		DownloadLocation string        `json:"downloadLocation"`
		FilesAnalyzed    bool          `json:"filesAnalyzed"`
		Checksums        []checksum    `json:"checksums,omitempty"`
		SourceInfo       string        `json:"sourceInfo,omitempty"`
		LicenseConcluded string        `json:"licenseConcluded"`
		LicenseDeclared  string        `json:"licenseDeclared"`
		CopyrightText    string        `json:"copyrightText"`
		ExternalRefs     []externalRef `json:"externalRefs,omitempty"`
	}
	checksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	externalRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	relationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const (
	documentID = "SPDXRef-DOCUMENT"
	packageID  = "SPDXRef-Package"
	unknown    = "NOASSERTION"
	home       = "https://github.com/imds-ready/imds-ready"
)

// describe returns the document. sums is the content of go.sum.
func describe(version, date, file, sums string, programs []string) ([]byte, error) {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	linked, err := modules(version, programs)
	if err != nil {
		return nil, err
	}
	digest, name := sha256.Sum256(content), filepath.Base(file)
	sum := hex.EncodeToString(digest[:])
	doc := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: documentID, Name: name,
		DocumentNamespace: home + "/spdx/" + name + "-" + sum,
		CreationInfo: creationInfo{
			Created:  day.Format(time.RFC3339),
			Creators: []string{"Organization: The imds-ready developers", "Tool: packaging/sbom-" + version},
		},
		Packages: []spdxPackage{{
			SPDXID: packageID, Name: "imds-ready", VersionInfo: version, PackageFileName: name, DownloadLocation: unknown,
			Checksums: []checksum{{"SHA256", sum}}, LicenseConcluded: unknown, LicenseDeclared: "Apache-2.0", CopyrightText: unknown,
		}},
		Relationships: []relationship{{documentID, "DESCRIBES", packageID}},
	}
	for _, path := range slices.Sorted(maps.Keys(linked)) {
		m := linked[path]
		p := spdxPackage{
			SPDXID: spdxID(path), Name: path, VersionInfo: m.Version, DownloadLocation: unknown,
			LicenseConcluded: unknown, LicenseDeclared: unknown, CopyrightText: unknown,
			ExternalRefs: []externalRef{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + strings.ToLower(path) + "@" + m.Version}},
		}
		if _, after, ok := strings.Cut("\n"+sums, "\n"+path+" "+m.Version+" "); ok {
			sum, _, _ := strings.Cut(after, "\n")
			p.SourceInfo = "go.sum: " + sum
		}
		doc.Packages = append(doc.Packages, p)
		doc.Relationships = append(doc.Relationships, relationship{packageID, "CONTAINS", p.SPDXID})
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	return append(out, '\n'), err
}

// modules returns the modules of all programs by path: the main module, which has this
// version, those that it needs, and Go's standard library as "stdlib".
func modules(version string, programs []string) (map[string]debug.Module, error) {
	all := map[string]debug.Module{}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return nil, err
		}
		all["stdlib"] = debug.Module{Version: strings.TrimPrefix(info.GoVersion, "go")}
		all[info.Main.Path] = debug.Module{Version: "v" + version}
		for _, m := range info.Deps {
			used := *cmp.Or(m.Replace, m)
			all[used.Path] = used
		}
	}
	return all, nil
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// spdxID returns the identifier of a module: SPDX allows letters, digits, "." and "-".
func spdxID(path string) string { return "SPDXRef-Go-" + notInID.ReplaceAllString(path, "-") }
