package consul_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// TestReadEntry: what is Lambda's of an entry, as it stands there, mistakes included.
func TestReadEntry(t *testing.T) {
	ctx := within(t)
	write(ctx, t,
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "read", Protocol: "http", Meta: map[string]string{
			lambda.Prefix + "enabled": "perhaps", lambda.Mark: "true", "owner": "somebody",
		}},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "read-extension", Protocol: "http", EnvoyExtensions: []api.EnvoyExtension{
			{Name: lambda.ExtensionName, Arguments: map[string]any{"ARN": "arn:aws:lambda:us-east-1:123456789012:function:x"}},
		}})
	c := tokenWith(ctx, t, consul.ServiceRule)
	for service, want := range map[string]consul.Entry{
		"read":           {Meta: map[string]string{lambda.Prefix + "enabled": "perhaps"}, Managed: true},
		"read-extension": {Meta: map[string]string{}, Arguments: map[string]any{"ARN": "arn:aws:lambda:us-east-1:123456789012:function:x"}},
	} {
		got, err := c.ReadEntry(ctx, lambda.NewServiceName(service, "", ""))
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", service, diff)
		}
	}
	if _, err := c.ReadEntry(ctx, lambda.NewServiceName("read-nobody", "", "")); err == nil || !strings.Contains(err.Error(), "no service-defaults entry") {
		t.Errorf("of nobody: %v", err)
	}
	if _, err := clientWith(t, "").ReadEntry(ctx, lambda.NewServiceName("read", "", "")); err == nil || !strings.Contains(err.Error(), consul.ServiceRule) {
		t.Errorf("without a token: %v", err)
	}
}

func TestTrustDomain(t *testing.T) {
	ctx := within(t)
	for _, c := range []*consul.Client{tokenWith(ctx, t, consul.ServiceRule), clientWith(t, "")} {
		got, err := c.TrustDomain(ctx)
		must(t, err)
		if !regexp.MustCompile(`^[0-9a-f-]{36}\.consul$`).MatchString(got) {
			t.Errorf("%q", got)
		}
	}
}
