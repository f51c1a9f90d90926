package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// The mesh that is recorded. All its services are Lambda functions, registered as
// Consul's documentation says (on a node without address), but for the last two.
//
//	hello         a function                              fronted by the gateway
//	hello-prod    its alias, with passthrough             fronted, with a timeout of its own
//	Report_Daily  asynchronous                            fronted
//	plain         no address and no Meta                  fronted
//	mistaken      Meta with another region than its ARN   fronted
//	disabled      Meta that is switched off               fronted
//	tcp           Meta, but its protocol is tcp           fronted
//	extended      Consul's own Lambda extension, no Meta  fronted
//	solo          a function                              fronted by nobody
//	solo-b        a function                              fronted by nobody
//	tcp-solo      Meta, but its protocol is tcp           fronted by nobody
//	split         half solo, half solo-b; /quick and /patient with timeouts of their own
//	subsets       a function with a subset                fronted by nobody
//	spare         a function that fails over to solo      fronted by nobody
//	extended-solo Consul's own Lambda extension, no Meta  fronted by nobody
//	web           an ordinary service, by its address     fronted
//	named         an ordinary service, by its host name   fronted
const node = "lambdas"

const account = "arn:aws:lambda:eu-central-1:123456789012:function:"

// ports of proxies and services; nothing listens there.
const (
	portGateway = 20000 + iota
	portMesh
	portIngress
	portWeb
	portCaller
	portUpstreams // and the ones after it

	portAPI = 19999
)

func meta(arn string, more ...string) map[string]string {
	m := map[string]string{
		lambda.Prefix + lambda.KeyEnabled: "true",
		lambda.Prefix + lambda.KeyARN:     arn,
		lambda.Prefix + lambda.KeyRegion:  "eu-central-1",
	}
	for i := 0; i < len(more); i += 2 {
		m[lambda.Prefix+more[i]] = more[i+1]
	}
	return m
}

func defaults() []*api.ServiceConfigEntry {
	http := func(name string, meta map[string]string) *api.ServiceConfigEntry {
		return &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "http", Meta: meta}
	}
	tcp := func(name string, meta map[string]string) *api.ServiceConfigEntry {
		return &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "tcp", Meta: meta}
	}
	// As Consul's own registrator writes them.
	extended := func(name, mode string) *api.ServiceConfigEntry {
		entry := http(name, nil)
		entry.EnvoyExtensions = []api.EnvoyExtension{{
			Name:      api.BuiltinAWSLambdaExtension,
			Arguments: map[string]any{"arn": account + name, "invocationMode": mode, "payloadPassthrough": false},
		}}
		return entry
	}
	return []*api.ServiceConfigEntry{
		http("hello", meta(account+"hello")),
		http("hello-prod", meta(account+"hello:prod", lambda.KeyPayloadPassthrough, "true")),
		http("Report_Daily", meta(account+"Report_Daily", lambda.KeyInvocationMode, "ASYNCHRONOUS", lambda.KeyTimeout, "900")),
		http("plain", nil),
		http("mistaken", meta(account+"mistaken", lambda.KeyRegion, "eu-west-1")),
		http("disabled", meta(account+"disabled", lambda.KeyEnabled, "false")),
		tcp("tcp", meta(account+"tcp")),
		extended("extended", "ASYNCHRONOUS"),
		http("solo", meta(account+"solo")),
		http("solo-b", meta(account+"solo-b", lambda.KeyCredentialsProfile, "payments")),
		tcp("tcp-solo", meta(account+"tcp-solo")),
		http("split", nil),
		http("subsets", meta(account+"subsets")),
		http("spare", meta(account+"spare")),
		extended("extended-solo", "SYNCHRONOUS"),
		http("web", nil),
		http("named", nil),
	}
}

// fronted are the services that the terminating gateway's entry lists.
var fronted = []string{
	"hello", "hello-prod", "Report_Daily", "plain", "mistaken", "disabled", "tcp", "extended", "web", "named",
}

// set fills Consul.
func (s *server) set(ctx context.Context) error {
	write := (&api.WriteOptions{}).WithContext(ctx)
	entries := []api.ConfigEntry{}
	for _, entry := range defaults() {
		entries = append(entries, entry)
	}
	gateway := &api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: "gateway"}
	for _, name := range fronted {
		gateway.Services = append(gateway.Services, api.LinkedService{Name: name})
	}
	entries = append(entries, gateway,
		&api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "split", Splits: []api.ServiceSplit{
			{Weight: 50, Service: "solo"}, {Weight: 50, Service: "solo-b"},
		}},
		&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "split", Routes: []api.ServiceRoute{
			{
				Match:       &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathPrefix: "/quick"}},
				Destination: &api.ServiceRouteDestination{RequestTimeout: 2 * time.Second, IdleTimeout: time.Second},
			},
			{
				Match:       &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathPrefix: "/patient"}},
				Destination: &api.ServiceRouteDestination{Service: "solo", RequestTimeout: -1, IdleTimeout: -1},
			},
		}},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "hello-prod", RequestTimeout: 33 * time.Second},
		&api.ServiceResolverConfigEntry{
			Kind: api.ServiceResolver, Name: "subsets", DefaultSubset: "v1",
			Subsets: map[string]api.ServiceResolverSubset{"v1": {}},
		},
		&api.ServiceResolverConfigEntry{
			Kind: api.ServiceResolver, Name: "spare", Failover: map[string]api.ServiceResolverFailover{"*": {Service: "solo"}},
		},
		&api.IngressGatewayConfigEntry{
			Kind: api.IngressGateway, Name: "ingress",
			Listeners: []api.IngressListener{{Port: 21000, Protocol: "http", Services: []api.IngressService{
				{Name: "solo", Hosts: []string{"solo.example.com"}}, {Name: "hello", Hosts: []string{"hello.example.com"}},
			}}},
		},
	)
	for _, entry := range apiGateway() {
		if _, err := s.client.Raw().Write("/v1/config", entry, nil, write); err != nil {
			return fmt.Errorf("writing %s %s: %w", entry["Kind"], entry["Name"], err)
		}
	}
	for _, entry := range entries {
		if _, _, err := s.client.ConfigEntries().Set(entry, write); err != nil {
			return fmt.Errorf("writing %s %s: %w", entry.GetKind(), entry.GetName(), err)
		}
	}
	for _, entry := range defaults() {
		service := &api.AgentService{Service: entry.Name}
		on := node
		switch entry.Name {
		case "split":
			continue
		case "web":
			service.Address, service.Port, on = "127.0.0.1", portWeb, "web"
		case "named":
			service.Address, service.Port, on = "named.example.com", portWeb, "web"
		}
		registration := &api.CatalogRegistration{
			Node: on, SkipNodeUpdate: on == node, Service: service,
			NodeMeta: map[string]string{"external-node": "true", "external-probe": "true"},
		}
		if on != node {
			registration.Address = "127.0.0.1"
		}
		if _, err := s.client.Catalog().Register(registration, write); err != nil {
			return fmt.Errorf("registering %s: %w", entry.Name, err)
		}
	}
	for _, proxy := range proxies() {
		if err := s.client.Agent().ServiceRegister(proxy); err != nil {
			return fmt.Errorf("registering %s: %w", proxy.ID, err)
		}
	}
	return nil
}

// apiGateway are the entries of an API gateway and its route. The types of the API module
// (1.34.5) have fields that Consul 1.22.5 refuses.
func apiGateway() []map[string]any {
	return []map[string]any{
		{
			"Kind": api.APIGateway, "Name": "api",
			"Listeners": []map[string]any{{"Name": "http", "Port": 21001, "Protocol": "http"}},
		},
		{
			"Kind": api.HTTPRoute, "Name": "functions",
			"Parents": []map[string]any{{"Kind": api.APIGateway, "Name": "api", "SectionName": "http"}},
			"Rules": []map[string]any{
				{"Services": []map[string]any{{"Name": "solo", "Weight": 3}, {"Name": "hello", "Weight": 1}}},
			},
		},
	}
}

func proxies() []*api.AgentServiceRegistration {
	sidecar := func(of string, upstreams ...api.Upstream) *api.AgentServiceRegistration {
		for i := range upstreams {
			upstreams[i].LocalBindPort = portUpstreams + i
		}
		return &api.AgentServiceRegistration{
			Kind: api.ServiceKindConnectProxy, ID: of + "-sidecar-proxy", Name: of + "-sidecar-proxy",
			Address: "127.0.0.1", Port: portCaller,
			Proxy: &api.AgentServiceConnectProxyConfig{
				DestinationServiceName: of, LocalServiceAddress: "127.0.0.1", LocalServicePort: portWeb, Upstreams: upstreams,
			},
		}
	}
	to := func(name string) api.Upstream { return api.Upstream{DestinationName: name} }
	return []*api.AgentServiceRegistration{
		{Kind: api.ServiceKindTerminatingGateway, ID: "gateway", Name: "gateway", Address: "127.0.0.1", Port: portGateway},
		{Kind: api.ServiceKindMeshGateway, ID: "mesh", Name: "mesh", Address: "127.0.0.1", Port: portMesh},
		{Kind: api.ServiceKindIngressGateway, ID: "ingress", Name: "ingress", Address: "127.0.0.1", Port: portIngress},
		{Kind: api.ServiceKindAPIGateway, ID: "api", Name: "api", Address: "127.0.0.1", Port: portAPI},
		sidecar("shop", to("hello"), to("hello-prod"), to("plain"), to("web"), to("tcp")),
		sidecar("desk", to("solo"), to("split"), to("subsets"), to("tcp-solo"), to("nowhere"), to("spare"), api.Upstream{
			DestinationName: "solo-b", Config: map[string]any{"connect_timeout_ms": 700},
		}, to("extended-solo")),
	}
}

// recorded is one proxy to be recorded.
type recorded struct {
	name string // of its folder
	kind api.ServiceKind
	id   string

	beside string // the service whose sidecar it is

	// clusters it must have heard of, and endpoints that must not be empty, before
	// the recording is whole: services by their names.
	clusters  []string
	endpoints []string
}

func cases() []recorded {
	return []recorded{
		{name: "terminating-gateway", kind: api.ServiceKindTerminatingGateway, id: "gateway", clusters: fronted},
		{
			name: "sidecar-with-gateway", kind: api.ServiceKindConnectProxy, id: "shop-sidecar-proxy", beside: "shop",
			clusters:  []string{"hello", "hello-prod", "plain", "web", "tcp"},
			endpoints: []string{"hello", "hello-prod", "plain", "web", "tcp"},
		},
		{
			name: "sidecar-without-gateway", kind: api.ServiceKindConnectProxy, id: "desk-sidecar-proxy", beside: "desk",
			clusters: []string{"solo", "solo-b", "subsets", "tcp-solo", "nowhere", "spare", "extended-solo"},
		},
		{
			name: "ingress-gateway", kind: api.ServiceKindIngressGateway, id: "ingress",
			clusters: []string{"solo", "hello"}, endpoints: []string{"hello"},
		},
		{
			name: "api-gateway", kind: api.ServiceKindAPIGateway, id: "api",
			clusters: []string{"solo", "hello"}, endpoints: []string{"hello"},
		},
		{name: "mesh-gateway", kind: api.ServiceKindMeshGateway, id: "mesh", clusters: []string{"hello", "web"}, endpoints: []string{"hello", "web"}},
	}
}
