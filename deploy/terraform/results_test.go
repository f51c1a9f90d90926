//go:build extra

package terraform

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// results are what "terraform test" says.
type results struct {
	summary  struct{ Passed, Failed, Errored, Skipped int }
	states   map[string]module       // by the name of the run
	refusals map[string][]diagnostic // what was refused, by the name of the run
}

type diagnostic struct{ Severity, Summary, Detail string }

// module is a part of a state.
type module struct {
	Resources []struct {
		Type, Name string
		Values     map[string]any
	}
	Children []module `json:"child_modules"`
}

// test runs the module's tests. It does not fail the test if they fail.
func (tf *terraform) test() results {
	tf.t.Helper()
	out, err := try(tf.t, tf.dir, tf.env, tf.program, "test", "-json", "-verbose")
	found := results{states: map[string]module{}, refusals: map[string][]diagnostic{}}
	for line := range strings.Lines(out) {
		var message struct {
			Type       string
			Run        string `json:"@testrun"`
			Diagnostic diagnostic
			State      struct {
				Root module `json:"root_module"`
			} `json:"test_state"`
			Summary *struct{ Passed, Failed, Errored, Skipped int } `json:"test_summary"`
		}
		if err := json.Unmarshal([]byte(line), &message); err != nil {
			tf.t.Fatalf("%v:\n%s", err, out)
		}
		switch message.Type {
		case "test_state":
			found.states[message.Run] = message.State.Root
		case "diagnostic":
			if message.Diagnostic.Severity != "error" {
				continue // that the provider is another one than the real
			}
			found.refusals[message.Run] = append(found.refusals[message.Run], message.Diagnostic)
			if err != nil {
				tf.t.Logf("%s: %+v", message.Run, message.Diagnostic)
			}
		case "test_summary":
			found.summary = *message.Summary
		}
	}
	return found
}

func (r results) state(t *testing.T, run string) module {
	t.Helper()
	found, ok := r.states[run]
	if !ok {
		t.Fatalf("there is no run %s", run)
	}
	return found
}

// values are those of all resources of a type, in the module and its children.
func (m module) values(kind string) []map[string]any {
	var found []map[string]any
	for _, r := range m.Resources {
		if r.Type == kind {
			found = append(found, r.Values)
		}
	}
	for _, child := range m.Children {
		found = append(found, child.values(kind)...)
	}
	return found
}

var message = regexp.MustCompile(`(?m)^ +error_message = "(.*)"$`)

// checkMessages: each validation of a module's variables refuses something in a test,
// in words that begin with the variable's name.
func checkMessages(t *testing.T, module string, got results) {
	text, err := os.ReadFile(filepath.Join(module, "variables.tf"))
	if err != nil {
		return // of an example
	}
	var said []string
	for run, refusals := range got.refusals {
		if len(refusals) != 1 {
			t.Errorf("%s is refused for %d reasons: %+v", run, len(refusals), refusals)
		}
		for _, r := range refusals {
			words, _, _ := strings.Cut(r.Detail, "\n")
			said = append(said, words)
		}
	}
	for _, found := range message.FindAllStringSubmatch(string(text), -1) {
		words := strings.ReplaceAll(found[1], `\"`, `"`)
		name, _, ok := strings.Cut(words, ": ")
		name, _, _ = strings.Cut(name, " ")
		if !ok || !strings.Contains(string(text), "variable \""+name+"\" {") {
			t.Errorf("these words do not begin with a variable: %s", words)
		}
		if !slices.Contains(said, words) {
			t.Errorf("no test is refused with: %s", words)
		}
	}
}
