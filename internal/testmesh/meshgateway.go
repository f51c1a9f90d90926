package testmesh

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// MeshGateway carries calls between this mesh and others.
type MeshGateway struct {
	Name  string // service and proxy ID
	Port  int    // of its listener, for its own datacenter and for others
	Token *api.ACLToken
	Envoy *Envoy
}

// AddMeshGateway registers a mesh gateway with the agent and starts its Envoy.
func (m *Mesh) AddMeshGateway(ctx context.Context, name string, o ProxyOptions) (*MeshGateway, error) {
	g := &MeshGateway{Name: name}
	fail := func(err error) (*MeshGateway, error) {
		return nil, fmt.Errorf("adding the mesh gateway %s: %w", name, err)
	}
	if err := m.ports.Fill(&g.Port); err != nil {
		return fail(err)
	}
	var err error
	rules := cmp.Or(o.Rules, proxyRules(name)+"mesh = \"write\"\npeering = \"read\"\n")
	if g.Token, err = m.token(ctx, name, rules); err != nil {
		return fail(err)
	}
	at := api.ServiceAddress{Address: "127.0.0.1", Port: g.Port}
	meta := map[string]string{}
	if m.cfg.Consul.WAN != nil {
		meta["consul-wan-federation"] = "1"
	}
	if err := m.Consul.RegisterAgentService(ctx, g.Token.SecretID, &api.AgentServiceRegistration{
		Kind: api.ServiceKindMeshGateway, ID: name, Name: name, Address: at.Address, Port: at.Port,
		TaggedAddresses: map[string]api.ServiceAddress{"lan": at, "wan": at}, Meta: meta,
	}); err != nil {
		return fail(err)
	}
	if g.Envoy, err = m.startEnvoy(ctx, "envoy-"+name, name, g.Token.SecretID, o); err != nil {
		return fail(err)
	}
	if err := g.Envoy.WaitReady(ctx); err != nil {
		return fail(err)
	}
	return g, nil
}

// Addr is host:port of its listener.
func (g *MeshGateway) Addr() string { return loopback(g.Port) }
