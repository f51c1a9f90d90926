package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// monitored: every expression of the alert rules and of the dashboard asks for metrics
// that a running server has.
func (s *story) monitored(t *testing.T) {
	root, err := testmesh.SourceRoot()
	s.must(err)
	page, err := s.Lambdamesh.Admin(s.ctx, "/metrics")
	s.must(err)
	there := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (\w+) `).FindAllSubmatch(page, -1) {
		there[string(match[1])] = true
	}
	asked := regexp.MustCompile(`\b(lambdamesh|process|go)_[a-z_]+`)
	for _, file := range []string{"alerts.yaml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(root, "deploy", "monitoring", file))
		s.must(err)
		found := asked.FindAllString(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s asks for nothing", file)
		}
		for _, name := range found {
			if !there[name] {
				t.Errorf("%s asks for %s, which is not there", file, name)
			}
		}
	}
}
