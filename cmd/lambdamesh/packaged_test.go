package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestPackagedConfig: the configuration that the packages install is accepted as it is,
// and with every line in it that is to be uncommented.
func TestPackagedConfig(t *testing.T) {
	clean(t)
	const packaged = "../../deploy/packages/config.yaml"
	text, err := os.ReadFile(packaged)
	if err != nil {
		t.Fatal(err)
	}
	setting := regexp.MustCompile(`(?m)^#([a-z-]+: )`)
	if !setting.Match(text) {
		t.Fatal("nothing in it is to be uncommented")
	}
	whole := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(whole, setting.ReplaceAll(text, []byte("$1")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{packaged, whole} {
		if code, _, stderr := invoke(t, nil, "config", "check", "--config", file); code != 0 {
			t.Errorf("%s: %d, %s", file, code, stderr)
		}
	}
}
