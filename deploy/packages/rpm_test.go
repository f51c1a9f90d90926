//go:build release

package packages

import (
	"slices"
	"strings"
	"testing"
)

// TestRPM reads the rpms with rpm itself: what they bring with which rights, and what
// runs when.
func TestRPM(t *testing.T) {
	want := []string{
		"/etc/lambdamesh drwxr-x--- root lambdamesh",
		"/etc/lambdamesh/config.yaml -rw-r----- root lambdamesh",
		"/usr/bin/lambdamesh -rwxr-xr-x root root",
		"/usr/lib/systemd/system/lambdamesh.service -rw-r--r-- root root",
		"/usr/share/doc/lambdamesh/THIRD_PARTY_NOTICES -rw-r--r-- root root",
		"/usr/share/doc/lambdamesh/copyright -rw-r--r-- root root",
	}
	for _, suffix := range []string{".x86_64.rpm", ".aarch64.rpm"} {
		t.Run(suffix, func(t *testing.T) {
			rpm := find(t, suffix)
			query := func(args ...string) string {
				return command(t, ".", "rpm", append([]string{"--query", "--package", "--nosignature"}, append(args, rpm)...)...)
			}
			files := strings.Split(strings.TrimSpace(query("--queryformat", "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME}\n]")), "\n")
			slices.Sort(files)
			if !slices.Equal(files, want) {
				t.Errorf("it brings\n%s\nwant\n%s", strings.Join(files, "\n"), strings.Join(want, "\n"))
			}
			if got := strings.TrimSpace(query("--configfiles")); got != "/etc/lambdamesh/config.yaml" {
				t.Errorf("kept when changed: %s", got)
			}
			if got, want := query("--queryformat", "%{NAME} %{LICENSE} %{BUILDHOST}"), "lambdamesh Apache-2.0 localhost"; got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
			scripts := query("--scripts")
			for _, want := range []string{"useradd --system", "systemctl try-restart", "systemctl disable --now"} {
				if !strings.Contains(scripts, want) {
					t.Errorf("no script says %q", want)
				}
			}
		})
	}
}
