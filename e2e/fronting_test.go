package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestGatewayComesAndGoes: calls go on while a gateway begins to front the function
// they go to, and while it stops to.
func TestGatewayComesAndGoes(t *testing.T) {
	t.Parallel()
	gatewayComesAndGoes(t)
}

// TestGatewayComesAndGoesWithProxyDefaults: with them, Consul 1.22.5 does not tell
// sidecars that a gateway has ceased to front a service.
func TestGatewayComesAndGoesWithProxyDefaults(t *testing.T) {
	t.Parallel()
	gatewayComesAndGoes(t, func(*story) api.ConfigEntry { return testmesh.HTTPByDefault() })
}

// TestGatewayComesAndGoesWithConsulsExtension: Consul itself makes the sidecar's cluster
// another one, each time.
func TestGatewayComesAndGoesWithConsulsExtension(t *testing.T) {
	t.Parallel()
	gatewayComesAndGoes(t, func(s *story) api.ConfigEntry { return s.extended("hello", "hello", "") })
}

func gatewayComesAndGoes(t *testing.T, entries ...func(*story) api.ConfigEntry) {
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("hello", "hello", nil)
	s.byHand("hello", meta(arn))
	s.byHand("other", meta(arn))
	for _, entry := range entries {
		s.must(s.Consul.SetEntry(s.ctx, entry(s)))
	}
	s.allow("web", "hello", "other")
	web := s.sidecar("web", "hello", "other")
	s.until(web, "hello", arn)
	gateway, err := s.AddTerminatingGateway(s.ctx, "gateway", []string{"other"}, testmesh.ProxyOptions{
		// A gateway needs the certificate of each service it fronts, so the right to write it.
		Rules: `service_prefix "" { policy = "write" }` + "\n" + `node_prefix "" { policy = "read" }` + "\n" + `agent_prefix "" { policy = "read" }`,
	})
	s.must(err)
	s.until(web, "other", arn)
	for round := range 3 {
		s.has(web, "hello", "cluster direct")
		const workers = 2
		stop := s.load(web, "hello", workers)
		s.must(gateway.Front(s.ctx, "other", "hello"))
		s.has(web, "hello", "")
		s.passes(gateway, "hello")
		if calls, failures := stop(); len(failures) > 0 {
			t.Errorf("round %d: the gateway began to front under %d calls, failed: %v", round, calls, failures)
		} else {
			t.Logf("round %d: the gateway began to front under %d calls, none failed", round, calls)
		}

		stop = s.load(web, "hello", workers)
		s.must(gateway.Front(s.ctx, "other"))
		t.Logf("round %d: delisted at %s", round, time.Now().Format("15:04:05.000"))
		s.has(web, "hello", "cluster direct")
		t.Logf("round %d: direct at %s", round, time.Now().Format("15:04:05.000"))
		for range 5 {
			s.answers(web, "hello", testmesh.Request{}, 200)
		}
		// Those in flight may fail: at most one of each worker.
		calls, failures := stop()
		t.Logf("round %d: the gateway stopped to front under %d calls, failed: %v", round, calls, failures)
		if len(failures) > workers {
			t.Errorf("round %d: more failed than were in flight", round)
		}
	}
	s.signed()
}

// passes waits until calls to an upstream go through the gateway's cluster.
func (s *story) passes(g *testmesh.Gateway, upstream string) {
	s.t.Helper()
	var name string
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) (err error) {
		name, err = clusterNamed(ctx, g.Envoy, upstream)
		return err
	}))
	s.must(g.Envoy.WaitStat(s.ctx, "cluster."+name+".upstream_rq_total", func(n int64) bool { return n > 3 }))
}
