package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// transparent: a sidecar that takes calls by their destination's address, without
// upstreams of its own.
func (s *topologies) transparent(t *testing.T) {
	const ip = "127.0.0.1"
	s.must(s.Consul.SetVirtualIP(s.ctx, "near", ip))
	worker, err := s.AddSidecar(s.ctx, "worker", nil, testmesh.ProxyOptions{Transparent: true})
	s.must(err)
	s.healthy(worker.Envoy)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i, service := range []string{"near", "hello", "app"} {
		if i > 0 {
			s.must(s.Consul.SetVirtualIP(s.ctx, service, ip))
			s.rewrite(service)
		}
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			answer, err := get(client, fmt.Sprintf("http://%s:%d/", ip, worker.OutboundPort))
			if err == nil && answer.header.Get("X-Function") != service && string(answer.body) != service {
				err = fmt.Errorf("answered by %s", answer.body)
			}
			return err
		}))
	}
	if got := s.state().proxy(worker.ProxyID).form("near"); got != "cluster direct" {
		t.Errorf("worker has near as %q", got)
	}
}

// rewrite changes a service-defaults entry in something that no proxy here sees, but that
// has Consul compute the service's chain anew.
func (s *story) rewrite(service string) {
	s.t.Helper()
	entry, _, err := s.Consul.API().ConfigEntries().Get(api.ServiceDefaults, service, nil)
	s.must(err)
	defaults := entry.(*api.ServiceConfigEntry)
	defaults.MaxInboundConnections = 1000
	s.must(s.Consul.SetEntry(s.ctx, defaults))
}

// noFunctions: Meta on what cannot be a function breaks nothing, and its state says why.
func (s *topologies) noFunctions(t *testing.T) {
	s.app("legacy")
	s.documented("Tcp, and instances of its own")
	s.must(s.Consul.RegisterLambda(s.ctx, "raw"))
	is := func(service, state, reason string) {
		t.Helper()
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			got := s.state().service(service)
			if got.State != state || !strings.Contains(strings.Join(got.Errors, "\n"), reason) {
				return fmt.Errorf("%s is %+v", service, got)
			}
			return nil
		}))
	}
	before := len(s.AWS.Invoke.Calls())
	is("raw", "error", `Protocol is "tcp" by service-defaults: it must be http, http2 or grpc`)
	is("legacy", "conflict", "the catalog has instances of it")
	for range 5 {
		if r := s.answers(s.web, "legacy", testmesh.Request{}, http.StatusOK); string(r.Body) != "legacy" {
			t.Fatalf("legacy is answered by %s", r.Body)
		}
		if r, err := s.web.Call(s.ctx, "raw", testmesh.Request{}); err == nil {
			t.Fatalf("raw answers %d %s", r.Status, r.Body)
		}
	}
	if got := s.AWS.Invoke.Calls()[before:]; len(got) != 0 {
		t.Errorf("AWS was asked: %v", got)
	}
	s.invoked(s.web, "hello", testmesh.Request{}, s.arnOf("hello"))
	for _, p := range []string{s.web.ProxyID, "gateway"} {
		if form := s.state().proxy(p).form("legacy"); form != "" {
			t.Errorf("%s has legacy as %q", p, form)
		}
	}
}
