package registrator_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/lambdamesh/lambdamesh/internal/logs"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// spans are those that ended, by "PARENT > NAME", with their attributes.
func spans(recorded []sdktrace.ReadOnlySpan) map[string][]map[string]string {
	names := map[string]string{}
	for _, span := range recorded {
		names[span.SpanContext().SpanID().String()] = span.Name()
	}
	all := map[string][]map[string]string{}
	for _, span := range recorded {
		name := span.Name()
		if parent := span.Parent(); parent.IsValid() {
			name = names[parent.SpanID().String()] + " > " + name
		}
		attributes := map[string]string{"trace": span.SpanContext().TraceID().String()}
		for _, a := range span.Attributes() {
			attributes[string(a.Key)] = fmt.Sprint(attribute.Value(a.Value).AsInterface())
		}
		if span.Status().Code == codes.Error {
			attributes["error"] = span.Status().Description
		}
		all[name] = append(all[name], attributes)
	}
	return all
}

// A run is one trace: what was read of AWS, what was written to Consul, and the lines of
// the log that it caused.
func testSpans(t *testing.T, m *mesh) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	r := m.registrator(func(c *Config) {
		c.Tracer = provider.Tracer("test")
		c.Logger = logs.New(m.log, "text", slog.LevelInfo)
	})
	m.aws.Put("f", Enabled())
	arn := m.aws.ARN("f").String()
	m.sync(r)
	got := spans(recorder.Ended())
	for name, want := range map[string]map[string]string{
		"sync":                  {"lambdamesh.functions": "1", "lambdamesh.changes_planned": "1", "lambdamesh.changes_made": "1"},
		"sync > read functions": {"cloud.region": "us-east-1", "cloud.account.id": m.aws.Account, "lambdamesh.functions": "1"},
		"read functions > Resource Groups Tagging API.GetResources": {
			"cloud.region": "us-east-1", "http.response.status_code": "200",
			"rpc.system": "aws-api", "rpc.service": "Resource Groups Tagging API", "rpc.method": "GetResources",
		},
		"read functions > Lambda.ListFunctions": {"cloud.region": "us-east-1"},
		"sync > read Consul":                    {},
		"sync > write config entry": {
			"lambdamesh.service": "f", "lambdamesh.arn": arn, "lambdamesh.config_entry": "service-defaults", "cloud.region": "us-east-1",
		},
		"sync > write services": {"lambdamesh.services": "[f]"},
	} {
		if len(got[name]) == 0 {
			t.Errorf("no span %q among %v", name, got)
			continue
		}
		for key, value := range want {
			if got[name][0][key] != value {
				t.Errorf("%s: %s is %q, want %q", name, key, got[name][0][key], value)
			}
		}
		if got[name][0]["trace"] != got["sync"][0]["trace"] {
			t.Errorf("%s is of another trace", name)
		}
	}
	line := ""
	for one := range strings.Lines(m.log.String()) {
		if strings.Contains(one, "changed a service in Consul") {
			line = one
		}
	}
	if !strings.Contains(line, "trace_id="+got["sync"][0]["trace"]) {
		t.Errorf("a line of the run does not bear its trace: %q", line)
	}

	// A look, of an event, that fails; and the one that finds the function gone.
	recorder.Reset()
	m.aws.Fail(Fault{Operation: "ListTags", Status: http.StatusForbidden, Code: "AccessDeniedException"})
	event, err := ParseEvent([]byte(tagEvent(m.aws.ARN("f"))))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Handle(t.Context(), event)
	if err == nil {
		t.Error("it does not fail")
	}
	failedIn := trace.SpanContextFromContext(InTraceOf(t.Context(), err)).TraceID().String()
	got = spans(recorder.Ended())
	call := got["look > Lambda.ListTags"]
	if len(call) != 1 || call[0]["lambdamesh.arn"] != arn || call[0]["http.response.status_code"] != "403" || !strings.Contains(call[0]["error"], "AccessDenied") {
		t.Errorf("the call that fails: %v", call)
	}
	for name, attributes := range map[string]string{"event": "look", "event > look": ""} {
		if len(got[name]) != 1 || got[name][0]["error"] == "" || got[name][0]["lambdamesh.event"] != attributes {
			t.Errorf("%s: %v", name, got[name])
		}
	}
	if failedIn != got["event"][0]["trace"] {
		t.Errorf("the error is of trace %s, the event of %s", failedIn, got["event"][0]["trace"])
	}
	m.aws.Heal()
	recorder.Reset()
	m.aws.Delete("f")
	m.sync(r)
	got = spans(recorder.Ended())
	if confirmed := got["confirm deletions > Lambda.ListTags"]; len(confirmed) != 1 || confirmed[0]["lambdamesh.arn"] != arn {
		t.Errorf("the confirmation: %v", got)
	}
	if deleted := got["sync > write config entry"]; len(deleted) != 1 || deleted[0]["lambdamesh.arn"] != arn {
		t.Errorf("the deletion: %v", got)
	}
}

// Without a Tracer nothing is made, and a context costs nothing.
func testNoSpans(t *testing.T, m *mesh) {
	m.aws.Put("f", Enabled())
	r := m.registrator(func(c *Config) { c.Logger = logs.New(m.log, "text", slog.LevelInfo) })
	m.sync(r)
	if strings.Contains(m.log.String(), "trace_id") {
		t.Errorf("a trace is in the log: %s", m.log)
	}
}
