package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestSidecarsAlwaysBecomeReady starts sidecars without a gateway while the Meta of
// their functions flips. An Envoy that is given one form of a cluster and at once
// the other never finishes its initialization: it would say it is ready, and have
// no listeners.
func TestSidecarsAlwaysBecomeReady(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("steady", "hello", nil)
	s.byHand("steady", meta(arn))
	s.byHand("flips", meta(arn))
	s.allow("web", "steady", "flips")
	ctx, stop := context.WithCancel(s.ctx)
	var flipping sync.WaitGroup
	flips := 0
	flipping.Go(func() {
		for on := false; ctx.Err() == nil; on = !on {
			m := meta(arn)
			if !on {
				m["enabled"] = "false"
			}
			if err := s.Consul.SetEntry(ctx, testmesh.LambdaDefaults("flips", m)); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			flips++
		}
	})
	defer func() { stop(); flipping.Wait(); t.Logf("Meta changed %d times", flips) }()
	web, err := s.AddSidecar(s.ctx, "web", []string{"steady", "flips"}, testmesh.ProxyOptions{NoEnvoy: true})
	s.must(err)
	for range 8 {
		s.must(web.StartEnvoy(s.ctx))
		s.until(web, "steady", arn)
		listeners, err := web.Envoy.Listeners(s.ctx)
		s.must(err)
		for _, name := range []string{"steady:", "flips:", "public_listener:"} {
			if !strings.Contains(strings.Join(listeners, " "), name) {
				t.Errorf("no listener %s in %v", name, listeners)
			}
		}
		if rejected, err := web.Envoy.Rejected(s.ctx); err != nil || rejected != 0 {
			t.Errorf("refused: %d (%v)", rejected, err)
		}
		s.must(web.Envoy.Stop())
	}
}
