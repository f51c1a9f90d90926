package main

import (
	"encoding/json"
	"io"
	"path"
)

// The parts of CycloneDX 1.6 that are used (https://cyclonedx.org/docs/1.6/json).
type (
	bom struct {
		Format       string          `json:"bomFormat"`
		SpecVersion  string          `json:"specVersion"`
		SerialNumber string          `json:"serialNumber"`
		Version      int             `json:"version"`
		Metadata     bomMetadata     `json:"metadata"`
		Components   []bomComponent  `json:"components"`
		Dependencies []bomDependency `json:"dependencies"`
	}
	bomMetadata struct {
		Component bomComponent `json:"component"`
	}
	bomComponent struct {
		Type       string        `json:"type"`
		Ref        string        `json:"bom-ref"`
		Name       string        `json:"name"`
		Version    string        `json:"version"`
		PURL       string        `json:"purl"`
		Hashes     []bomHash     `json:"hashes,omitempty"`
		Licences   []bomLicence  `json:"licenses"`
		Properties []bomProperty `json:"properties,omitempty"`
	}
	bomHash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	bomLicence struct {
		Licence struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	bomProperty struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	bomDependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
)

// writeBOM writes what the program is made of. The same program gives the same bytes: the
// serial number is of its hash, and there is no time in it. Which module needs which
// other is not in a binary, so all hang on the program.
func writeBOM(w io.Writer, p program, version string) error {
	purl := "pkg:golang/" + p.path + "@" + version
	self := bomComponent{
		Type: "application", Ref: purl, Name: path.Base(p.path), Version: version, PURL: purl,
		Hashes:   []bomHash{{"SHA-256", p.sha256}},
		Licences: licences([]string{"Apache-2.0"}),
		Properties: []bomProperty{
			{"lambdamesh:platform", p.arch},
			{"lambdamesh:go", p.goVers},
		},
	}
	b := bom{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		// A UUID of version 8, whose bits mean what its maker wants (RFC 9562).
		SerialNumber: "urn:uuid:" + p.sha256[:8] + "-" + p.sha256[8:12] + "-8" + p.sha256[13:16] + "-a" + p.sha256[17:20] + "-" + p.sha256[20:32],
		Metadata:     bomMetadata{self},
	}
	on := bomDependency{Ref: purl}
	for _, m := range p.modules {
		ref := "pkg:golang/" + m.path + "@" + m.version
		b.Components = append(b.Components, bomComponent{
			Type: "library", Ref: ref, Name: m.path, Version: m.version, PURL: ref, Licences: licences(m.legal.ids),
		})
		on.DependsOn = append(on.DependsOn, ref)
	}
	b.Dependencies = []bomDependency{on}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(b)
}

func licences(ids []string) []bomLicence {
	list := make([]bomLicence, len(ids))
	for i, id := range ids {
		list[i].Licence.ID = id
	}
	return list
}
