package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLicences: every dependency has a licence that is allowed, those of tests and of
// build tags too.
func TestLicences(t *testing.T) {
	t.Chdir("../..")
	modules, err := dependencies(t.Context())
	if err != nil {
		t.Error(err)
	}
	found := map[string]string{}
	for _, m := range modules {
		found[m.path] = strings.Join(m.legal.ids, " ")
	}
	for path, want := range map[string]string{
		"google.golang.org/grpc":          "Apache-2.0",
		"github.com/aws/aws-lambda-go":    "Apache-2.0 MIT-0",
		"github.com/google/go-cmp":        "BSD-3-Clause",
		"github.com/hashicorp/consul/api": "MPL-2.0",
		"github.com/cespare/xxhash/v2":    "MIT",
		"github.com/chromedp/chromedp":    "MIT", // of a build tag
		"go.uber.org/goleak":              "MIT", // of a test
	} {
		if found[path] != want {
			t.Errorf("%s is under %q, want %q", path, found[path], want)
		}
	}
}

func TestRefusedLicences(t *testing.T) {
	mit, err := os.ReadFile("testdata/MIT")
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string]string{
		"none":             {"README": "Free."},
		"unknown":          {"LICENSE": "You may look at this."},
		"one of two":       {"LICENSE": string(mit), "LICENSE.enterprise": "You may look at this."},
		"copyleft":         {"COPYING": "GNU GENERAL PUBLIC LICENSE\n\nVersion 3, 29 June 2007\n\n" + string(mit)},
		"affero":           {"LICENSE": "GNU AFFERO GENERAL PUBLIC\n LICENSE\n" + string(mit)},
		"business source":  {"LICENCE.md": "Business Source License 1.1\n" + string(mit)},
		"with a condition": {"LICENSE": "\"Commons Clause\" License Condition v1.0\n" + string(mit)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if l, err := readLegal(dir); err == nil {
				t.Errorf("it is taken for %v", l.ids)
			}
		})
	}
	if got := classify(string(mit)); got != "MIT" {
		t.Errorf("without those words it is %q", got)
	}
}

// TestNoModules: a binary in which no modules stand, such as this test, is a mistake.
func TestNoModules(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := readProgram(t.Context(), self); err == nil {
		t.Errorf("it is taken for %v", p.modules)
	}
}

func TestDocuments(t *testing.T) {
	p := program{path: "example.com/cmd/thing", sha256: strings.Repeat("0123456789abcdef", 4), goVers: "go1.26.7", arch: "linux/arm64", modules: []module{
		{path: "example.com/a", version: "v1.0.0", legal: legal{ids: []string{"Apache-2.0", "MIT"}, texts: []string{"LICENCE OF A"}}},
		{path: "std", version: "1.26.7", legal: legal{ids: []string{"BSD-3-Clause"}, texts: []string{"LICENCE OF GO"}}},
	}}
	var text bytes.Buffer
	if err := writeBOM(&text, p, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal(text.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if b.SerialNumber != "urn:uuid:01234567-89ab-8def-a123-456789abcdef" {
		t.Errorf("serial number %s", b.SerialNumber)
	}
	want := []string{"pkg:golang/example.com/a@v1.0.0", "pkg:golang/std@1.26.7"}
	var got []string
	for _, c := range b.Components {
		got = append(got, c.PURL)
	}
	if !slices.Equal(got, want) || !slices.Equal(b.Dependencies[0].DependsOn, want) {
		t.Errorf("it is made of %v and depends on %v", got, b.Dependencies)
	}
	if l := b.Components[0].Licences; len(l) != 2 || l[1].Licence.ID != "MIT" {
		t.Errorf("licences %v", l)
	}
	text.Reset()
	if err := writeNotices(&text, p.modules); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"example.com/a v1.0.0 (Apache-2.0, MIT)", "LICENCE OF A", "LICENCE OF GO"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the notices lack %q", want)
		}
	}
}
