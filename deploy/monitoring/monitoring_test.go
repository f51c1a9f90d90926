// Package monitoring holds what Prometheus and Grafana need of lambdamesh, and its
// tests.
package monitoring

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// alerts are the names of all alerts.
func alerts(t *testing.T) (names []string) {
	t.Helper()
	for _, match := range regexp.MustCompile(`(?m)^\s+- alert: (\w+)$`).FindAllStringSubmatch(read(t, "alerts.yaml"), -1) {
		names = append(names, match[1])
	}
	if len(names) == 0 {
		t.Fatal("there are no alerts")
	}
	return names
}

// TestEachAlertHasARunbookEntry: and the runbook has no other.
func TestEachAlertHasARunbookEntry(t *testing.T) {
	var entries []string
	for _, match := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(read(t, "../../docs/runbook.md"), -1) {
		entries = append(entries, match[1])
	}
	names := alerts(t)
	if !slices.Equal(entries, names) {
		t.Errorf("the runbook is about %v, the alerts are %v", entries, names)
	}
	rules := read(t, "alerts.yaml")
	for _, name := range names {
		if !strings.Contains(rules, "runbook: docs/runbook.md#"+strings.ToLower(name)) {
			t.Errorf("%s does not lead to its entry", name)
		}
	}
}

// TestEachAlertIsTested: firing, and silent.
func TestEachAlertIsTested(t *testing.T) {
	tests := read(t, "alerts_test.yaml")
	for _, name := range alerts(t) {
		if !strings.Contains(tests, "- {eval_time: 50m, alertname: "+name+"}") || !strings.Contains(tests, "alertname: "+name+"\n        exp_alerts:\n          - exp_labels") {
			t.Errorf("%s is not seen both to fire and to be silent", name)
		}
	}
}

// TestDashboard: Grafana can read it, and every panel asks for something.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		if len(panel.Targets) == 0 {
			t.Errorf("%s is empty", panel.Title)
		}
		for _, target := range panel.Targets {
			if !strings.Contains(target.Expr, "$instance") {
				t.Errorf("%s does not heed the instance chosen: %s", panel.Title, target.Expr)
			}
		}
	}
}
