//go:build extra

package terraform

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkLinters: checkov and tflint find nothing but what stands in the files as an
// exception, with its reason; and they find what is wrong. TFLINT is the program.
func checkLinters(t *testing.T, w *workbench) {
	checkov, err := w.cache.Checkov(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Abs(".tflint.hcl")
	if err != nil {
		t.Fatal(err)
	}
	wrong := t.TempDir()
	text := "variable \"unused\" {}\n\nresource \"aws_sqs_queue\" \"open\" {\n  sqs_managed_sse_enabled = false\n}\n"
	if err := os.WriteFile(filepath.Join(wrong, "main.tf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, linter := range map[string]struct {
		command []string
		finds   string // where it is wrong
	}{
		"checkov": {[]string{checkov.Path, "--directory", ".", "--framework", "terraform", "--skip-download", "--compact", "--quiet"}, "CKV_AWS_27"},
		"tflint":  {[]string{cmp.Or(os.Getenv("TFLINT"), "tflint"), "--config", config, "--recursive"}, "terraform_unused_declarations"},
	} {
		t.Run(name, func(t *testing.T) {
			execute(t, ".", nil, linter.command[0], linter.command[1:]...)
			if out, err := try(t, wrong, nil, linter.command[0], linter.command[1:]...); err == nil || !strings.Contains(out, linter.finds) {
				t.Errorf("where it is wrong it says %v, and not %s:\n%s", err, linter.finds, out)
			}
		})
	}
}
