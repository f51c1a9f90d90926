package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestListenerMode: with the filter in listeners, as Envoy 1.30 needs it, functions are
// called through a gateway and directly, several behind one listener and beside ordinary
// services. No Envoy before 1.36 can be had here; the flag makes newer ones do so.
func TestListenerMode(t *testing.T) {
	t.Parallel()
	for _, version := range []string{parts.EnvoyVersion, parts.OlderEnvoys[0]} {
		t.Run(version, func(t *testing.T) {
			s := begin(t, testmesh.MeshConfig{NoRegistrator: true, LambdameshArgs: []string{"--patch-mode", "listener"}})
			s.inListeners(version)
		})
	}
}

func (s *story) inListeners(version string) {
	one, two := s.function("one", "hello", nil), s.function("two", "hello", nil)
	echo, tell := s.function("echo", "echo", nil), s.function("tell", "tell", nil)
	for _, path := range []string{"fronted", "near"} {
		s.byHand(path, meta(one))
		s.byHand(path+"-echo", meta(echo, "payload-passthrough", "true"))
		s.byHand(path+"-tell", meta(tell))
	}
	s.app("app")
	s.must(s.Consul.SetEntry(s.ctx,
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "app", Protocol: "http"},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "split", Protocol: "http"},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "routed", Protocol: "http"},
		&api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "split", Splits: []api.ServiceSplit{
			{Weight: 34, Service: "near"}, {Weight: 33, Service: "near-tell"}, {Weight: 33, Service: "app"},
		}},
		&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "routed", Routes: []api.ServiceRoute{
			{Match: &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathPrefix: "/fn"}}, Destination: &api.ServiceRouteDestination{Service: "near"}},
			{Destination: &api.ServiceRouteDestination{Service: "app"}},
		}},
	))
	s.allow("web", "fronted", "fronted-echo", "fronted-tell", "near", "near-echo", "near-tell", "app", "split", "routed")
	options := testmesh.ProxyOptions{EnvoyVersion: version}
	gateway, err := s.AddTerminatingGateway(s.ctx, "gateway", []string{"fronted", "fronted-echo", "fronted-tell"}, options)
	s.must(err)
	s.healthy(gateway.Envoy)
	web, err := s.AddSidecar(s.ctx, "web", []string{"fronted", "fronted-echo", "fronted-tell", "near", "near-echo", "near-tell", "app", "split", "routed"}, options)
	s.must(err)
	s.healthy(web.Envoy)
	told := func(what string) testmesh.Request {
		return testmesh.Request{Method: "POST", Body: what, Header: http.Header{"Content-Type": {"application/json"}, "X-Amz-Log-Type": {"Tail"}}}
	}
	for _, path := range []string{"fronted", "near"} {
		g := s.greets(s.answers(web, path, testmesh.Request{Path: "/a/b?name=x", Header: http.Header{
			"X-Amz-Log-Type": {"Tail"}, "Authorization": {"Bearer caller"},
		}}, 200))
		if g.ARN != one || g.Path != "/a/b?name=x" || g.Headers["x-amz-log-type"] != "" || g.Headers["authorization"] != "Bearer caller" {
			s.t.Errorf("%s: the function saw %+v", path, g)
		}
		if got := string(s.answers(web, path+"-echo", told(`{"bare":1}`), 200).Body); !strings.Contains(got, `"echo": {"bare": 1}`) {
			s.t.Errorf("%s-echo: %s", path, got)
		}
		s.answers(web, path+"-tell", told(`{"raise":"boom"}`), 502)
	}
	if version == parts.EnvoyVersion { // 1.36.2 holds 1 MiB for filters of a listener, whatever a route says
		large := `"` + strings.Repeat("a", 5_000_000) + `"`
		for _, path := range []string{"fronted", "near"} {
			s.answers(web, path+"-tell", told(`{"return":{"statusCode":200,"body":`+large+`}}`), 200)
		}
	}
	s.answers(web, "app", testmesh.Request{}, 200)
	s.answers(web, "routed", testmesh.Request{}, 200)
	if g := s.greets(s.answers(web, "routed", testmesh.Request{Path: "/fn/x"}, 200)); g.Path != "/fn/x" {
		s.t.Errorf("the function behind a router saw %+v", g)
	}
	kinds := map[string]int{}
	for range 60 {
		r := s.answers(web, "split", told(`{}`), 200)
		switch body := string(r.Body); {
		case body == "app":
			kinds["app"]++
		case strings.Contains(body, `"function"`):
			kinds["one"]++
		default:
			kinds["tell"]++
		}
	}
	if len(kinds) != 3 {
		s.t.Errorf("the splitter reached %v", kinds)
	}
	for _, proxy := range []string{gateway.Name, web.ProxyID} {
		service, want := "fronted", "listener gateway"
		if proxy == web.ProxyID {
			service, want = "near", "listener direct"
		}
		if got := s.state().proxy(proxy).form(service); got != want {
			s.t.Errorf("%s has %s as %q", proxy, service, got)
		}
	}
	// Another ARN is one route, or one listener with it; nothing fails meanwhile.
	stopFronted, stopNear := s.load(web, "fronted", 1), s.load(web, "near", 1)
	for _, name := range []string{"fronted", "near"} {
		s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(name, meta(two))))
		s.until(web, name, two)
	}
	for name, stop := range map[string]func() (int, []string){"fronted": stopFronted, "near": stopNear} {
		if calls, failures := stop(); len(failures) > 0 {
			s.t.Errorf("%s: %d calls, failures: %v", name, calls, failures)
		}
	}
	// A function that comes and goes behind a listener that stands.
	s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("near", map[string]string{"enabled": "false", "arn": two})))
	s.answers(web, "near", testmesh.Request{}, 503)
	s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("near", meta(one))))
	s.until(web, "near", one)
	s.signed()
}
