package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestIntentionsWithoutAGateway: what the gateway refused, nobody is allowed when it is
// gone: neither whom an intention denies, nor whom none allows, nor whom one allows
// some requests.
func TestIntentionsWithoutAGateway(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arns := map[string]string{}
	for _, name := range []string{"near", "vault", "unsaid", "ledger"} {
		arns[name] = s.function(name, "hello", nil)
		s.byHand(name, meta(arns[name]))
	}
	s.documented("Intentions without a gateway")
	gateway := s.gateway("gateway", "*")
	web := s.sidecar("web", "near", "vault", "unsaid", "ledger")
	s.until(web, "near", arns["near"])
	s.answers(web, "vault", testmesh.Request{}, 403)
	s.answers(web, "unsaid", testmesh.Request{}, 403)
	s.answers(web, "ledger", testmesh.Request{Path: "/public"}, 200)
	s.answers(web, "ledger", testmesh.Request{Path: "/private"}, 403)

	before := len(s.AWS.Invoke.Calls())
	s.must(gateway.Remove(s.ctx))
	s.has(web, "near", "cluster direct")
	s.until(web, "near", arns["near"])
	for _, name := range []string{"vault", "unsaid", "ledger"} {
		s.has(web, name, " direct")
		for range 5 {
			s.answers(web, name, testmesh.Request{Path: "/public"}, 503)
		}
	}
	for _, call := range s.AWS.Invoke.Calls()[before:] {
		if !invocationOf(arns["near"])(call) {
			t.Errorf("a refused call reached AWS: %+v", call)
		}
	}
	// Changes are heeded at once, both ways, for that service alone.
	stop := s.load(web, "near", 1)
	began := time.Now()
	s.allow("web", "vault")
	s.until(web, "vault", arns["vault"])
	t.Logf("allowed, and invoked after %s", time.Since(began))
	began = time.Now()
	s.must(s.Consul.Deny(s.ctx, "web", "vault"))
	s.answers(web, "vault", testmesh.Request{}, 503)
	t.Logf("denied, and refused after %s", time.Since(began))
	s.must(s.Consul.DeleteEntry(s.ctx, api.ServiceIntentions, "vault"))
	s.allow("*", "*")
	s.until(web, "unsaid", arns["unsaid"])
	s.until(web, "vault", arns["vault"])
	s.answers(web, "ledger", testmesh.Request{Path: "/public"}, 503)
	if calls, failures := stop(); len(failures) > 0 {
		t.Errorf("of %d calls of the allowed function, failed: %v", calls, failures)
	}
	s.signed()
}

// TestIntentionsWithheld: a lambdamesh whose token may not read intentions lets nobody
// invoke directly, and says so once. The way through a gateway is as ever.
func TestIntentionsWithheld(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{
		NoRegistrator: true, Rules: `service_prefix "" { policy = "read" intentions = "deny" } node_prefix "" { policy = "read" }`,
	})
	arn := s.function("hello", "hello", nil)
	s.byHand("near", meta(arn))
	s.byHand("fronted", meta(arn))
	s.allow("web", "near", "fronted")
	s.gateway("gateway", "fronted")
	web := s.sidecar("web", "near", "fronted")
	s.until(web, "fronted", arn)
	s.answers(web, "near", testmesh.Request{}, 503)
	// Another Table, so that it would be said again.
	s.byHand("more", meta(arn))
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		if s.state().service("more").State != "ok" {
			return fmt.Errorf("more is not there")
		}
		return nil
	}))
	s.answers(web, "near", testmesh.Request{}, 503)
	s.has(web, "near", "")
	log, err := os.ReadFile(filepath.Clean(s.Lambdamesh.LogPath()))
	s.must(err)
	if got := strings.Count(string(log), "never invoked directly"); got != 1 {
		t.Errorf("it is said %d times", got)
	}
	s.signed()
}

// has waits until a sidecar has a service in a form: "cluster direct"; " direct" for the
// cluster without endpoints; or empty, as Consul has it.
func (s *story) has(c *testmesh.Sidecar, service, form string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		if got := s.state().proxy(c.ProxyID).form(service); got != form {
			return fmt.Errorf("%s has %s as %q, want %q", c.ProxyID, service, got, form)
		}
		return nil
	}))
}
