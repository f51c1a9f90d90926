package consul_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
)

func TestReadOnce(t *testing.T) {
	ctx := within(t)
	write(ctx, t, defaults("once", "true"))
	status, err := consul.ReadOnce(ctx, consul.WatcherConfig{Client: tokenWith(ctx, t, consul.ServiceRule)})
	must(t, err)
	if found := status.Table.Lookup(lambda.NewServiceName("once", "", "")); found == nil || found.State != lambda.StateOK {
		t.Errorf("%+v", found)
	}
	for token, words := range map[string]string{"": "no token", "11111111-1111-1111-1111-111111111111": "ACL not found"} {
		if _, err := consul.ReadOnce(ctx, consul.WatcherConfig{Client: clientWith(t, token)}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("with the token %q: %v", token, err)
		}
	}
}

func TestWhyNot(t *testing.T) {
	ctx := within(t)
	misspelt := map[string]string{"serverless.consul.hashicorp.com/v1/lambda/enabled": "true"}
	write(ctx, t,
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "plain", Protocol: "http"},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "misspelt", Protocol: "http", Meta: misspelt})
	c := tokenWith(ctx, t, consul.ServiceRule)
	for service, words := range map[string]string{
		"nobody":   "no service-defaults entry",
		"plain":    "neither Meta that begins with " + lambda.Prefix + " nor EnvoyExtensions builtin/aws/lambda",
		"misspelt": "hashicorp.com/v1/lambda/enabled",
	} {
		if why := c.WhyNot(ctx, service); !strings.Contains(why, words) {
			t.Errorf("%s: %s", service, why)
		}
	}
	if why := clientWith(t, "").WhyNot(ctx, "plain"); !strings.Contains(why, consul.ServiceRule) {
		t.Errorf("without a token: %s", why)
	}
}
