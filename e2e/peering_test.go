package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestPeeredClusters: a sidecar calls a function that a peered cluster exports, by the
// mesh gateways of both and the terminating gateway of the other. Each cluster has a
// lambdamesh of its own, and the caller's knows nothing of the function.
func TestPeeredClusters(t *testing.T) {
	t.Parallel()
	near := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true, Consul: testmesh.ConsulConfig{Peering: true}})
	far := begin(t, testmesh.MeshConfig{
		NoRegistrator: true, NoLambdamesh: true, Beside: near.Mesh, Consul: testmesh.ConsulConfig{Peering: true},
	})
	for _, cluster := range []*story{near, far} {
		cluster.carried()
	}
	peer(near, "near", far, "far")
	arn := far.function("hello", "hello", nil)
	far.byHand("hello", meta(arn))
	far.documented("Two peered clusters")
	gateway, err := far.AddTerminatingGateway(far.ctx, "gateway", nil, fronting)
	far.must(err)
	far.healthy(gateway.Envoy)
	web, err := near.AddSidecar(near.ctx, "web", nil, testmesh.ProxyOptions{Upstreams: []api.Upstream{
		{DestinationName: "hello", DestinationPeer: "far", MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeLocal}},
	}})
	near.must(err)
	near.healthy(web.Envoy)
	near.until(web, "hello", arn)
	for range 20 {
		near.answers(web, "hello", testmesh.Request{}, 200)
	}
	if got := far.state().proxy("gateway").form("hello"); got != "cluster gateway" {
		t.Errorf("the terminating gateway has hello as %q", got)
	}
	for _, id := range []string{"mesh-gateway", web.ProxyID} {
		if got := near.state().proxy(id).Patched; len(got) > 0 {
			t.Errorf("%s has patches: %v", id, got)
		}
	}
	far.must(far.Consul.SetEntry(far.ctx, &api.ServiceIntentionsConfigEntry{
		Kind: api.ServiceIntentions, Name: "hello",
		Sources: []*api.SourceIntention{{Name: "web", Peer: "near", Action: api.IntentionActionDeny}},
	}))
	near.answers(web, "hello", testmesh.Request{}, 403)
	near.untouched(web.ProxyID)
	for _, cluster := range []*story{near, far} {
		cluster.untouched("mesh-gateway")
	}
	near.signed()
}

// peer lets two clusters know each other by these names.
func peer(a *story, nameOfA string, b *story, nameOfB string) {
	a.t.Helper()
	w := (&api.WriteOptions{}).WithContext(a.ctx)
	token, _, err := b.Consul.API().Peerings().GenerateToken(a.ctx, api.PeeringGenerateTokenRequest{PeerName: nameOfA}, w)
	a.must(err)
	a.must(testmesh.Poll(a.ctx, func(ctx context.Context) error {
		_, _, err := a.Consul.API().Peerings().Establish(ctx,
			api.PeeringEstablishRequest{PeerName: nameOfB, PeeringToken: token.PeeringToken}, (&api.WriteOptions{}).WithContext(ctx))
		return err
	}))
	a.must(testmesh.Poll(a.ctx, func(ctx context.Context) error {
		p, _, err := a.Consul.API().Peerings().Read(ctx, nameOfB, (&api.QueryOptions{}).WithContext(ctx))
		if err == nil && (p == nil || p.State != api.PeeringStateActive) {
			err = fmt.Errorf("the peering is not active: %+v", p)
		}
		return err
	}))
}
