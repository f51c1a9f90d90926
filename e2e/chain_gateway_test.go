package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// severalFunctions: each service of one gateway invokes its own function.
func (s *topologies) severalFunctions(t *testing.T) {
	before := len(s.AWS.Invoke.Calls())
	for upstream, function := range map[string]string{
		"hello": "hello", "hello-blue": "hello:blue", "hello-green": "hello:green", "goodbye": "goodbye",
	} {
		s.answers(s.web, upstream, testmesh.Request{}, http.StatusOK)
		if got := s.invocations(before)[function]; got != 1 {
			t.Errorf("%s: %s was invoked %d times", upstream, function, got)
		}
		if got := s.state().proxy("gateway").form(upstream); got != "cluster gateway" {
			t.Errorf("the gateway has %s as %q", upstream, got)
		}
	}
}

// everyService: with "*" the gateway fronts all, and who invoked near directly no longer
// does.
func (s *topologies) everyService(t *testing.T) {
	s.invoked(s.web, "near", testmesh.Request{}, s.arnOf("near"))
	if got := s.state().proxy(s.web.ProxyID).form("near"); got != "cluster direct" {
		t.Errorf("before, web has near as %q", got)
	}
	s.documented("Every service")
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		if got := s.state().proxy(s.web.ProxyID).form("near"); got != "" {
			return fmt.Errorf("web has near as %q", got)
		}
		return nil
	}))
	for _, upstream := range []string{"near", "hello", "goodbye", "first"} {
		s.until(s.web, upstream, s.arnOf(upstream))
	}
	near, err := clusterNamed(s.ctx, s.gateway.Envoy, "near")
	s.must(err)
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		s.invoked(s.web, "near", testmesh.Request{}, s.arnOf("near"))
		passed, err := s.gateway.Envoy.Stat(ctx, "cluster."+near+".upstream_rq_total")
		if err == nil && passed == 0 {
			err = fmt.Errorf("no call passes the gateway")
		}
		return err
	}))
}
