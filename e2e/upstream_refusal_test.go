package e2e

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestRefusedVersionIsConsuls: an Envoy that Consul takes for too old is told so in its
// words, and Consul is asked once.
func TestRefusedVersionIsConsuls(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true})
	up := s.record(s.Consul.GRPCAddr())
	s.must(s.StartLambdamesh(s.ctx, "--consul-grpc-addr", up.Addr()))
	web, err := s.AddSidecar(s.ctx, "web", nil, testmesh.ProxyOptions{NoEnvoy: true})
	s.must(err)
	s.secrets = append(s.secrets, web.Token.SecretID)
	old := envoyNode(web.ProxyID)
	old.GetUserAgentBuildVersion().GetVersion().MinorNumber = 10
	silent := envoyNode(web.ProxyID)
	silent.GetUserAgentBuildVersion().Version = nil // which Consul reads as 0.0.0; without all of it, it serves
	for what, node := range map[string]*corev3.Node{
		"an old Envoy": old,
		"no version":   silent,
	} {
		before := len(up.Conversations())
		direct := s.end(s.Consul.GRPCAddr(), web.Token.SecretID, node)
		through := s.end(s.Lambdamesh.XDSAddr(), web.Token.SecretID, node)
		if direct.Code() != codes.InvalidArgument || through.Code() != direct.Code() || through.Message() != direct.Message() {
			t.Errorf("%s: Consul says %v, lambdamesh %v", what, direct, through)
		}
		if asked := len(up.Conversations()) - before; asked != 1 {
			t.Errorf("%s: Consul was asked %d times", what, asked)
		}
	}
}

// end asks for clusters and returns how the stream ends. Nothing may have come on it.
func (s *story) end(addr, token string, node *corev3.Node) *status.Status {
	s.t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	defer conn.Close()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(
		metadata.AppendToOutgoingContext(s.ctx, "x-consul-token", token))
	s.must(err)
	// The stream may have been ended by now: Recv tells why.
	_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: recorder.ClusterType})
	resp, err := stream.Recv()
	if err == nil {
		s.t.Fatalf("the stream was answered with %d resources", len(resp.GetResources()))
	}
	return status.Convert(err)
}

// TestRevokedToken: the token of an Envoy is deleted while its stream is open. Consul
// ends the stream at the next request on it, Envoy is told, and whoever has that token is
// given nothing any more, neither from Consul nor from what lambdamesh knows. The Envoy
// serves on with what it has.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	one, two := s.function("one", "hello", nil), s.function("two", "hello", nil)
	s.byHand("near", meta(one))
	s.byHand("fronted", meta(one))
	s.allow("web", "fronted", "near")
	// A token of its stream alone: the agent needs the other one.
	token, err := s.Consul.Token(s.ctx, "stream", `
service "web" { policy = "write" }
service "web-sidecar-proxy" { policy = "write" }
`+testmesh.ReadMesh)
	s.must(err)
	gateway := s.gateway("gateway", "fronted")
	web, err := s.AddSidecar(s.ctx, "web", []string{"near", "fronted"}, testmesh.ProxyOptions{EnvoyToken: token.SecretID})
	s.must(err)
	s.until(web, "near", one)
	s.until(web, "fronted", one)
	stop := s.load(web, "near", 1)

	s.must(s.Consul.DeleteToken(s.ctx, token))
	// What Consul sends now Envoy acknowledges, and Consul looks at the token again.
	s.must(s.Consul.SetEntry(s.ctx, &api.ServiceResolverConfigEntry{
		Kind: api.ServiceResolver, Name: "fronted", LoadBalancer: &api.LoadBalancer{Policy: "least_request"},
	}))
	var last *recorder.Conversation
	s.must(s.wire.Wait(s.ctx, func(all []*recorder.Conversation) bool {
		i := slices.IndexFunc(all, func(c *recorder.Conversation) bool {
			first := c.FirstRequest(recorder.ClusterType)
			return first.GetNode().GetId() == web.ProxyID && status.Code(c.Ended()) == codes.Unauthenticated
		})
		if i >= 0 {
			last = all[i]
		}
		return i >= 0
	}))
	if text := status.Convert(last.Ended()).Message(); !strings.Contains(text, "ACL not found") {
		t.Errorf("Envoy is told %q", text)
	}
	s.must(web.Envoy.WaitStat(s.ctx, "control_plane.connected_state", func(n int64) bool { return n == 0 }))

	// The Table changes; the gateway is told.
	s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("near", meta(two)), testmesh.LambdaDefaults("fronted", meta(two))))
	s.until(web, "fronted", two)
	node := envoyNode(web.ProxyID)
	if end := s.end(s.wire.Addr(), token.SecretID, node); end.Code() != codes.Unauthenticated {
		t.Errorf("a new stream with that token ends with %v", end)
	}
	// Envoy itself tries again, too.
	s.must(s.wire.Wait(s.ctx, func(all []*recorder.Conversation) bool {
		return slices.ContainsFunc(all[slices.Index(all, last)+1:], func(c *recorder.Conversation) bool {
			first := c.FirstRequest(recorder.ClusterType)
			return first.GetNode().GetId() == web.ProxyID && len(first.GetInitialResourceVersions()) > 0 && c.Ended() != nil
		})
	}))
	all := s.wire.Conversations()
	for _, c := range all[slices.Index(all, last)+1:] {
		for _, e := range c.Snapshot() {
			if e.Response != nil {
				t.Errorf("after the token was revoked its stream got %d resources", len(e.Response.GetResources()))
			}
		}
	}
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		if s.state().proxy(web.ProxyID).Connected {
			return errors.New("the state has the Envoy as connected")
		}
		return nil
	}))
	s.until(web, "near", one)
	if calls, failures := stop(); len(failures) > 0 {
		t.Errorf("of %d calls failed: %v", calls, failures)
	}
	if got := s.state().proxy(gateway.Name).form("fronted"); got != "cluster gateway" {
		t.Errorf("the gateway has fronted as %q", got)
	}
	s.signed()
}
