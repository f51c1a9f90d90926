//go:build extra

package terraform

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/registrator"
)

// object is one of JSON's.
type object = map[string]any

// checkPatterns: of all calls of Lambda's API, under all names that CloudTrail may give
// them, and of changes of tags, the rules pass on those that a registrator looks at, and
// no others.
func checkPatterns(t *testing.T, made module) {
	var patterns []object
	for _, rule := range made.values("aws_cloudwatch_event_rule") {
		if text, _ := rule["event_pattern"].(string); text != "" {
			var pattern object
			if err := json.Unmarshal([]byte(text), &pattern); err != nil {
				t.Fatal(err)
			}
			patterns = append(patterns, pattern)
		}
	}
	events := slices.Concat(calls(), tagChanges())
	looks := 0
	for _, event := range events {
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := registrator.ParseEvent(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		passed := slices.ContainsFunc(patterns, func(pattern object) bool { return matches(t, pattern, event) })
		if look := parsed.Kind == registrator.EventLook; look != passed {
			t.Errorf("a registrator looks: %t; the rules pass it on: %t: %v", look, passed, event["detail"])
		} else if look {
			looks++
		}
	}
	if looks == 0 || looks == len(events) {
		t.Errorf("%d of %d events are looked at: that proves nothing", looks, len(events))
	}
}

// calls are events of all calls that the SDK can make, and of some that failed or are
// another service's.
func calls() []object {
	var found []object
	client := reflect.TypeFor[*awslambda.Client]()
	for method := range client.Methods() {
		if method.Type.NumIn() < 3 || !strings.HasSuffix(method.Type.In(2).String(), "Input") {
			continue
		}
		for _, suffix := range []string{"", "20141111", "20150331", "20150331v2", "20170331", "20170331v2", "20181031", "20200630", "20211031"} {
			found = append(found, call(method.Name+suffix, nil))
		}
	}
	return append(found,
		call("CreateFunction20150331", object{"errorCode": "AccessDenied"}),
		call("TagResource20170331v2", object{"errorCode": "ResourceNotFoundException"}),
		call("TagResource", object{"eventSource": "ecs.amazonaws.com"}),
	)
}

func call(name string, more object) object {
	detail := object{
		"eventSource": "lambda.amazonaws.com", "eventName": name,
		"requestParameters": object{"functionName": "hello"},
	}
	maps.Copy(detail, more)
	return object{
		"source": "aws.lambda", "detail-type": "AWS API Call via CloudTrail",
		"account": "123456789012", "region": "us-east-1", "detail": detail,
	}
}

func tagChanges() []object {
	var found []object
	for _, keys := range [][]any{
		{lambda.Prefix + lambda.KeyEnabled},
		{"team", lambda.Prefix + "aliases"},
		{lambda.EnabledTags()[1]},
		{"team"},
		{"serverless.consul.hashicorp.com/other"},
	} {
		for _, kind := range [][2]string{{"lambda", "function"}, {"lambda", "event-source-mapping"}, {"ec2", "instance"}} {
			found = append(found, object{
				"source": "aws.tag", "detail-type": "Tag Change on Resource",
				"resources": []any{"arn:aws:lambda:us-east-1:123456789012:function:hello"},
				"detail":    object{"service": kind[0], "resource-type": kind[1], "changed-tag-keys": keys},
			})
		}
	}
	return found
}

// matches is a fake of EventBridge's matching, as far as the rules use it: every field
// of the pattern must match, by one of its alternatives and one of the event's values.
func matches(t *testing.T, pattern, event object) bool {
	for field, want := range pattern {
		got, there := event[field]
		switch want := want.(type) {
		case object:
			inner, _ := got.(object)
			if !matches(t, want, inner) {
				return false
			}
		case []any:
			values, isList := got.([]any)
			if !isList && there {
				values = []any{got}
			}
			if !slices.ContainsFunc(want, func(alternative any) bool { return matchesOne(t, alternative, values) }) {
				return false
			}
		default:
			t.Fatalf("EventBridge refuses %v in %s", want, field)
		}
	}
	return true
}

func matchesOne(t *testing.T, alternative any, values []any) bool {
	content, ok := alternative.(object)
	if !ok {
		return slices.Contains(values, alternative)
	}
	if exists, ok := content["exists"].(bool); ok && len(content) == 1 {
		return exists == (len(values) > 0)
	}
	prefix, ok := content["prefix"].(string)
	if !ok || len(content) != 1 {
		t.Fatalf("this test does not know %v", content)
	}
	return slices.ContainsFunc(values, func(v any) bool {
		text, _ := v.(string)
		return strings.HasPrefix(text, prefix)
	})
}

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

// checkEnvironment: the environment that the function gets has each variable that the
// program reads, and no others, and the program starts with it.
func checkEnvironment(t *testing.T, runs results) {
	read := []string{api.HTTPAddrEnvName} // by Consul's client
	inspect(t, "../../cmd/lambda-registrator/settings.go", func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "env" || len(call.Args) != 1 {
			return
		}
		variable, err := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, variable)
	})
	// It is read to be refused.
	read = slices.DeleteFunc(read, func(name string) bool { return name == "CONSUL_EXTENSION_DATA_PREFIX" })
	slices.Sort(read)
	if diff := cmp.Diff(read, slices.Sorted(maps.Keys(environment(runs.state(t, "everything"))))); diff != "" {
		t.Errorf("read, and given when everything is:\n%s", diff)
	}

	program := filepath.Join(t.TempDir(), "bootstrap")
	execute(t, "../..", nil, "go", "build", "-tags", "lambda.norpc", "-o", program, "./cmd/lambda-registrator")
	for _, run := range []string{"defaults", "names_of_the_documentation", "everything"} {
		t.Run(run, func(t *testing.T) { start(t, program, environment(runs.state(t, run))) })
	}
}

func environment(made module) object {
	block := made.values("aws_lambda_function")[0]["environment"].([]any)[0]
	return block.(object)["variables"].(object)
}

// start starts the program as AWS Lambda does, and waits until it asks for its first
// invocation: then it has taken its settings.
func start(t *testing.T, program string, variables object) {
	asked := make(chan string, 1)
	runtime := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.URL.Path:
		default:
		}
		<-r.Context().Done()
	}))
	defer runtime.Close()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = []string{"AWS_REGION=us-east-1", "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(runtime.URL, "http://"), "HOME=" + os.DevNull}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value.(string))
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	got := ""
	select {
	case got = <-asked:
	case <-ended:
	case <-time.After(5 * time.Second):
	}
	_ = cmd.Process.Kill()
	<-ended
	if got != "/2018-06-01/runtime/invocation/next" {
		t.Errorf("it asks for %q, and says:\n%s", got, log.String())
	}
}
