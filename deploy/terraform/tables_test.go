//go:build extra

package terraform

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables in the modules' READMEs anew")

// checkTables: the tables of inputs and outputs in each module's README are those of its
// variables and outputs.
func checkTables(t *testing.T) {
	found, err := filepath.Glob("modules/*/README.md")
	if err != nil || len(found) != 3 {
		t.Fatalf("there are %d READMEs of modules, error %v", len(found), err)
	}
	for _, file := range found {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		inputs, outputs := tables(t, filepath.Dir(file))
		want := replace(t, file, replace(t, file, string(text), "inputs", inputs), "outputs", outputs)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(want, string(text)); diff != "" {
			t.Errorf("%s does not say what the module says (-update writes it anew):\n%s", file, diff)
		}
	}
}

// checkVersions: the version of the provider that is said to be tested is that of its
// schema. (Terraform does not compare it: the stand-in has none.)
func checkVersions(t *testing.T) {
	text, err := os.ReadFile("../../tools/terraform/provider/aws.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Version string }
	if err := json.Unmarshal(text, &schema); err != nil || schema.Version == "" {
		t.Fatalf("the schema has no version, error %v", err)
	}
	files, err := filepath.Glob("modules/*/versions.tf")
	if err != nil {
		t.Fatal(err)
	}
	checkContains(t, "README.md", "hashicorp/aws "+schema.Version+" ")
	for _, file := range files {
		checkContains(t, file, "the schema of "+schema.Version+".")
	}
}

func checkContains(t *testing.T, file, want string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s does not say %q, error %v", file, want, err)
	}
}

// replace puts a table between the marks of its name.
func replace(t *testing.T, file, text, name, table string) string {
	t.Helper()
	before, rest, begins := strings.Cut(text, "<!-- "+name+" -->\n")
	_, after, ends := strings.Cut(rest, "<!-- end -->\n")
	if !begins || !ends {
		t.Fatalf("%s has no marks for its %s", file, name)
	}
	return before + "<!-- " + name + " -->\n" + table + "<!-- end -->\n" + after
}

// described is a variable or an output.
type described struct {
	Name, Type, Description string
	Default                 any
	Required                bool
	Pos                     struct {
		Filename string
		Line     int
	}
}

// tables are those of a module, in the order of its files.
func tables(t *testing.T, module string) (inputs, outputs string) {
	t.Helper()
	dir, err := filepath.Abs(module)
	if err != nil {
		t.Fatal(err)
	}
	out := execute(t, "../../tools/terraform", nil, "go", "tool", "terraform-config-inspect", "--json", dir)
	var found struct{ Variables, Outputs map[string]described }
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	inputs = "| name | type | default | |\n|---|---|---|---|\n"
	for _, v := range ordered(found.Variables) {
		value := "required"
		if !v.Required {
			text, err := json.Marshal(v.Default)
			if err != nil {
				t.Fatal(err)
			}
			value = "`" + string(text) + "`"
		}
		inputs += fmt.Sprintf("| `%s` | `%s` | %s | %s |\n", v.Name, v.Type, value, v.Description)
	}
	outputs = "| name | |\n|---|---|\n"
	for _, o := range ordered(found.Outputs) {
		outputs += fmt.Sprintf("| `%s` | %s |\n", o.Name, o.Description)
	}
	return inputs, outputs
}

func ordered(of map[string]described) []described {
	var found []described
	for _, d := range of {
		found = append(found, d)
	}
	slices.SortFunc(found, func(a, b described) int { return a.Pos.Line - b.Pos.Line })
	return found
}
