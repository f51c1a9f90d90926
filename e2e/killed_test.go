package e2e

import (
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestGatewayIsKilled: calls go on while a gateway is killed, comes back, is killed
// again and is then taken from Consul for good. While its entry lists the function, its
// loss costs calls, and turns none into a direct one: not even the last way is taken
// before Consul says that there is no other.
func TestGatewayIsKilled(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("hello", "hello", nil)
	s.byHand("hello", meta(arn))
	s.allow("web", "hello")
	s.documented("A gateway comes and goes")
	gateway, err := s.AddTerminatingGateway(s.ctx, "gateway", nil, fronting)
	s.must(err)
	s.healthy(gateway.Envoy)
	web := s.sidecar("web", "hello")
	s.until(web, "hello", arn)

	const workers = 4
	stop := s.load(web, "hello", workers)
	killed := time.Now()
	gateway.Envoy.Kill()
	s.answers(web, "hello", testmesh.Request{}, 503)
	before := len(s.AWS.Invoke.Calls())
	for range 20 {
		s.answers(web, "hello", testmesh.Request{}, 503)
	}
	if after := len(s.AWS.Invoke.Calls()); after != before {
		t.Errorf("%d calls reached AWS without the gateway", after-before)
	}
	s.has(web, "hello", "")
	s.must(gateway.StartEnvoy(s.ctx))
	s.until(web, "hello", arn)
	calls, failures := stop()
	t.Logf("killed, and started again: %d of %d calls of %d workers failed in %s", len(failures), calls, workers, time.Since(killed))

	// Killed and taken away at once: all calls fail until the sidecar has a way of its own.
	stop = s.load(web, "hello", workers)
	killed = time.Now()
	gateway.Envoy.Kill()
	s.must(s.Consul.DeregisterAgentService(s.ctx, gateway.Name))
	s.must(gateway.Front(s.ctx))
	s.until(web, "hello", arn)
	outage := time.Since(killed)
	calls, failures = stop()
	t.Logf("killed, and taken away: %d of %d calls of %d workers failed; the next way stood after %s", len(failures), calls, workers, outage)
	s.has(web, "hello", "cluster direct")
	for range 20 {
		s.answers(web, "hello", testmesh.Request{}, 200)
	}
	s.signed()
}
