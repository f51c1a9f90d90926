package main

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTranscript: docs/demo.txt shows the steps that there are.
// "scripts/demo-check.sh --update" writes it anew.
func TestTranscript(t *testing.T) {
	text, err := os.ReadFile("../../docs/demo.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, m := range regexp.MustCompile(`(?m)^== +(\d+/\d+)  (.*?) =+ +N\.N s$`).FindAllSubmatch(text, -1) {
		got = append(got, fmt.Sprintf("%s %s", m[1], m[2]))
	}
	all := steps()
	for i, s := range all {
		want = append(want, fmt.Sprintf("%d/%d %s", i+1, len(all), s.title))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the headlines differ (-steps +docs/demo.txt):\n%s", diff)
	}
}
