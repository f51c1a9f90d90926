//go:build extra

package sam

import (
	"os"
	"os/exec"
	"testing"
)

// TestSAMLint: AWS's own tools take the template.
func TestSAMLint(t *testing.T) {
	for _, args := range [][]string{
		{"cfn-lint", "--non-zero-exit-code", "informational", "template.yaml"},
		{"sam", "validate", "--lint", "--template-file", "template.yaml"},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1", "SAM_CLI_TELEMETRY=0", "HOME="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}
