//go:build release

package packages

import (
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// commands are those of a section of the install page, with this release's version for
// VERSION, and those that go on in a next line in one.
func commands(t *testing.T, section string) []string {
	t.Helper()
	_, text, found := strings.Cut(read(t, root+"/docs/install-packages.md"), "\n## "+section+"\n")
	if !found {
		t.Fatalf("the page has no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	text = strings.ReplaceAll(text, "\\\n", "")
	var all []string
	for _, match := range regexp.MustCompile(`(?m)^    (.+)$`).FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(match[1], "VERSION", version(t)))
	}
	if len(all) == 0 {
		t.Fatalf("%s has no command", section)
	}
	return all
}

// TestPage runs what the page says of checksums and archives, where the files are that a
// release has. What wants an account of GitHub's is left out.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	for file := range checksums(t, root) {
		if err := os.Symlink(abs(t, path(file)), dir+"/"+file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(abs(t, release+"/checksums.txt"), dir+"/checksums.txt"); err != nil {
		t.Fatal(err)
	}
	var out string
	for _, section := range []string{"Check what you fetched", "An archive"} {
		for _, line := range commands(t, section) {
			if !strings.HasPrefix(line, "gh ") {
				out += command(t, dir, "sh", "-euc", strings.ReplaceAll(line, "linux_amd64", "linux_"+runtime.GOARCH))
			}
		}
	}
	for _, want := range []string{"lambda-registrator-arm64.zip: OK\n", "lambdamesh v" + version(t)} {
		if !strings.Contains(out, want) {
			t.Errorf("the commands print\n%s\nand not %s", out, want)
		}
	}
}
