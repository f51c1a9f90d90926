package testmesh

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// Gateway is a terminating gateway.
type Gateway struct {
	Name  string // service and proxy ID
	Port  int    // of its listener
	Token *api.ACLToken
	Envoy *Envoy // nil with NoEnvoy

	mesh    *Mesh
	options ProxyOptions
}

// AddTerminatingGateway registers a gateway with the agent, writes its entry listing the
// services ("*" for all; none: no entry is written), and starts its Envoy.
func (m *Mesh) AddTerminatingGateway(ctx context.Context, name string, services []string, o ProxyOptions) (*Gateway, error) {
	g := &Gateway{Name: name, mesh: m, options: o}
	fail := func(err error) (*Gateway, error) {
		return nil, fmt.Errorf("adding the terminating gateway %s: %w", name, err)
	}
	if err := m.ports.Fill(&g.Port); err != nil {
		return fail(err)
	}
	rules := cmp.Or(o.Rules, proxyRules(append([]string{name}, services...)...))
	var err error
	if g.Token, err = m.token(ctx, name, rules); err != nil {
		return fail(err)
	}
	if err := m.Consul.RegisterAgentService(ctx, g.Token.SecretID, &api.AgentServiceRegistration{
		Kind: api.ServiceKindTerminatingGateway, ID: name, Name: name, Address: "127.0.0.1", Port: g.Port,
	}); err != nil {
		return fail(err)
	}
	if len(services) > 0 {
		if err := g.Front(ctx, services...); err != nil {
			return fail(err)
		}
	}
	if o.NoEnvoy {
		return g, nil
	}
	if err := g.StartEnvoy(ctx); err != nil {
		return fail(err)
	}
	return g, nil
}

// Front writes the gateway's entry: it lists exactly these services from now on.
func (g *Gateway) Front(ctx context.Context, services ...string) error {
	entry := &api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: g.Name}
	for _, s := range services {
		entry.Services = append(entry.Services, api.LinkedService{Name: s})
	}
	return g.mesh.Consul.SetEntry(ctx, entry)
}

// StartEnvoy starts the Envoy of a gateway added with NoEnvoy.
func (g *Gateway) StartEnvoy(ctx context.Context) (err error) {
	if g.Envoy, err = g.mesh.startEnvoy(ctx, "envoy-"+g.Name, g.Name, g.Token.SecretID, g.options); err != nil || g.options.NoWait {
		return err
	}
	return g.Envoy.WaitReady(ctx)
}

// Remove deletes the gateway's entry, deregisters it and stops its Envoy, in this order.
func (g *Gateway) Remove(ctx context.Context) error {
	if err := g.mesh.Consul.DeleteEntry(ctx, api.TerminatingGateway, g.Name); err != nil {
		return err
	}
	if err := g.mesh.Consul.DeregisterAgentService(ctx, g.Name); err != nil {
		return err
	}
	if g.Envoy == nil {
		return nil
	}
	return g.Envoy.Stop()
}
