package testmesh

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// EdgeGateway is a gateway by which calls come into the mesh: an API gateway or an
// ingress gateway. Its listeners are those of its config entry.
type EdgeGateway struct {
	Name  string // service and proxy ID
	Token *api.ACLToken
	Envoy *Envoy // nil with NoEnvoy
}

// AddEdgeGateway registers a gateway with the agent and starts its Envoy. Kind is
// api.ServiceKindAPIGateway or api.ServiceKindIngressGateway. Its entry is the caller's
// to write.
func (m *Mesh) AddEdgeGateway(ctx context.Context, kind api.ServiceKind, name string, o ProxyOptions) (*EdgeGateway, error) {
	g := &EdgeGateway{Name: name}
	fail := func(err error) (*EdgeGateway, error) {
		return nil, fmt.Errorf("adding the %s %s: %w", kind, name, err)
	}
	var port int // nothing listens there
	if err := m.ports.Fill(&port); err != nil {
		return fail(err)
	}
	var err error
	// An API gateway without mesh:read is told of no listener (1.22.5).
	rules := proxyRules(name) + "mesh = \"read\"\n"
	if g.Token, err = m.token(ctx, name, cmp.Or(o.Rules, rules)); err != nil {
		return fail(err)
	}
	if err := m.Consul.RegisterAgentService(ctx, g.Token.SecretID, &api.AgentServiceRegistration{
		Kind: kind, ID: name, Name: name, Address: "127.0.0.1", Port: port,
	}); err != nil {
		return fail(err)
	}
	if o.NoEnvoy {
		return g, nil
	}
	if g.Envoy, err = m.startEnvoy(ctx, "envoy-"+name, name, g.Token.SecretID, o); err != nil {
		return fail(err)
	}
	if o.NoWait {
		return g, nil
	}
	if err := g.Envoy.WaitReady(ctx); err != nil {
		return fail(err)
	}
	return g, nil
}
