package testmesh

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentedRules: the ACL rules that tests run with are those that people are told
// to write.
func TestDocumentedRules(t *testing.T) {
	for _, test := range []struct {
		page, rules string
		whole       bool // the page's first policy has no other rules
	}{
		{"install.md", ReadMesh, true},
		{"registrator.md", LambdameshRules, false},
	} {
		root, err := SourceRoot()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(root, "docs", test.page))
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(text), "```hcl\n")
		policy, _, _ := strings.Cut(after, "```")
		told, used := rulesOf(policy), rulesOf(test.rules)
		for _, rule := range used {
			if !slices.Contains(told, rule) {
				t.Errorf("docs/%s does not tell to write %s", test.page, rule)
			}
		}
		if test.whole && len(told) != len(used) {
			t.Errorf("docs/%s tells to write %v, and %v is used", test.page, told, used)
		}
	}
}

// rulesOf are a policy's lines without comments and with single blanks.
func rulesOf(policy string) (rules []string) {
	blanks := regexp.MustCompile(`\s+`)
	for line := range strings.Lines(policy) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(blanks.ReplaceAllString(line, " ")); line != "" {
			rules = append(rules, line)
		}
	}
	return rules
}
