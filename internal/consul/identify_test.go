package consul_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/consul"
)

func TestIdentify(t *testing.T) {
	ctx := within(t)
	for _, r := range []*api.AgentServiceRegistration{
		{Kind: api.ServiceKindTerminatingGateway, ID: "gw-1", Name: "gw", Port: 8443},
		{
			Kind: api.ServiceKindConnectProxy, ID: `web"1`, Name: "web-sidecar-proxy", Port: 21000,
			Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: "web"},
		},
		{
			Kind: api.ServiceKindConnectProxy, ID: "web-2", Name: "web-sidecar-proxy", Port: 21001,
			Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: "web"},
		},
		{ID: "plain", Name: "plain", Port: 1},
	} {
		must(t, server.RegisterAgentService(ctx, server.ManagementToken(), r))
		t.Cleanup(func() {
			if err := server.DeregisterAgentService(context.Background(), r.ID); err != nil {
				t.Error(err)
			}
		})
	}
	node := server.NodeName()
	whole := tokenWith(ctx, t, consul.ServiceRule+"\n"+consul.NodeRule)
	noNodes := tokenWith(ctx, t, consul.ServiceRule)
	nothing := tokenWith(ctx, t, `key "x" { policy = "read" }`)
	gateway := consul.Identity{Kind: "terminating-gateway", Datacenter: "dc1"}
	sidecar := consul.Identity{Kind: "connect-proxy", Datacenter: "dc1", Service: "web"}
	for name, test := range map[string]struct {
		client *consul.Client
		proxy  consul.ProxyRef
		want   consul.Identity
		err    error
	}{
		"by its node":                  {client: whole, proxy: consul.ProxyRef{ID: "gw-1", NodeName: node}, want: gateway},
		"default written out":          {client: whole, proxy: consul.ProxyRef{ID: "gw-1", NodeName: node, Namespace: "default", Partition: "default"}, want: gateway},
		"by the agent":                 {client: whole, proxy: consul.ProxyRef{ID: "gw-1"}, want: gateway},
		"by the agent, services alone": {client: noNodes, proxy: consul.ProxyRef{ID: "gw-1"}, want: gateway},
		"a sidecar with an odd ID":     {client: whole, proxy: consul.ProxyRef{ID: `web"1`, NodeName: node}, want: sidecar},
		"a sidecar by the agent":       {client: whole, proxy: consul.ProxyRef{ID: "web-2"}, want: sidecar},
		"no proxy":                     {client: whole, proxy: consul.ProxyRef{ID: "plain", NodeName: node}, want: consul.Identity{Datacenter: "dc1"}},
		"unknown to the node":          {client: whole, proxy: consul.ProxyRef{ID: "gw-2", NodeName: node}},
		"an unknown node":              {client: whole, proxy: consul.ProxyRef{ID: "gw-1", NodeName: "elsewhere"}},
		"unknown to the agent":         {client: whole, proxy: consul.ProxyRef{ID: "gw-2"}},
		"a node that is a path":        {client: whole, proxy: consul.ProxyRef{ID: "gw-1", NodeName: "../../v1/agent"}},
		"an ID that is a path":         {client: whole, proxy: consul.ProxyRef{ID: "../service/gw-1"}},
		"no right to nodes":            {client: noNodes, proxy: consul.ProxyRef{ID: "gw-1", NodeName: node}, err: consul.ErrWithheld},
		"no right by the agent":        {client: nothing, proxy: consul.ProxyRef{ID: "gw-1"}, err: consul.ErrWithheld},
		"no token":                     {client: clientWith(t, ""), proxy: consul.ProxyRef{ID: "gw-1", NodeName: node}, err: consul.ErrWithheld},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.client.Identify(ctx, test.proxy)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("%+v, %v; want %+v, %v", got, err, test.want, test.err)
			}
		})
	}
}

func TestDatacenter(t *testing.T) {
	ctx := within(t)
	for name, rules := range map[string]string{
		"told by the agent": `agent_prefix "" { policy = "read" }`,
		"the only one":      `key "x" { policy = "read" }`,
	} {
		if got := tokenWith(ctx, t, rules).Datacenter(ctx); got != "dc1" {
			t.Errorf("%s: %q", name, got)
		}
	}
	several := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/catalog/datacenters" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`["dc2", "dc1"]`))
	}))
	defer several.Close()
	client, err := consul.NewClient(consul.ClientConfig{Address: several.URL})
	must(t, err)
	defer client.Close()
	if got := client.Datacenter(ctx); got != "" {
		t.Errorf("one of several is taken for ours: %q", got)
	}
}

// An Envoy waits for the answer: a Consul that says nothing is not waited for.
func TestIdentifyIsBounded(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	client, err := consul.NewClient(consul.ClientConfig{Address: silent.Addr().String()})
	must(t, err)
	defer client.Close()
	start := time.Now()
	if got, err := client.Identify(t.Context(), consul.ProxyRef{ID: "gw-1"}); err == nil {
		t.Errorf("an answer: %+v", got)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
