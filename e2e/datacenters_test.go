package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"google.golang.org/protobuf/proto"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestTwoDatacenters: a sidecar of dc1 calls a function that is registered in dc2, by
// the mesh gateways of both and the terminating gateway of dc2. Each datacenter has a
// lambdamesh of its own. Consul's servers, too, reach each other by these mesh gateways
// alone.
func TestTwoDatacenters(t *testing.T) {
	t.Parallel()
	ca, err := testmesh.NewAuthority(t.TempDir(), "servers")
	if err != nil {
		t.Fatal(err)
	}
	one := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true, Consul: testmesh.ConsulConfig{WAN: ca}})
	between := one.carried()
	two := begin(t, testmesh.MeshConfig{
		NoRegistrator: true, NoLambdamesh: true, Beside: one.Mesh,
		Consul: testmesh.ConsulConfig{Datacenter: "dc2", WAN: ca, Primary: one.Consul, PrimaryGateway: between.Addr()},
	})
	two.carried()
	arn := two.function("hello", "hello", nil)
	two.byHand("hello", meta(arn))
	two.byHand("lone", meta(arn)) // which no gateway fronts
	two.must(two.Consul.RegisterLambda(two.ctx, "extended"))
	two.must(two.Consul.SetEntry(two.ctx, two.extended("extended", "hello", "")))
	one.allow("web", "extended")
	one.documented("Two datacenters, federated")
	two.replicated(api.TerminatingGateway, "gateway")
	two.replicated(api.ServiceIntentions, "hello")
	gateway, err := two.AddTerminatingGateway(two.ctx, "gateway", nil, fronting)
	two.must(err)
	two.healthy(gateway.Envoy)
	web, err := one.AddSidecar(one.ctx, "web", nil, testmesh.ProxyOptions{Upstreams: []api.Upstream{
		{DestinationName: "hello", Datacenter: "dc2", MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeLocal}},
		{DestinationName: "extended", Datacenter: "dc2", MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeLocal}},
		{DestinationName: "lone", Datacenter: "dc2", MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeLocal}},
	}})
	one.must(err)
	one.healthy(web.Envoy)
	one.until(web, "hello", arn)
	for range 20 {
		one.answers(web, "hello", testmesh.Request{}, 200)
	}
	if got := two.state().proxy("gateway").form("hello"); got != "cluster gateway" {
		t.Errorf("the terminating gateway of dc2 has hello as %q", got)
	}
	const elsewhere = "it is of datacenter dc2, and only a terminating gateway there can invoke it; no terminating gateway's entry lists it"
	one.must(testmesh.Poll(one.ctx, func(context.Context) error {
		if got := one.state().proxy(web.ProxyID); got.unpatched("lone") != elsewhere || got.unpatched("hello") != "" {
			return fmt.Errorf("the state says %+v", got)
		}
		return nil
	}))
	said, err := one.Lambdamesh.Run(one.ctx, "inspect", "lone", "--admin-addr", one.Lambdamesh.AdminAddr())
	if err != nil || !strings.Contains(said, "not invoked: "+elsewhere) {
		t.Errorf("%v:\n%s", err, said)
	}
	// Consul's own extension leaves sidecars alone while a gateway fronts the function in its
	// own datacenter.
	two.must(gateway.Front(two.ctx, "hello", "extended"))
	one.until(web, "extended", arn)
	for _, id := range []string{"mesh-gateway", web.ProxyID} {
		if got := one.state().proxy(id).Patched; len(got) > 0 {
			t.Errorf("%s of dc1 has patches: %v", id, got)
		}
	}
	// The gateway of dc2 knows callers of dc1, and refuses those that are not allowed.
	one.must(one.Consul.Deny(one.ctx, "web", "hello"))
	one.answers(web, "hello", testmesh.Request{}, 403)
	one.must(one.Consul.Allow(one.ctx, "web", "hello"))
	one.until(web, "hello", arn)
	for _, dc := range []*story{one, two} {
		dc.untouched("mesh-gateway")
	}
	one.signed()
}

// fronting is for gateways whose entry is written apart, and that are to heed a new
// intention at once. By default Envoy spreads the end of connections accepted under older
// ones over ten minutes.
var fronting = testmesh.ProxyOptions{
	// A gateway needs the certificate of each service it fronts, so the right to write it.
	Rules:     `service_prefix "" { policy = "write" } node_prefix "" { policy = "read" } agent_prefix "" { policy = "read" }`,
	EnvoyArgs: []string{"--drain-strategy", "immediate"},
}

// carried starts the mesh's lambdamesh between two recorders, and a mesh gateway that is
// connected to it.
func (s *story) carried() *testmesh.MeshGateway {
	s.t.Helper()
	s.up = s.record(s.Consul.GRPCAddr())
	s.must(s.StartLambdamesh(s.ctx, "--consul-grpc-addr", s.up.Addr()))
	o := testmesh.ProxyOptions{}
	s.onWire(&o)
	g, err := s.AddMeshGateway(s.ctx, "mesh-gateway", o)
	s.must(err)
	s.healthy(g.Envoy)
	return g
}

// replicated waits until this datacenter has an entry that was written in another.
func (s *story) replicated(kind, name string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		_, _, err := s.Consul.API().ConfigEntries().Get(kind, name, (&api.QueryOptions{AllowStale: true}).WithContext(ctx))
		return err
	}))
}

// untouched checks that all that a proxy was sent is what Consul sent for it, byte for
// byte, and that Consul was asked for no more than the proxy asks for.
func (s *story) untouched(id string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		from, err := resourcesOf(s.up, id)
		if err != nil {
			return err
		}
		to, err := resourcesOf(s.wire, id)
		if err != nil {
			return err
		}
		if len(from) == 0 || len(from) != len(to) {
			return fmt.Errorf("consul sent %d resources for %s, which got %d", len(from), id, len(to))
		}
		for name, resource := range to {
			if !proto.Equal(resource, from[name]) {
				return fmt.Errorf("%s has %s as %s, Consul as %s", id, name, resource.GetVersion(), from[name].GetVersion())
			}
		}
		return nil
	}))
}

// resourcesOf are the last of each resource that a proxy was sent, by type and name.
func resourcesOf(wire *recorder.Proxy, id string) (map[string]*discoveryv3.Resource, error) {
	for _, c := range wire.Conversations() {
		if c.FirstRequest(recorder.ClusterType).GetNode().GetId() != id {
			continue
		}
		last := map[string]*discoveryv3.Resource{}
		for _, e := range c.Snapshot() {
			for _, r := range e.Response.GetResources() {
				last[e.Response.GetTypeUrl()+" "+r.GetName()] = r
			}
			for _, name := range e.Response.GetRemovedResources() {
				delete(last, e.Response.GetTypeUrl()+" "+name)
			}
		}
		return last, nil
	}
	return nil, errors.New("no conversation of " + id)
}
