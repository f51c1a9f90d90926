package consul_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// extending is Consul's own Lambda extension.
func extending(arguments map[string]any) api.EnvoyExtension {
	return api.EnvoyExtension{Name: api.BuiltinAWSLambdaExtension, Arguments: arguments}
}

// Consul's own extension makes a function too. Beside Meta, the Meta counts.
func TestBuildTableExtension(t *testing.T) {
	whole := map[string]any{"arn": arn, "invocationMode": "ASYNCHRONOUS", "payloadPassthrough": true}
	constrained := extending(whole)
	constrained.ConsulVersion, constrained.EnvoyVersion = ">= 1.20", "< 1.40"
	required, wrong := extending(whole), extending(map[string]any{"ARN": "x"})
	required.Required, wrong.Required = true, true
	lua := api.EnvoyExtension{Name: "builtin/lua", Arguments: map[string]any{"Script": "x"}}
	for name, test := range map[string]struct {
		meta       map[string]string
		extensions []api.EnvoyExtension
		protocol   string // http if empty
		busy       bool   // instances of its own
		absent     bool
		source     lambda.Source
		state      lambda.State
		mode       string   // "async" and "passthrough", where they are
		errors     []string // a part of each
		warnings   []string // a part of each
	}{
		"alone":                {extensions: []api.EnvoyExtension{extending(whole)}, source: lambda.SourceExtension, state: lambda.StateOK, mode: "async passthrough"},
		"the least":            {extensions: []api.EnvoyExtension{extending(map[string]any{"ARN": arn})}, source: lambda.SourceExtension, state: lambda.StateOK},
		"among others":         {extensions: []api.EnvoyExtension{lua, extending(whole)}, source: lambda.SourceExtension, state: lambda.StateOK, mode: "async passthrough"},
		"another one alone":    {extensions: []api.EnvoyExtension{lua}, absent: true},
		"required":             {extensions: []api.EnvoyExtension{required}, source: lambda.SourceExtension, state: lambda.StateOK, mode: "async passthrough"},
		"for certain versions": {extensions: []api.EnvoyExtension{constrained}, source: lambda.SourceExtension, state: lambda.StateOK, mode: "async passthrough", warnings: []string{`ConsulVersion = ">= 1.20"`, `EnvoyVersion = "< 1.40"`}},
		"malformed":            {extensions: []api.EnvoyExtension{extending(map[string]any{"ARN": 1})}, source: lambda.SourceExtension, state: lambda.StateError, errors: []string{"builtin/aws/lambda ARN"}},
		"without arguments":    {extensions: []api.EnvoyExtension{extending(nil)}, source: lambda.SourceExtension, state: lambda.StateError, errors: []string{"builtin/aws/lambda ARN: missing"}},
		"malformed, required":  {extensions: []api.EnvoyExtension{wrong}, source: lambda.SourceExtension, state: lambda.StateError, errors: []string{"ARN", `Required = "true"`}},
		"twice":                {extensions: []api.EnvoyExtension{extending(whole), extending(whole)}, source: lambda.SourceExtension, state: lambda.StateError, errors: []string{"more than once"}},
		"tcp":                  {extensions: []api.EnvoyExtension{extending(whole)}, protocol: "tcp", source: lambda.SourceExtension, state: lambda.StateError, errors: []string{`Protocol is "tcp"`}},
		"instances of its own": {extensions: []api.EnvoyExtension{extending(whole)}, busy: true, source: lambda.SourceExtension, state: lambda.StateOK, mode: "async passthrough", warnings: []string{"no calls go to those"}},
		"beside other Meta":    {meta: map[string]string{"team": "blue"}, extensions: []api.EnvoyExtension{extending(whole)}, source: lambda.SourceExtension, state: lambda.StateOK, mode: "async passthrough"},

		"as the Meta says": {
			meta: meta("enabled", "true", "arn", arn, "invocation-mode", "asynchronous", "payload-passthrough", "true", "retries", "1"), extensions: []api.EnvoyExtension{extending(whole)},
			source: lambda.SourceMeta, state: lambda.StateOK, mode: "async passthrough",
		},
		"the Meta has another mode": {
			meta: good(), extensions: []api.EnvoyExtension{extending(whole)},
			source: lambda.SourceMeta, state: lambda.StateOK, warnings: []string{"the Meta's invocation-mode, payload-passthrough is otherwise"},
		},
		"the Meta switches off": {
			meta: meta("enabled", "false", "arn", arn), extensions: []api.EnvoyExtension{extending(map[string]any{"ARN": arn})},
			source: lambda.SourceMeta, state: lambda.StateDisabled, warnings: []string{"the Meta's enabled is otherwise"},
		},
		"the Meta has another function": {
			meta: good(), extensions: []api.EnvoyExtension{extending(map[string]any{"ARN": arn + ":blue"})},
			source: lambda.SourceMeta, state: lambda.StateError, errors: []string{arn + `:blue": another function than that of the Meta`},
		},
		"a mistake in the Meta": {
			meta: meta("enabled", "perhaps", "arn", arn), extensions: []api.EnvoyExtension{extending(whole)},
			source: lambda.SourceMeta, state: lambda.StateError, errors: []string{"perhaps"}, warnings: []string{"is otherwise"},
		},
		"a mistake beside the Meta": {
			meta: good(), extensions: []api.EnvoyExtension{extending(map[string]any{"ARN": "x"})},
			source: lambda.SourceMeta, state: lambda.StateOK, warnings: []string{"the Meta counts"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			protocol := "http"
			if test.protocol != "" {
				protocol = test.protocol
			}
			table := consul.BuildTable(consul.Entries{
				Services:      []*api.ServiceConfigEntry{{Name: "svc", Protocol: protocol, Meta: test.meta, EnvoyExtensions: test.extensions}},
				WithInstances: map[lambda.ServiceName]bool{lambda.NewServiceName("svc", "", ""): test.busy},
			}, nil)
			s := table.Lookup(lambda.NewServiceName("svc", "", ""))
			if s == nil || test.absent {
				if (s == nil) != test.absent {
					t.Errorf("in the Table: %v", s)
				}
				return
			}
			if s.Source != test.source || s.State != test.state || !s.Extended {
				t.Errorf("source %s, state %s, extended %v; errors %q", s.Source, s.State, s.Extended, s.Errors)
			}
			if s.State == lambda.StateOK {
				var mode []string
				if s.Function.Asynchronous {
					mode = append(mode, "async")
				}
				if s.Function.PayloadPassthrough {
					mode = append(mode, "passthrough")
				}
				if got := strings.Join(mode, " "); got != test.mode || s.Function.ARN.String() != arn {
					t.Errorf("%s is invoked %q, want %q", s.Function.ARN, got, test.mode)
				}
			}
			says(t, "errors", s.Errors, test.errors)
			says(t, "warnings", s.Warnings, test.warnings)
		})
	}
}

// says checks that each text has its part.
func says(t *testing.T, what string, texts, parts []string) {
	t.Helper()
	if len(texts) != len(parts) {
		t.Fatalf("%s %q, want %d", what, texts, len(parts))
	}
	for i, part := range parts {
		if !strings.Contains(texts[i], part) {
			t.Errorf("%s %q do not say %q", what, texts, part)
		}
	}
}
