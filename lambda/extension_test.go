package lambda

import (
	"strings"
	"testing"
)

func TestFromExtension(t *testing.T) {
	const text = "arn:aws:lambda:eu-central-1:123456789012:function:f:prod"
	arn, err := ParseARN(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		arguments map[string]any
		want      Function
		mistakes  []string // a part of each
	}{
		"the least": {arguments: map[string]any{"ARN": text}, want: Function{ARN: arn}},
		"as in Consul's document": {
			arguments: map[string]any{"ARN": text, "InvocationMode": "asynchronous", "PayloadPassthrough": true},
			want:      Function{ARN: arn, Asynchronous: true, PayloadPassthrough: true},
		},
		"as Consul's registrator writes it": {
			arguments: map[string]any{"arn": text, "invocationMode": "ASYNCHRONOUS", "payloadPassthrough": true},
			want:      Function{ARN: arn, Asynchronous: true, PayloadPassthrough: true},
		},
		"defaults written out": {
			arguments: map[string]any{"arn": text, "invocationMode": "SYNCHRONOUS", "payloadPassthrough": false},
			want:      Function{ARN: arn},
		},
		"no mode, written out": {arguments: map[string]any{"arn": text, "invocationMode": ""}, want: Function{ARN: arn}},
		"nothing, written out": {arguments: map[string]any{"arn": text, "payloadPassthrough": nil}, want: Function{ARN: arn}},
		"a flag as text":       {arguments: map[string]any{"ARN": text, "PayloadPassthrough": "true"}, want: Function{ARN: arn, PayloadPassthrough: true}},
		"a name nobody knows":  {arguments: map[string]any{"ARN": text, "Region": "us-east-1"}, want: Function{ARN: arn}},
		"the exact name goes first": {
			arguments: map[string]any{"ARN": text, "arn": "x"}, want: Function{ARN: arn},
		},
		"nothing":           {mistakes: []string{"svc: EnvoyExtensions builtin/aws/lambda ARN: missing"}},
		"an empty ARN":      {arguments: map[string]any{"ARN": ""}, mistakes: []string{"ARN: not the ARN"}},
		"no ARN":            {arguments: map[string]any{"ARN": "x"}, mistakes: []string{`ARN = "x": not the ARN`}},
		"another service's": {arguments: map[string]any{"ARN": "arn:aws:s3:::bucket"}, mistakes: []string{"not the ARN"}},
		"a number":          {arguments: map[string]any{"ARN": 7.0}, mistakes: []string{"ARN: neither text"}},
		"a number for a mode": {
			arguments: map[string]any{"ARN": text, "InvocationMode": 7.0}, mistakes: []string{"InvocationMode: neither text"},
		},
		"a list": {arguments: map[string]any{"ARN": []any{text}}, mistakes: []string{"ARN: neither text"}},
		"all wrong": {
			arguments: map[string]any{"arn": true, "invocationMode": "later", "payloadPassthrough": "perhaps"},
			mistakes:  []string{`arn = "true"`, `invocationMode = "later": neither SYNCHRONOUS`, `payloadPassthrough = "perhaps"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromExtension("svc", test.arguments)
			mistakes := Mistakes(err)
			if len(mistakes) != len(test.mistakes) {
				t.Fatalf("mistakes %v, want %q", mistakes, test.mistakes)
			}
			for i, part := range test.mistakes {
				if !strings.Contains(mistakes[i].Error(), part) {
					t.Errorf("mistake %q does not say %q", mistakes[i], part)
				}
			}
			if err == nil && got != test.want {
				t.Errorf("read %+v, want %+v", got, test.want)
			}
		})
	}
}
