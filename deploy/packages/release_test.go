//go:build release

package packages

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root    = "../.." // of the tree
	release = root + "/build/release"
)

// version is that of the release in build/release.
func version(t *testing.T) string {
	t.Helper()
	var metadata struct{ Version, Commit string }
	if err := json.Unmarshal([]byte(read(t, release+"/metadata.json")), &metadata); err != nil {
		t.Fatal(err)
	}
	if head := strings.TrimSpace(command(t, root, "git", "rev-parse", "HEAD")); metadata.Commit != head {
		t.Fatalf("build/release is of commit %s, and this is %s: make release", metadata.Commit, head)
	}
	return metadata.Version
}

// checksums reads the checksums of the release in a tree: file to SHA-256.
func checksums(t *testing.T, tree string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for line := range strings.Lines(read(t, tree+"/build/release/checksums.txt")) {
		fields := strings.Fields(line)
		sums[fields[1]] = fields[0]
	}
	if len(sums) == 0 {
		t.Fatal("there are no checksums")
	}
	return sums
}

// path is where a file of the release stands.
func path(file string) string {
	if strings.HasPrefix(file, "lambda-registrator") {
		return root + "/build/lambda/" + file
	}
	return release + "/" + file
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// command runs one to its end and returns what it printed.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var says strings.Builder
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, says.String())
	}
	return string(out)
}

// find is the one file of the release whose name ends so.
func find(t *testing.T, suffix string) string {
	t.Helper()
	var found []string
	for file := range checksums(t, root) {
		if strings.HasSuffix(file, suffix) {
			found = append(found, path(file))
		}
	}
	if len(found) != 1 {
		t.Fatalf("of %s there are %v", suffix, found)
	}
	return found[0]
}

// TestFiles: all that a release is, and that the checksums are those of the files.
func TestFiles(t *testing.T) {
	v := version(t)
	// A part after a dash is older than the same without: so says a tilde to both, and
	// rpm takes no dash.
	deb := strings.Replace(v, "-", "~", 1)
	rpm := strings.ReplaceAll(deb, "-", "_")
	want := []string{
		"lambdamesh_" + deb + "_amd64.deb", "lambdamesh_" + deb + "_arm64.deb",
		"lambdamesh-" + rpm + "-1.aarch64.rpm", "lambdamesh-" + rpm + "-1.x86_64.rpm",
	}
	for _, platform := range []string{"darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64"} {
		want = append(want, "lambdamesh_"+v+"_"+platform+".tar.gz", "lambdamesh_"+v+"_"+platform+".cdx.json")
	}
	for _, arch := range []string{"amd64", "arm64"} {
		for _, suffix := range []string{".zip", ".cdx.json", ".notices.txt"} {
			want = append(want, "lambda-registrator-"+arch+suffix)
		}
	}
	slices.Sort(want)
	var got []string
	for file, sum := range checksums(t, root) {
		got = append(got, file)
		if found := sha256.Sum256([]byte(read(t, path(file)))); hex.EncodeToString(found[:]) != sum {
			t.Errorf("%s has another checksum", file)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the release has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestReproducible builds the same once more, in another folder and time zone and with
// other rights on new files, and compares every byte. Of images the digests are compared,
// which are of every byte of theirs.
func TestReproducible(t *testing.T) {
	t.Logf("version %s", version(t))
	again := filepath.Join(t.TempDir(), "somewhere", "else")
	command(t, ".", "git", "clone", "-q", "--no-local", root, again)
	if changes := command(t, root, "git", "diff", "--binary", "HEAD"); changes != "" {
		patch := filepath.Join(t.TempDir(), "changes")
		if err := os.WriteFile(patch, []byte(changes), 0o600); err != nil {
			t.Fatal(err)
		}
		command(t, again, "git", "apply", patch)
	}
	t.Setenv("TZ", "Asia/Kathmandu")
	command(t, again, "sh", "-c", "umask 077 && make --no-print-directory release images")
	second := checksums(t, again)
	for file, sum := range checksums(t, root) {
		if second[file] != sum {
			t.Errorf("%s differs", file)
		}
	}
	for _, image := range []string{"lambdamesh", "lambda-registrator-amd64", "lambda-registrator-arm64"} {
		file := "/build/images/" + image + "/index.json"
		if read(t, root+file) != read(t, again+file) {
			t.Errorf("the image %s differs", image)
		}
	}
}

// TestBillOfMaterials: it is of the program that is in the archive, with its modules and
// their licences.
func TestBillOfMaterials(t *testing.T) {
	work := t.TempDir()
	command(t, work, "tar", "xzf", abs(t, find(t, "_linux_arm64.tar.gz")), "lambdamesh")
	command(t, work, "unzip", "-q", abs(t, path("lambda-registrator-arm64.zip")))
	for program, document := range map[string]string{"lambdamesh": find(t, "_linux_arm64.cdx.json"), "bootstrap": path("lambda-registrator-arm64.cdx.json")} {
		sum := sha256.Sum256([]byte(read(t, work+"/"+program)))
		bom := read(t, document)
		for _, want := range []string{
			`"content": "` + hex.EncodeToString(sum[:]) + `"`, `"value": "linux/arm64"`, `"version": "v` + version(t) + `"`,
			`"purl": "pkg:golang/github.com/aws/aws-sdk-go-v2@v`, `"purl": "pkg:golang/std@1.`, `"id": "MPL-2.0"`,
		} {
			if !strings.Contains(bom, want) {
				t.Errorf("%s lacks %s", document, want)
			}
		}
	}
}

func abs(t *testing.T, file string) string {
	t.Helper()
	whole, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}
