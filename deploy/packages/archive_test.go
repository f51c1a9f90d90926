//go:build release

package packages

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestArchives: whose the files are, what may be done with them, and of when they are.
func TestArchives(t *testing.T) {
	committed, err := strconv.ParseInt(strings.TrimSpace(command(t, root, "git", "show", "-s", "--format=%ct", "HEAD")), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range []string{"darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64"} {
		t.Run(platform, func(t *testing.T) {
			var names []string
			for _, h := range headers(t, find(t, "_"+platform+".tar.gz")) {
				names = append(names, h.Name)
				mode := int64(0o644)
				if h.Name == "lambdamesh" {
					mode = 0o755
				}
				if h.Mode != mode || h.Uname != "root" || h.Gname != "root" || h.ModTime.Unix() != committed {
					t.Errorf("%s is %o %s:%s of %s", h.Name, h.Mode, h.Uname, h.Gname, h.ModTime)
				}
			}
			slices.Sort(names)
			if want := []string{"CHANGELOG.md", "LICENSE", "README.md", "THIRD_PARTY_NOTICES", "lambdamesh"}; !slices.Equal(names, want) {
				t.Errorf("it has %v, want %v", names, want)
			}
		})
	}
}

func headers(t *testing.T, archive string) (all []*tar.Header) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
}

// TestArchivedProgram runs the one for this machine.
func TestArchivedProgram(t *testing.T) {
	work := t.TempDir()
	command(t, work, "tar", "xzf", abs(t, find(t, "_"+runtime.GOOS+"_"+runtime.GOARCH+".tar.gz")))
	want := "lambdamesh v" + version(t) + " " + runtime.GOOS + "/" + runtime.GOARCH + " go"
	if got := command(t, work, "./lambdamesh", "version"); !strings.HasPrefix(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}
