package registrator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

const tagChange = `{
	"version": "0", "id": "b3a1", "detail-type": "Tag Change on Resource", "source": "aws.tag",
	"account": "123456789012", "time": "2026-11-22T10:00:00Z", "region": "us-east-1",
	"resources": ["%s"],
	"detail": {"changed-tag-keys": ["%s"], "service": "%s", "resource-type": "%s", "version": 3, "tags": {}}}`

const (
	helloARN   = "arn:aws:lambda:us-east-1:123456789012:function:hello"
	enabledKey = lambda.Prefix + lambda.KeyEnabled
)

func TestEventsThatSayWhereToLook(t *testing.T) {
	events := map[string]string{
		"tag change": fmt.Sprintf(tagChange, helloARN, enabledKey, "lambda", "function"),
		"both prefixes": fmt.Sprintf(tagChange, helloARN,
			"serverless.consul.hashicorp.com/alpha/lambda/payload-passthrough", "lambda", "function"),
		"tagged":                        CloudTrail("TagResource20170331v2", `{"resource": "`+helloARN+`", "tags": {"team": "a", "`+enabledKey+`": "true"}}`),
		"untagged":                      CloudTrail("UntagResource20170331v2", `{"resource": "`+helloARN+`", "tagKeys": ["`+enabledKey+`"]}`),
		"tags of which nothing is said": CloudTrail("TagResource20170331v2", `{"resource": "`+helloARN+`"}`),
		"created, with its ARN": CloudTrail("CreateFunction20150331", `{"functionName": "other"}`,
			`"responseElements": {"functionName": "hello", "functionArn": "`+helloARN+`:1"}`),
		"no caller with an ARN": strings.Replace(CloudTrail("DeleteFunction20150331", `{"functionName": "hello"}`),
			`"arn": "arn:aws:sts::123456789012:assumed-role/deploy/me"`, `"invokedBy": "cloudformation.amazonaws.com"`, 1),
	}
	for _, name := range []string{
		"CreateFunction20150331", "CreateFunction20141111", "CreateFunction",
		"DeleteFunction20150331", "DeleteFunction",
		"UpdateFunctionConfiguration20150331v2", "UpdateFunctionConfiguration20150331", "UpdateFunctionConfiguration",
		"CreateAlias20150331", "CreateAlias", "UpdateAlias20150331", "UpdateAlias", "DeleteAlias20150331", "DeleteAlias",
		"CreateFunctionUrlConfig20211031", "CreateFunctionUrlConfig", "DeleteFunctionUrlConfig20211031", "DeleteFunctionUrlConfig",
	} {
		events[name] = CloudTrail(name, `{"functionName": "hello", "name": "blue"}`)
	}
	for _, name := range []string{"TagResource20170331v2", "TagResource20170331", "TagResource", "UntagResource20170331v2", "UntagResource"} {
		events[name] = CloudTrail(name, `{"resource": "`+helloARN+`"}`)
	}
	for _, form := range []string{
		"hello", "hello:blue", "hello:$LATEST", "function:hello", "123456789012:function:hello", "123456789012:function:hello:blue",
		"us-east-1:123456789012:function:hello", helloARN, helloARN + ":blue",
	} {
		events["by the name "+form] = CloudTrail("DeleteFunction20150331", `{"functionName": "`+form+`"}`)
	}
	for name, text := range events {
		event, err := ParseEvent([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := fmt.Sprintf("%s %s", event.Kind, event.Functions); got != "look ["+helloARN+"]" {
			t.Errorf("%s: %s (%s)", name, got, event.Reason)
		}
		if want := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC); !event.At.Equal(want) {
			t.Errorf("%s: it happened at %s", name, event.At)
		}
	}
}

func TestEventsOfOtherPlaces(t *testing.T) {
	chinese := strings.NewReplacer("arn:aws:", "arn:aws-cn:", "us-east-1", "cn-north-1").Replace(CloudTrail("CreateAlias20150331", `{"functionName": "hello"}`))
	for text, want := range map[string]string{
		chinese: "arn:aws-cn:lambda:cn-north-1:123456789012:function:hello",
		// Of another account's function, which is named by its ARN alone.
		CloudTrail("TagResource20170331v2", `{"resource": "arn:aws:lambda:eu-west-1:999999999999:function:f"}`): "arn:aws:lambda:eu-west-1:999999999999:function:f",
	} {
		event, err := ParseEvent([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, event.Functions[0].String()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEventsThatAreNothing(t *testing.T) {
	for text, reason := range map[string]string{
		`{"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {}}`:                             `"EC2 Instance State-change Notification" of "aws.ec2" is nothing`,
		CloudTrail("TagResource20170331v2", `{"resource": "`+helloARN+`"}`, `"errorCode": "AccessDenied"`, `"errorMessage": "no"`): "TagResource failed (AccessDenied)",
		CloudTrail("DeleteFunction20150331", `null`, `"errorCode": "ResourceNotFoundException"`):                                   "DeleteFunction failed",
		CloudTrail("PublishVersion20150331", `{"functionName": "hello"}`):                                                          "PublishVersion changes nothing",
		CloudTrail("UpdateFunctionCode20150331v2", `{"functionName": "hello"}`):                                                    "UpdateFunctionCode changes nothing",
		CloudTrail("TagResource20170331v2", `{"resource": "`+helloARN+`", "tags": {"team": "a"}}`):                                 "tags of others",
		CloudTrail("UntagResource20170331v2", `{"resource": "`+helloARN+`", "tagKeys": ["team"]}`):                                 "tags of others",
		CloudTrail("TagResource20170331v2", `{"resource": "arn:aws:lambda:us-east-1:123456789012:event-source-mapping:7"}`):        "another thing than a function",
		fmt.Sprintf(tagChange, "arn:aws:s3:::b", enabledKey, "s3", "bucket"):                                                       "of s3",
		fmt.Sprintf(tagChange, helloARN, "team", "lambda", "function"):                                                             "of others",
	} {
		event, err := ParseEvent([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", reason, err)
			continue
		}
		if event.Kind != EventNothing || !strings.Contains(event.Reason, reason) || len(event.Functions) > 0 {
			t.Errorf("%s: %s, %q", reason, event.Kind, event.Reason)
		}
	}
}

func TestScheduleEvents(t *testing.T) {
	for _, source := range []string{"aws.events", "aws.scheduler"} {
		event, err := ParseEvent([]byte(`{"detail-type": "Scheduled Event", "source": "` + source + `", "detail": {}, "resources": ["arn:aws:events:us-east-1:123456789012:rule/sync"]}`))
		if err != nil || event.Kind != EventSync {
			t.Errorf("%s: %+v, %v", source, event, err)
		}
	}
}

func TestEventsThatCannotBeRead(t *testing.T) {
	for text, reason := range map[string]string{
		``:       "no event of EventBridge",
		`[]`:     "no event of EventBridge",
		`{}`:     "it has no detail-type",
		`"text"`: "no event of EventBridge",
		`{"detail-type": "AWS API Call via CloudTrail", "source": "aws.lambda"}`:                                  "unexpected end",
		`{"detail-type": "AWS API Call via CloudTrail", "source": "aws.lambda", "detail": null}`:                  "it names no call",
		`{"detail-type": "AWS API Call via CloudTrail", "source": "aws.lambda", "detail": 7}`:                     "cannot unmarshal number",
		CloudTrail("TagResource20170331v2", `null`):                                                               "TagResource names no function",
		CloudTrail("DeleteFunction20150331", `{}`):                                                                "DeleteFunction names no function",
		CloudTrail("DeleteFunction20150331", `{"functionName": "a/b"}`):                                           `"a/b" is no function name`,
		CloudTrail("DeleteFunction20150331", `{"functionName": "a:b:c:d"}`):                                       `"a:b:c:d" is not the name of a function`,
		strings.ReplaceAll(CloudTrail("DeleteFunction20150331", `{"functionName": "hello"}`), "123456789012", ""): `"" is no account`,
		fmt.Sprintf(tagChange, "arn:aws:lambda", enabledKey, "lambda", "function"):                                "not the ARN of a Lambda function",
		strings.Replace(fmt.Sprintf(tagChange, "", enabledKey, "lambda", "function"), `""`, ``, 1):                "it names no function",
	} {
		event, err := ParseEvent([]byte(text))
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %+v, %v", text, event, err)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(CloudTrail("TagResource20170331v2", `{"resource": "`+helloARN+`"}`)))
	f.Add([]byte(CloudTrail("DeleteFunction20150331", `{"functionName": "123456789012:function:hello:blue"}`)))
	f.Add([]byte(fmt.Sprintf(tagChange, helloARN, enabledKey, "lambda", "function")))
	f.Add([]byte(`{"detail-type": "Scheduled Event", "source": "aws.events"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		event, err := ParseEvent(data)
		switch {
		case err != nil:
			if event.Kind != "" {
				t.Errorf("an error, and %s", event.Kind)
			}
			return
		case !json.Valid(data):
			t.Error("no JSON, and no error")
		case (event.Kind == EventLook) != (len(event.Functions) > 0), (event.Kind == EventNothing) != (event.Reason != ""):
			t.Errorf("%+v", event)
		}
		for _, arn := range event.Functions {
			if again, err := lambda.ParseARN(arn.String()); err != nil || again != arn || arn.Qualifier != "" {
				t.Errorf("%q: %v", arn, err)
			}
		}
	})
}
