package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestConsulComesLater: lambdamesh starts without Consul, says so, and goes on when
// Consul is there. An Envoy that serves keeps serving while Consul is away.
func TestConsulComesLater(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("hello", "hello", nil)
	s.byHand("hello", meta(arn))
	s.allow("web", "hello")
	web := s.sidecar("web", "hello")
	s.until(web, "hello", arn)

	s.must(s.Consul.Stop())
	s.Lambdamesh.Kill()
	later, err := testmesh.StartLambdamesh(s.ctx, testmesh.LambdameshConfig{
		Dir: s.Dir(), Ports: s.Ports(), Name: "early", Args: s.LambdameshArgs(), Env: s.LambdameshEnviron(), NoWait: true,
	})
	s.must(err)
	t.Cleanup(func() { s.must(later.Stop()) })
	body, err := later.Admin(s.ctx, "/readyz")
	if err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("without Consul readyz says %s (%v)", body, err)
	}
	s.answers(web, "hello", testmesh.Request{}, 200)
	s.must(s.Consul.Start(s.ctx))
	s.must(later.WaitReady(s.ctx))
	s.must(s.Lambdamesh.Start(s.ctx))
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		_, err := web.WaitStatus(s.ctx, "hello", testmesh.Request{}, 200)
		return err
	}))
	other := s.function("other", "hello", nil)
	s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("hello", meta(other))))
	s.until(web, "hello", other)
}
