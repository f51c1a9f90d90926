//go:build release

package images

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// limit is how large an image may be, in bytes, as it is fetched.
const limit = 30_000_000

// TestConfig: for whom the images are, as whom they run, what is in them and what is not.
func TestConfig(t *testing.T) {
	for layout, want := range map[string]struct {
		mediaType string
		platforms []string
		program   string
	}{
		"lambdamesh": {indexType, []string{"linux/amd64", "linux/arm64"}, "lambdamesh"},
		// AWS Lambda takes no index.
		"lambda-registrator-amd64": {imageType, []string{"linux/amd64"}, "lambda-registrator"},
		"lambda-registrator-arm64": {imageType, []string{"linux/arm64"}, "lambda-registrator"},
	} {
		t.Run(layout, func(t *testing.T) {
			if got := top(t, layout).MediaType; got != want.mediaType {
				t.Errorf("it is a %s, want %s", got, want.mediaType)
			}
			all := images(t, layout)
			if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want.platforms) {
				t.Errorf("it is for %v, want %v", got, want.platforms)
			}
			for platform, i := range all {
				if i.Config.User != "65532:65532" {
					t.Errorf("%s runs as %q", platform, i.Config.User)
				}
				if got := i.Config.Entrypoint; !slices.Equal(got, []string{"/ko-app/" + want.program}) {
					t.Errorf("%s starts %q", platform, got)
				}
				for label, value := range map[string]string{"title": want.program, "licenses": "Apache-2.0", "source": "https://github.com/lambdamesh/lambdamesh", "revision": revision(t)} {
					if got := i.Config.Labels["org.opencontainers.image."+label]; got != value {
						t.Errorf("%s: label %s is %q, want %q", platform, label, got, value)
					}
				}
				if n := i.size(); n > limit {
					t.Errorf("%s has %d bytes, more than %d", platform, n, limit)
				}
				testFiles(t, i, want.program)
			}
		})
	}
}

// testFiles: there is one program, so no shell; nothing may be changed by the user that
// runs it, and nothing raises anybody's rights.
func testFiles(t *testing.T, i image, program string) {
	t.Helper()
	var files []string
	i.files(t, func(header *tar.Header, r io.Reader) {
		if header.Typeflag == tar.TypeDir {
			return
		}
		name := "/" + strings.TrimPrefix(header.Name, "/")
		files = append(files, name)
		if header.Typeflag != tar.TypeReg || header.Uid != 0 || header.Mode&0o7022 != 0 {
			t.Errorf("%s is of type %c, %o, of user %d", name, header.Typeflag, header.Mode, header.Uid)
		}
		if executable := header.Mode&0o111 != 0; executable != (name == "/ko-app/"+program) {
			t.Errorf("%s may be executed: %v", name, executable)
		}
		switch filepath.Base(name) {
		case "ca-certificates.crt":
			text, _ := io.ReadAll(r)
			pool := x509.NewCertPool()
			if n := bytes.Count(text, []byte("BEGIN CERTIFICATE")); !pool.AppendCertsFromPEM(text) || n < 100 {
				t.Errorf("there are %d authorities", n)
			}
		case "THIRD_PARTY_NOTICES":
			if text, _ := io.ReadAll(r); !bytes.Contains(text, []byte("github.com/aws/aws-sdk-go-v2 v")) || !bytes.Contains(text, []byte("Redistribution and use")) {
				t.Error("the notices are not those of the program")
			}
		}
	})
	slices.Sort(files)
	if want := []string{"/etc/group", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/ko-app/" + program, "/usr/share/doc/lambdamesh/THIRD_PARTY_NOTICES"}; !slices.Equal(files, want) {
		t.Errorf("%s has %v, want %v", i.layout, files, want)
	}
}

func revision(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
