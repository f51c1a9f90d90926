// Package golden compares what a test made with files, and writes the files
// instead when the test runs with -update:
//
//	go test ./lambda/patch -update
//
// It is for tests alone. Files hold JSON in one fixed layout; certificates and
// keys in them are references to testdata/pki (see Message).
package golden

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them, and remove those that no test claims")

// Equal fails the test if the file does not hold got; with -update it writes it.
func Equal(t testing.TB, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (-update writes it)", err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s differs (-want +got; -update writes it):\n%s", file, cmp.Diff(string(want), string(got)))
	}
}

// Only fails the test if a file matches the pattern (filepath.Match) that is none
// of those claimed; with -update it removes such files.
func Only(t testing.TB, pattern string, claimed ...string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if slices.Contains(claimed, file) {
			continue
		}
		if !*update {
			t.Errorf("%s belongs to no test (-update removes it)", file)
		} else if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}
