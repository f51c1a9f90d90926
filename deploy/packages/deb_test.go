//go:build release

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// TestDeb installs, runs, upgrades, removes and purges the deb of this machine's
// architecture, and does with it what the install page says, by testdata/deb.sh. It needs
// root, or sudo without a password.
func TestDeb(t *testing.T) {
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	consul, err := cache.Consul(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(page, []byte(strings.Join(commands(t, "Debian and Ubuntu"), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
		"sh", "testdata/deb.sh", find(t, "_"+runtime.GOARCH+".deb"), consul.Path, page,
	}
	if os.Geteuid() != 0 {
		args = append([]string{"sudo", "-n"}, args...)
	}
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.HasSuffix(string(out), "\nthe service has ended\nnothing is left\n") {
		t.Errorf("it did not come to its end:\n%s", out)
	}
}
