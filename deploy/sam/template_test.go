// Package sam holds the registrator's SAM template, and its tests. That it works, e2e
// shows (TestSAMTemplate).
package sam

import (
	"maps"
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

// TestPolicyIsTheDocumentedOne: the role may do what docs/registrator.md says that the
// registrator does with it, but for what it does in other places (queues, other accounts).
func TestPolicyIsTheDocumentedOne(t *testing.T) {
	_, role, found := strings.Cut(read(t, "template.yaml"), "\n  Role:\n")
	if !found {
		t.Fatal("the template has no role")
	}
	role, _, _ = strings.Cut(role, "\n  LogGroup:\n")
	role = regexp.MustCompile(`"[a-z]+:[\w:]+":`).ReplaceAllString(role, "") // keys of conditions
	_, section, _ := strings.Cut(read(t, "../../docs/registrator.md"), "\n## IAM policy\n")
	section, _, _ = strings.Cut(section, "\n## ")
	actions := func(text string) []string {
		all := map[string]bool{}
		for _, action := range regexp.MustCompile(`\b(tag|lambda|ssm|kms):[A-Z]\w+`).FindAllString(text, -1) {
			all[action] = true
		}
		return slices.Sorted(maps.Keys(all))
	}
	if got, want := actions(role), actions(section); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the role may %v, the page says %v", got, want)
	}
}
