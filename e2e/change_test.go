package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestChangesHurtNobodyElse adds, changes, switches off and removes a function
// while calls to an ordinary service and to another function go on.
func TestChangesHurtNobodyElse(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	one, two := s.function("one", "hello", nil), s.function("two", "hello", nil)
	s.byHand("steady", meta(one))
	s.app("app")
	s.allow("web", "app", "steady", "fronted", "near")
	gateway := s.gateway("gateway", "steady", "fronted")
	web := s.sidecar("web", "app", "steady", "fronted", "near")
	s.answers(web, "app", testmesh.Request{}, 200)
	s.answers(web, "steady", testmesh.Request{}, 200)
	stopApp, stopSteady := s.load(web, "app", 1), s.load(web, "steady", 1)

	for _, name := range []string{"fronted", "near"} {
		s.must(s.Consul.RegisterLambda(s.ctx, name))
		for range 2 {
			s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(name, meta(one))))
			s.until(web, name, one)
			s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(name, meta(two))))
			s.until(web, name, two)
			s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(name, map[string]string{"enabled": "false", "arn": two})))
			s.answers(web, name, testmesh.Request{}, 503)
		}
		s.must(s.Consul.DeleteEntry(s.ctx, "service-defaults", name))
		s.unreachable(web, name)
		s.must(s.Consul.DeregisterLambda(s.ctx, name))
	}
	for name, stop := range map[string]func() (int, []string){"app": stopApp, "steady": stopSteady} {
		calls, failures := stop()
		t.Logf("%s: %d calls, %d failed", name, calls, len(failures))
		if len(failures) > 0 || calls < 10 {
			t.Errorf("%s: %d calls, failures: %v", name, calls, failures)
		}
	}
	if got := s.state().proxy(gateway.Name).form("steady"); got != "cluster gateway" {
		t.Errorf("the gateway has steady as %q", got)
	}
	s.signed()
}

// until calls an upstream until the function with this ARN answers.
func (s *story) until(c *testmesh.Sidecar, upstream, arn string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		r, err := c.WaitStatus(s.ctx, upstream, testmesh.Request{}, 200)
		if err != nil {
			return err
		}
		if got := s.greets(r).ARN; got != arn {
			return fmt.Errorf("%s is served by %s", upstream, got)
		}
		return nil
	}))
}
