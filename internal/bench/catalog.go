package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// writers is how many requests Consul gets at the same time while it is filled.
const writers = 16

// catalog fills a Consul.
type catalog struct{ api *api.Client }

func (s *stage) catalog(c *testmesh.Consul) (*catalog, error) {
	// Not testmesh's client, which makes a connection for each request.
	transport := &http.Transport{MaxIdleConnsPerHost: writers}
	s.atEnd(transport.CloseIdleConnections)
	client, err := api.NewClient(&api.Config{Address: c.HTTPAddr(), Scheme: "http", Transport: transport})
	if err != nil {
		return nil, err
	}
	return &catalog{api: client}, nil
}

// function writes the entry that makes a service a function. The alias is what of
// its ARN can be told apart.
func (c *catalog) function(ctx context.Context, i int, alias string) error {
	name := fakeconsul.Function(i)
	_, _, err := c.api.ConfigEntries().Set(testmesh.LambdaDefaults(name, map[string]string{
		lambda.KeyEnabled: "true", lambda.KeyRegion: "eu-central-1", lambda.KeyARN: functionARN(i, alias),
	}), (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("writing the entry of %s: %w", name, err)
	}
	return nil
}

// functionARN is what a patched cluster invokes.
func functionARN(i int, alias string) string {
	return "arn:aws:lambda:eu-central-1:123456789012:function:" + fakeconsul.Function(i) + ":" + alias
}

// functions writes the entries of functions from to below to.
func (c *catalog) functions(ctx context.Context, from, to int) error {
	return each(ctx, to-from, func(ctx context.Context, i int) error { return c.function(ctx, from+i, "v0") })
}

// proxies registers n proxies of a kind on consulNode, with the ids that proxyID
// gives them.
func (c *catalog) proxies(ctx context.Context, kind api.ServiceKind, n int) error {
	return each(ctx, n, func(ctx context.Context, i int) error {
		service := &api.AgentService{Kind: kind, ID: proxyID(i), Service: "proxies", Address: "127.0.0.1", Port: 9}
		if kind == api.ServiceKindConnectProxy {
			service.Proxy = &api.AgentServiceConnectProxyConfig{DestinationServiceName: "app"}
		}
		return c.register(ctx, service)
	})
}

// proxyID is the id that a proxy has in the catalog and in its Node.
func proxyID(i int) string { return fmt.Sprintf("proxy-%05d", i) }

func (c *catalog) register(ctx context.Context, service *api.AgentService) error {
	_, err := c.api.Catalog().Register(&api.CatalogRegistration{
		Node: consulNode, Address: "127.0.0.1", NodeMeta: map[string]string{"external-node": "true"}, Service: service,
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("registering %s: %w", service.ID, err)
	}
	return nil
}

// each calls f for 0 to below n, some at the same time.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}
