//go:build extra

package monitoring

import (
	"os/exec"
	"testing"
)

// TestPromtool: Prometheus's own tool takes the rules, and each alert does what it is
// there for.
func TestPromtool(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
