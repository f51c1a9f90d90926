// Package eventrules holds EventBridge's rules, of whoever makes them, against what a
// registrator reads. It is a part of tests.
package eventrules

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/registrator"
)

// object is one of JSON's.
type object = map[string]any

// Check fails a test unless of all calls of Lambda's API, under all names that CloudTrail
// may give them, and of changes of tags, the patterns pass on those that a registrator
// looks at, and no others. The client's EventBridge, of an emulator, does the matching.
func Check(t testing.TB, client *eventbridge.Client, patterns ...string) {
	t.Helper()
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
		passed := slices.ContainsFunc(patterns, func(pattern string) bool {
			out, err := client.TestEventPattern(t.Context(), &eventbridge.TestEventPatternInput{EventPattern: &pattern, Event: aws.String(string(text))})
			if err != nil {
				t.Fatalf("%s: %v", pattern, err)
			}
			return out.Result
		})
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
	for method := range reflect.TypeFor[*awslambda.Client]().Methods() {
		if method.Type.NumIn() < 3 || !strings.HasSuffix(method.Type.In(2).String(), "Input") {
			continue
		}
		for _, suffix := range []string{"", "20150331", "20150331v2", "20170331v2", "20211031"} {
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
	return event("aws.lambda", "AWS API Call via CloudTrail", detail)
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
			found = append(found, event("aws.tag", "Tag Change on Resource",
				object{"service": kind[0], "resource-type": kind[1], "changed-tag-keys": keys}))
		}
	}
	return found
}

func event(source, kind string, detail object) object {
	return object{
		"id": "1", "version": "0", "time": "2026-01-01T00:00:00Z", "account": "123456789012", "region": "us-east-1",
		"resources": []any{"arn:aws:lambda:us-east-1:123456789012:function:hello"},
		"source":    source, "detail-type": kind, "detail": detail,
	}
}
