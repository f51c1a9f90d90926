//go:build extra

package terraform

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/registrator"
)

// checkActions: the program may call what it calls, and nothing else.
func checkActions(t *testing.T, registratorRuns, eventsRuns, exampleRuns results) {
	reads := append(actions(reflect.TypeFor[registrator.TaggingAPI]()), actions(reflect.TypeFor[registrator.LambdaAPI]())...)

	// Of AWS Lambda, with the function's role.
	platform := []string{"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
	secrets := []string{"kms:Decrypt"} // which Parameter Store calls, with the function's role
	for _, name := range methods(t, "../../cmd/lambda-registrator/secrets.go", "parameterStore") {
		secrets = append(secrets, "ssm:"+name)
	}
	for run, more := range map[string][]string{"defaults": nil, "everything": secrets} {
		got := allowed(t, registratorRuns.state(t, run), "aws_iam_role_policy")
		if diff := cmp.Diff(slices.Sorted(slices.Values(slices.Concat(reads, platform, more))), got); diff != "" {
			t.Errorf("the function in run %s:\n%s", run, diff)
		}
	}

	queue := actions(reflect.TypeFor[registrator.QueueAPI]())
	if diff := cmp.Diff(queue, allowed(t, eventsRuns.state(t, "rules_to_queue"), "aws_iam_policy")); diff != "" {
		t.Errorf("the queue's reader:\n%s", diff)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(reads)), allowed(t, exampleRuns.state(t, "it_can_be_made"), "aws_iam_role_policy")); diff != "" {
		t.Errorf("the registrator of the example:\n%s", diff)
	}
}

// prefixes are those of IAM's actions, by the packages of the SDK.
var prefixes = map[string]string{"lambda": "lambda", "resourcegroupstaggingapi": "tag", "sqs": "sqs"}

// actions are what IAM calls the methods of an interface, in order.
func actions(client reflect.Type) []string {
	var found []string
	for method := range client.Methods() {
		// A batch is the right to do one.
		name := strings.TrimSuffix(method.Name, "Batch")
		found = append(found, prefixes[path.Base(method.Type.In(1).Elem().PkgPath())]+":"+name)
	}
	slices.Sort(found)
	return found
}

// methods are those of an interface in a file of Go.
func methods(t *testing.T, file, name string) []string {
	t.Helper()
	var found []string
	inspect(t, file, func(n ast.Node) {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return
		}
		for _, method := range spec.Type.(*ast.InterfaceType).Methods.List {
			found = append(found, method.Names[0].Name)
		}
	})
	if len(found) == 0 {
		t.Fatalf("%s has no interface %s", file, name)
	}
	return found
}

func inspect(t *testing.T, file string, see func(ast.Node)) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool { see(n); return true })
}

// allowed are the actions that the policies of a kind allow, in order.
func allowed(t *testing.T, made module, kind string) []string {
	t.Helper()
	var found []string
	for _, values := range made.values(kind) {
		var policy struct {
			Statement []struct {
				Effect string
				Action []string
			}
		}
		if err := json.Unmarshal([]byte(values["policy"].(string)), &policy); err != nil {
			t.Fatal(err)
		}
		for _, s := range policy.Statement {
			if s.Effect == "Allow" {
				found = append(found, s.Action...)
			}
		}
	}
	slices.Sort(found)
	return found
}
