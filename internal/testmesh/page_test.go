package testmesh

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestPage: a comment in a block begins no section, and a block in a list has not the
// list's indentation.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/pages\n")
	write("docs/a.md", "# A\n\n```hcl\n# file.hcl: what it is for\na = 1\n```\n\n- so:\n\n  ```sh\n  # a comment\n  echo {\n    b\n  ```\n\n```hcl\nb = 2\n```\n\n## B\n\n```sh\necho c\n```\n")
	page, err := ReadPage("a.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		section, language string
		want              []string
	}{
		{"A", "hcl", []string{"# file.hcl: what it is for\na = 1\n", "b = 2\n"}},
		{"A", "sh", []string{"# a comment\necho {\n  b\n"}},
		{"B", "sh", []string{"echo c\n"}},
		{"B", "hcl", nil},
	} {
		if got := page.Blocks(test.section, test.language); !slices.Equal(got, test.want) {
			t.Errorf("under %q there is of %s %q", test.section, test.language, got)
		}
	}
	if script, err := page.Script("B"); err != nil || script != "set -euo pipefail\necho c\n" {
		t.Errorf("the script is %q, %v", script, err)
	}
	if _, err := page.Script("a comment"); err == nil {
		t.Error("a comment is a section")
	}
	names, err := page.WriteFiles("A", "hcl", dir)
	if text, _ := os.ReadFile("file.hcl"); err != nil || !slices.Equal(names, []string{"file.hcl"}) || string(text) != "# file.hcl: what it is for\na = 1\n" {
		t.Errorf("written are %v, %q, %v", names, text, err)
	}
	replaced, err := ReadPage("a.md", "echo c", "cat go.mod", "b = 2", "b = 3")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := replaced.Follow(t.Context(), "B", dir, nil); err != nil || out != "module example.com/pages\n" {
		t.Errorf("it prints %q, %v", out, err)
	}
	if got := replaced.Blocks("A", "hcl"); len(got) != 2 || got[1] != "b = 3\n" {
		t.Errorf("replaced it is %q", got)
	}
	if _, err := ReadPage("a.md", "z = 1", "z = 2"); err == nil {
		t.Error("what is not there is replaced")
	}
	if _, err := page.Follow(t.Context(), "A", dir, nil); err == nil {
		t.Error("a script with a mistake is well")
	}
	if _, err := page.WriteFiles("B", "hcl", dir); err == nil {
		t.Error("a section without files has some")
	}

	write("docs/open.md", "```sh\necho\n")
	for _, name := range []string{"open.md", "none.md"} {
		if _, err := ReadPage(name); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
