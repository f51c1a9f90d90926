package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// routerAndResolver: the right function, and the path that it is meant to see.
func (s *topologies) routerAndResolver(t *testing.T) {
	s.documented("Service router, redirect and subsets")
	g := s.invoked(s.web, "shop", testmesh.Request{Path: "/hello/a/b?name=route"}, s.arnOf("hello"))
	if g.Path != "/a/b?name=route" || g.Message != "Hello, route!" {
		t.Errorf("by prefix the function saw %+v", g)
	}
	g = s.invoked(s.web, "shop", testmesh.Request{Path: "/a", Header: http.Header{"X-Version": {"next"}}}, s.arnOf("near"))
	if g.Path != "/a" {
		t.Errorf("by header the function saw %+v", g)
	}
	if r := s.answers(s.web, "shop", testmesh.Request{Path: "/a"}, http.StatusOK); string(r.Body) != "app" {
		t.Errorf("all else is answered by %s", r.Body)
	}
	if g := s.invoked(s.web, "old-hello", testmesh.Request{Path: "/old"}, s.arnOf("hello")); g.Path != "/old" {
		t.Errorf("redirected, the function saw %+v", g)
	}
	for _, e := range []*testmesh.Envoy{s.web.Envoy, s.gateway.Envoy} {
		s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
			_, err := clusterNamed(ctx, e, "stable.goodbye")
			return err
		}))
	}
	s.invoked(s.web, "goodbye", testmesh.Request{}, s.arnOf("goodbye"))
}
