package testmesh

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// MetaPrefix begins every Meta key and tag that makes a service a function.
const MetaPrefix = "serverless.consul.hashicorp.com/v1alpha1/lambda/"

// SetEntry writes config entries, each whole.
func (c *Consul) SetEntry(ctx context.Context, entries ...api.ConfigEntry) error {
	for _, e := range entries {
		if _, _, err := c.API().ConfigEntries().Set(e, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("writing the %s %s: %w", e.GetKind(), e.GetName(), err)
		}
	}
	return nil
}

// DeleteEntry deletes a config entry; one that is not there is no error.
func (c *Consul) DeleteEntry(ctx context.Context, kind, name string) error {
	if _, err := c.API().ConfigEntries().Delete(kind, name, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("deleting the %s %s: %w", kind, name, err)
	}
	return nil
}

// Allow lets source call destination.
func (c *Consul) Allow(ctx context.Context, source, destination string) error {
	return c.intend(ctx, source, destination, api.IntentionActionAllow)
}

// Deny forbids source to call destination.
func (c *Consul) Deny(ctx context.Context, source, destination string) error {
	return c.intend(ctx, source, destination, api.IntentionActionDeny)
}

func (c *Consul) intend(ctx context.Context, source, destination string, action api.IntentionAction) error {
	_, err := c.API().Connect().IntentionUpsert(
		&api.Intention{SourceName: source, DestinationName: destination, Action: action, SourceType: api.IntentionSourceConsul},
		(&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("writing the intention %s -> %s: %w", source, destination, err)
	}
	return nil
}

// HTTPByDefault is the proxy-defaults that take a service of which nothing is said for
// HTTP, as most meshes have it.
func HTTPByDefault() *api.ProxyConfigEntry {
	return &api.ProxyConfigEntry{
		Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http"},
	}
}

// LambdaDefaults is the service-defaults that make service name a Lambda function by
// its Meta, as "consul config write" would take it. The keys of meta stand without
// MetaPrefix.
func LambdaDefaults(name string, meta map[string]string) *api.ServiceConfigEntry {
	entry := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "http", Meta: map[string]string{}}
	for key, value := range meta {
		entry.Meta[MetaPrefix+key] = value
	}
	return entry
}

// RegisterLambda puts a service without an address into the catalog, on a node
// without an address, as Consul's document on Lambda functions tells people to.
func (c *Consul) RegisterLambda(ctx context.Context, name string) error {
	_, err := c.API().Catalog().Register(&api.CatalogRegistration{
		Node: "lambdas", SkipNodeUpdate: true,
		NodeMeta: map[string]string{"external-node": "true", "external-probe": "true"},
		Service:  &api.AgentService{ID: name, Service: name},
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("registering the Lambda service %s: %w", name, err)
	}
	return nil
}

// DeregisterLambda takes it out of the catalog again.
func (c *Consul) DeregisterLambda(ctx context.Context, name string) error {
	_, err := c.API().Catalog().Deregister(&api.CatalogDeregistration{Node: "lambdas", ServiceID: name}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("deregistering the Lambda service %s: %w", name, err)
	}
	return nil
}

// RegisterAgentService registers a service (a normal one, a sidecar proxy or a
// gateway) with the agent, with the given token, and returns when the catalog has it.
// With ConsulConfig.ProxyNode it goes into the catalog itself.
func (c *Consul) RegisterAgentService(ctx context.Context, token string, r *api.AgentServiceRegistration) error {
	if c.cfg.ProxyNode != "" {
		return c.registerOnNode(ctx, r)
	}
	err := c.APIWith(token).Agent().ServiceRegisterOpts(r, api.ServiceRegisterOpts{Token: token}.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("registering %s with the agent: %w", r.ID, err)
	}
	err = Poll(ctx, func(ctx context.Context) error {
		node, _, err := c.API().Catalog().Node(c.cfg.NodeName, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		if node == nil || node.Services[r.ID] == nil {
			return errors.New("the catalog does not have it")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s in the catalog: %w", r.ID, err)
	}
	return nil
}

// registerOnNode writes what the agent's registration says into the catalog.
func (c *Consul) registerOnNode(ctx context.Context, r *api.AgentServiceRegistration) error {
	_, err := c.API().Catalog().Register(&api.CatalogRegistration{
		Node: c.cfg.ProxyNode, Address: "127.0.0.1", NodeMeta: map[string]string{"external-node": "true"},
		Service: &api.AgentService{
			Kind: r.Kind, ID: r.ID, Service: r.Name, Address: r.Address, Port: r.Port, Proxy: r.Proxy, Meta: r.Meta,
		},
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("registering %s on %s: %w", r.ID, c.cfg.ProxyNode, err)
	}
	return nil
}

// DeregisterAgentService takes it out again.
func (c *Consul) DeregisterAgentService(ctx context.Context, id string) (err error) {
	if node := c.cfg.ProxyNode; node != "" {
		_, err = c.API().Catalog().Deregister(&api.CatalogDeregistration{Node: node, ServiceID: id}, (&api.WriteOptions{}).WithContext(ctx))
	} else {
		err = c.API().Agent().ServiceDeregisterOpts(id, (&api.QueryOptions{}).WithContext(ctx))
	}
	if err != nil {
		return fmt.Errorf("deregistering %s: %w", id, err)
	}
	return nil
}
