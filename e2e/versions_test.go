package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/sigv4proxy"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestEnvoyVersions: every field that lambdamesh sends is known to the Envoy that gets it,
// and does there what it is for. The Envoys refuse what they do not know.
func TestEnvoyVersions(t *testing.T) {
	t.Parallel()
	versions := append([]string{parts.EnvoyVersion}, parts.OlderEnvoys...)
	for _, version := range versions {
		testmesh.Bin(t, func(c *parts.Cache, ctx context.Context) (parts.Part, error) { return c.EnvoyOf(ctx, version) })
	}
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn, err := s.AWS.CreateFunction(s.ctx, testmesh.Function{Name: "tell", File: s.source("tell"), Timeout: 1})
	s.must(err)
	throttled := s.function("throttled", "hello", nil)
	s.throttle("throttled")
	missing := strings.Replace(arn, "tell", "missing", 1)
	direct := map[string]map[string]string{
		"envelope":    meta(arn),
		"passthrough": meta(arn, "payload-passthrough", "true"),
		"raw":         meta(arn, "error-mapping", "false"),
		"insistent":   meta(throttled, "retries", "2"),
		"retried":     meta(arn),
		"gone":        meta(missing),
		"gone-later":  meta(missing, "invocation-mode", "ASYNCHRONOUS"),
	}
	var upstreams []string
	for name, meta := range direct {
		upstreams = append(upstreams, name)
		s.byHand(name, meta)
		s.allow("*", name)
	}
	upstreams = append(upstreams, "extended")
	s.extends("extended", "tell")
	for _, name := range []string{"retried", "gone", "gone-later"} {
		s.must(s.Consul.SetEntry(s.ctx, &api.ServiceRouterConfigEntry{
			Kind: api.ServiceRouter, Name: name,
			Routes: []api.ServiceRoute{{Destination: &api.ServiceRouteDestination{NumRetries: 2, RetryOnStatusCodes: []uint32{404, 502}}}},
		}))
	}
	s.onWire(new(testmesh.ProxyOptions)) // one recorder for all versions
	for _, version := range versions {
		s.run(version, func(*testing.T) { s.onEnvoy(version, arn, upstreams) })
	}
	s.signed()
	for _, version := range versions {
		s.run(version+" without credentials", func(*testing.T) { s.unsigned(version) })
	}
}

// onEnvoy tells the story with a gateway and two sidecars of one version.
func (s *story) onEnvoy(version, arn string, upstreams []string) {
	name := strings.ReplaceAll(version, ".", "-")
	fronted, extended := "fronted-"+name, "extended-"+name
	s.byHand(fronted, meta(arn))
	s.extends(extended, "tell")
	s.allow("web-"+name, fronted)
	gateway, err := s.AddTerminatingGateway(s.ctx, "gateway-"+name, []string{fronted, extended}, testmesh.ProxyOptions{EnvoyVersion: version})
	s.must(err)
	s.healthy(gateway.Envoy)
	web, err := s.AddSidecar(s.ctx, "web-"+name, append(upstreams, fronted, extended), testmesh.ProxyOptions{EnvoyVersion: version})
	s.must(err)
	s.healthy(web.Envoy)
	for _, e := range []*testmesh.Envoy{gateway.Envoy, web.Envoy} {
		info, err := e.Admin(s.ctx, http.MethodGet, "/server_info")
		s.must(err)
		if !strings.Contains(string(info), "/"+version+"/") {
			s.t.Fatalf("this is no Envoy %s: %s", version, info)
		}
	}
	told := func(what string) testmesh.Request {
		return testmesh.Request{Method: "POST", Body: what, Header: http.Header{"Content-Type": {"application/json"}}}
	}
	for _, upstream := range []string{fronted, "envelope", "passthrough"} {
		s.answers(web, upstream, told(`{}`), 200)
		s.answers(web, upstream, told(`{"raise":"boom"}`), 502)
		s.answers(web, upstream, told(`{"sleep":30}`), 504)
	}
	if got := s.answers(web, "raw", told(`{"raise":"boom"}`), 200); got.Header.Get("X-Amz-Function-Error") == "" {
		s.t.Errorf("error-mapping=false gives %v", got)
	}
	// The filter of Consul's own extension stays inert: a second one would wrap the envelope.
	for upstream, envoy := range map[string]*testmesh.Envoy{extended: gateway.Envoy, "extended": web.Envoy} {
		s.applied(envoy, arn, true)
		request := told(`{}`)
		request.Path = "/once"
		var event struct {
			Path string `json:"raw_path"`
		}
		s.must(json.Unmarshal(s.answers(web, upstream, request, 200).Body, &event))
		if event.Path != "/once" {
			s.t.Errorf("%s: the function saw %s", upstream, event.Path)
		}
	}
	// Retries: of the cluster's own policy, and of a route's. An Envoy before 1.37 would
	// end at the latter, so there they are off.
	answers := 3
	if strings.HasPrefix(version, "1.36.") {
		answers = 1
	}
	for _, test := range []struct {
		upstream, body string
		status, calls  int
	}{
		{"insistent", `{}`, 429, answers},
		{"retried", `{"raise":"boom"}`, 502, answers},
		{"retried", `{"return":{"statusCode":502}}`, 502, answers},
		{"gone", `{}`, 404, answers},
		{"gone-later", `{}`, 404, 1},
	} {
		s.answers(web, test.upstream, told(test.body), test.status) // it has arrived
		before := len(s.AWS.Invoke.Calls())
		r, err := web.Call(s.ctx, test.upstream, told(test.body))
		s.must(err)
		if got := len(s.AWS.Invoke.Calls()) - before; r.Status != test.status || got != test.calls {
			s.t.Errorf("%s %s: %d after %d calls of AWS, want %d after %d", test.upstream, test.body, r.Status, got, test.status, test.calls)
		}
	}
	for _, e := range []*testmesh.Envoy{gateway.Envoy, web.Envoy} {
		unknown, err := e.Stat(s.ctx, "server.dynamic_unknown_fields")
		s.must(err)
		if unknown != 0 || !e.Running() {
			s.t.Errorf("%s: %d unknown fields, running: %t", e.LogPath(), unknown, e.Running())
		}
	}
}

// extends makes a service a function by Consul's own extension, and lets everybody call it.
func (s *story) extends(name, function string) {
	s.t.Helper()
	s.must(s.Consul.RegisterLambda(s.ctx, name))
	s.must(s.Consul.SetEntry(s.ctx, s.extended(name, function, "")))
	s.allow("*", name)
}

// unsigned: an Envoy without credentials sends no signature, and nothing of the caller's
// in its place.
func (s *story) unsigned(version string) {
	bare, err := s.AddSidecar(s.ctx, "bare-"+strings.ReplaceAll(version, ".", "-"), []string{"envelope", "passthrough"}, testmesh.ProxyOptions{EnvoyVersion: version, NoCredentials: true})
	s.must(err)
	for _, upstream := range []string{"envelope", "passthrough"} {
		before := len(s.AWS.Invoke.Calls())
		s.answers(bare, upstream, testmesh.Request{Method: "POST", Body: "{}", Header: http.Header{"Authorization": {"Bearer of-the-caller"}}}, 403)
		calls := s.AWS.Invoke.Calls()[before:]
		if len(calls) == 0 {
			s.t.Errorf("%s: AWS was not called", upstream)
		}
		for _, call := range calls {
			// With any Authorization it would be another refusal.
			if call.Refused != sigv4proxy.CodeMissingToken {
				s.t.Errorf("%s: AWS refused with %s (%s)", upstream, call.Refused, call.Reason)
			}
			if in := strings.Contains(string(call.Body), "Bearer of-the-caller"); in != (upstream == "envelope") {
				s.t.Errorf("%s: the caller's Authorization is in the event: %t", upstream, in)
			}
		}
	}
	s.must(bare.Envoy.Stop())
}
