package e2e

import (
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestTheGatewayListsByItself: with --terminating-gateway nobody edits the gateway's
// entry either. A tag is all there is to do, and the line goes with the tag.
func TestTheGatewayListsByItself(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{
		Rules:          testmesh.LambdameshRules + ` mesh = "write"`,
		LambdameshArgs: []string{"--terminating-gateway", "gateway", "--direct", "never"},
	})
	s.allow("web", "hello", "late")
	hello := s.function("hello", "hello", testmesh.EnabledTags())
	late := s.function("late", "hello", nil)
	g, err := s.AddTerminatingGateway(s.ctx, "gateway", nil, testmesh.ProxyOptions{
		Rules: `service_prefix "" { policy = "write" } node_prefix "" { policy = "read" }`,
	})
	s.must(err)
	s.healthy(g.Envoy)
	web := s.sidecar("web", "hello", "late")
	s.until(web, "hello", hello)
	s.unreachable(web, "late")
	s.must(s.AWS.Tag(s.ctx, late, testmesh.EnabledTags()))
	s.until(web, "late", late)
	s.must(s.AWS.Untag(s.ctx, late, testmesh.MetaPrefix+"enabled"))
	s.unreachable(web, "late")
	s.until(web, "hello", hello)
	s.signed()
}
