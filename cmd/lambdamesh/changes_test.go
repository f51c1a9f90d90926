package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lambdamesh/lambdamesh/internal/logs"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// A service that becomes another one is one line, from what to what; one whose callers
// alone differ is none.
func TestChangesOfServices(t *testing.T) {
	arn := func(name string) lambda.ARN {
		parsed, err := lambda.ParseARN("arn:aws:lambda:eu-west-1:123456789012:function:" + name)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	ok := func(name, function string) lambda.Service {
		return lambda.Service{Name: lambda.NewServiceName(name, "", ""), State: lambda.StateOK, Function: lambda.Function{ARN: arn(function)}}
	}
	mistaken := ok("a", "f")
	mistaken.State, mistaken.Errors = lambda.StateError, []string{"retries: 99 is too many"}
	fronted := ok("a", "f")
	fronted.Fronted = true
	slow := ok("a", "f")
	slow.Function.Retries = 3
	const a = `service=a was=`
	const at = ` arn=arn:aws:lambda:eu-west-1:123456789012:function:f region=eu-west-1`
	for name, test := range map[string]struct {
		was, is *lambda.Table
		want    []string
	}{
		"the first": {nil, lambda.NewTable(ok("a", "f"), ok("b", "g")), nil},
		"a mistake in the first": {
			nil, lambda.NewTable(mistaken),
			[]string{"level=WARN " + a + "absent is=error" + at + ` errors="[retries: 99 is too many]"`},
		},
		"none": {lambda.NewTable(ok("a", "f")), lambda.NewTable(ok("a", "f")), nil},
		"two came, one went": {
			lambda.NewTable(ok("c", "f")), lambda.NewTable(ok("b", "f"), ok("a", "f")),
			[]string{"level=INFO " + a + "absent is=ok" + at, "level=INFO service=b was=absent is=ok" + at, "level=INFO service=c was=ok is=absent" + at},
		},
		"a mistake": {
			lambda.NewTable(ok("a", "f")), lambda.NewTable(mistaken),
			[]string{"level=WARN " + a + "ok is=error" + at + ` errors="[retries: 99 is too many]"`},
		},
		"mended": {lambda.NewTable(mistaken), lambda.NewTable(ok("a", "f")), []string{"level=INFO " + a + "error is=ok" + at}},
		"another function": {
			lambda.NewTable(ok("a", "g")), lambda.NewTable(ok("a", "f")),
			[]string{"level=INFO " + a + "ok is=ok" + at + " arn_was=arn:aws:lambda:eu-west-1:123456789012:function:g"},
		},
		"another setting": {lambda.NewTable(ok("a", "f")), lambda.NewTable(slow), []string{"level=INFO " + a + "ok is=ok" + at}},
		"a gateway": {
			lambda.NewTable(ok("a", "f")), lambda.NewTable(fronted),
			[]string{"level=INFO " + a + "ok is=ok" + at + " gateway_lists_it=true"},
		},
		"other callers": {
			lambda.NewTable(ok("a", "f")).WithIntentions(lambda.NewIntentions(true)),
			lambda.NewTable(ok("a", "f")).WithIntentions(lambda.NewIntentions(false)), nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			changesOf(test.was, test.is).log(context.Background(), logs.New(&out, "text", slog.LevelInfo))
			var got []string
			for line := range strings.Lines(out.String()) {
				_, line, _ = strings.Cut(strings.TrimSpace(line), " ") // without the time
				got = append(got, strings.Replace(line, `msg="a Lambda service has changed" `, "", 1))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
