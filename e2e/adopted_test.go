package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// TestConsulsRegistratorIsReplaced: what Consul's own registrator made is invoked before
// ours comes; after it has adopted it and left the extension in; and after it took that
// out. Calls go on all the while.
func TestConsulsRegistratorIsReplaced(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arns, upstreams := map[string]string{}, []string{"fronted", "near", "queue"}
	for _, name := range upstreams {
		mode := "SYNCHRONOUS"
		if name == "queue" {
			mode = "ASYNCHRONOUS"
		}
		arns[name] = s.function(name, "hello", testmesh.EnabledTags("invocation-mode", mode))
		s.must(s.Consul.SetEntry(s.ctx, s.extended(name, name, mode)))
		_, err := s.Consul.API().Catalog().Register(&api.CatalogRegistration{
			Node: "lambdas", SkipNodeUpdate: true,
			NodeMeta: map[string]string{"external-node": "true", "external-probe": "true"},
			Service:  &api.AgentService{ID: name, Service: name, Tags: []string{lambda.Mark}},
		}, (&api.WriteOptions{}).WithContext(s.ctx))
		s.must(err)
	}
	s.allow("web", upstreams...)
	gateway := s.gateway("gateway", "fronted", "queue")
	web := s.sidecar("web", upstreams...)

	works := func(kind, source string, left bool, args ...string) {
		t.Helper()
		if kind != "" {
			out, err := s.Lambdamesh.Run(s.ctx, append([]string{"sync", "-o", "json"}, args...)...)
			s.must(err)
			var p plan
			s.must(json.Unmarshal([]byte(out), &p))
			for _, name := range upstreams {
				if got := p.kind(name); got != kind {
					t.Errorf("%s: %q, want %q", name, got, kind)
				}
			}
		}
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			for _, name := range upstreams {
				if got := s.state().service(name); got.State != "ok" || got.Source != source || len(got.Warnings) > 0 {
					return fmt.Errorf("%s is %+v", name, got)
				}
			}
			return nil
		}))
		s.applied(gateway.Envoy, arns["fronted"], left)
		s.applied(gateway.Envoy, arns["queue"], left)
		s.applied(web.Envoy, arns["near"], left)
		s.until(web, "fronted", arns["fronted"])
		s.until(web, "near", arns["near"])
		s.answers(web, "queue", testmesh.Request{}, http.StatusAccepted)
	}
	works("", "extension", true)
	stopFronted, stopNear := s.load(web, "fronted", 1), s.load(web, "near", 1)
	works("adopt", "meta", true, "--keep-envoy-extensions")
	works("update", "meta", false)
	for name, stop := range map[string]func() (int, []string){"fronted": stopFronted, "near": stopNear} {
		calls, failures := stop()
		t.Logf("%s: %d calls, %d failed", name, calls, len(failures))
		if len(failures) > 0 {
			t.Errorf("%s: failed: %v", name, failures)
		}
	}
	for _, c := range s.AWS.Invoke.Calls() {
		if want := map[bool]string{true: "Event", false: "RequestResponse"}[functionOf(c) == "queue"]; c.Header.Get("X-Amz-Invocation-Type") != want {
			t.Errorf("%s was invoked as %v", functionOf(c), c.Header["X-Amz-Invocation-Type"])
		}
	}
	s.signed()
}
