//go:build extra

package terraform

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/lambdamesh/lambdamesh/internal/eventrules"
	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

func TestTerraform(t *testing.T) {
	w := newWorkbench(t)
	made := map[string]results{} // of the pinned version, by module
	for _, version := range []string{parts.OldestTerraform, parts.TerraformVersion} {
		for _, module := range modules(t) {
			t.Run(version+"/"+module, func(t *testing.T) {
				tf := w.in(t, version, module)
				tf.run("validate", "-no-color")
				made[module] = tf.test()
				if s := made[module].summary; s.Passed == 0 || s.Failed+s.Errored+s.Skipped > 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
	if t.Failed() {
		return
	}
	t.Run("format", func(t *testing.T) { w.in(t, parts.TerraformVersion, "").run("fmt", "-check", "-diff", "-recursive") })
	t.Run("messages", func(t *testing.T) {
		for module, results := range made {
			checkMessages(t, module, results)
		}
	})
	t.Run("mistakes", func(t *testing.T) { checkMistakes(t, w) })

	// What the modules make is what the code reads and calls.
	registrator, events := made["modules/lambda-registrator"], made["modules/lambda-events"]
	t.Run("patterns", func(t *testing.T) {
		var patterns []string
		for _, rule := range made["modules/event-rules"].state(t, "rules_to_a_target").values("aws_cloudwatch_event_rule") {
			if text, _ := rule["event_pattern"].(string); text != "" {
				patterns = append(patterns, text)
			}
		}
		eventrules.Check(t, eventbridge.NewFromConfig(testmesh.TestAWS(t, testmesh.AWSConfig{}).SDKConfig()), patterns...)
	})
	t.Run("actions", func(t *testing.T) { checkActions(t, registrator, events, made["examples/sqs"]) })
	t.Run("environment", func(t *testing.T) { checkEnvironment(t, registrator) })

	for _, version := range []string{parts.OldestTerraform, parts.TerraformVersion} {
		t.Run("page/"+version, func(t *testing.T) { checkPage(t, w, version) })
	}
	t.Run("linters", func(t *testing.T) { checkLinters(t, w) })
	t.Run("tables", checkTables)
	t.Run("versions", checkVersions)
}

// checkMistakes: what is wrong by the provider's schema is refused.
func checkMistakes(t *testing.T, w *workbench) {
	for name, test := range map[string]struct{ block, want string }{
		"an argument that is not there": {
			`resource "aws_sqs_queue" "wrong" { message_retention = 60 }`,
			`An argument named "message_retention" is not expected here.`,
		},
		"an argument that is missing": {
			`resource "aws_lambda_permission" "wrong" {
				action = "lambda:InvokeFunction"
				function_name = "f"
			}`,
			`The argument "principal" is required, but no definition was found.`,
		},
		"a value of another type": {
			`resource "aws_lambda_function" "wrong" {
				function_name = "f"
				role = "r"
				timeout = "soon"
			}`,
			`Inappropriate value for attribute "timeout": a number is required.`,
		},
		"a block that is not there": {
			`resource "aws_lambda_function" "wrong" {
				function_name = "f"
				role = "r"
				dead_letters {}
			}`,
			`Blocks of type "dead_letters" are not expected here.`,
		},
		"a block that is there twice": {
			`resource "aws_cloudwatch_event_target" "wrong" {
				arn = "a"
				rule = "r"
				dead_letter_config {}
				dead_letter_config {}
			}`,
			`No more than 1 "dead_letter_config" blocks are allowed`,
		},
		"an argument that can only be read": {
			`resource "aws_sqs_queue" "wrong" { arn = "a" }`,
			`"arn" can only be read.`,
		},
		"a result that is not there": {
			`output "wrong" { value = aws_sqs_queue.dead_letters.queue_arn }`,
			`This object has no argument, nested block, or exported attribute named "queue_arn".`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tf := w.in(t, parts.TerraformVersion, "modules/lambda-registrator")
			file := filepath.Join(tf.dir, "wrong.tf")
			if err := os.WriteFile(file, []byte(test.block+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = os.Remove(file) }()
			out, err := try(t, tf.dir, tf.env, tf.program, "validate", "-json")
			var found struct{ Diagnostics []diagnostic }
			if err := json.Unmarshal([]byte(out), &found); err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			found.Diagnostics = slices.DeleteFunc(found.Diagnostics, func(d diagnostic) bool { return d.Severity != "error" })
			if err == nil || len(found.Diagnostics) != 1 || !strings.Contains(found.Diagnostics[0].Detail, test.want) {
				t.Errorf("it says %+v, error %v, and not %q", found.Diagnostics, err, test.want)
			}
		})
	}
}
