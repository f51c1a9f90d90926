package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// extending is a mesh in which Consul's own Lambda extension makes functions.
type extending struct {
	*story
	gateway *testmesh.Gateway // fronts report, queue, toggled and broken
	web     *testmesh.Sidecar
}

// TestConsulsOwnExtension: a function by service-defaults with EnvoyExtensions
// builtin/aws/lambda, which Consul itself makes an invocation of, works like any other.
func TestConsulsOwnExtension(t *testing.T) {
	t.Parallel()
	s := &extending{story: begin(t, testmesh.MeshConfig{NoRegistrator: true, LambdameshArgs: []string{
		"--allow-arns", "arn:aws:lambda:*:*:function:report,arn:aws:lambda:*:*:function:queue",
	}})}
	for _, name := range []string{"report", "queue", "forbidden"} {
		s.function(name, "hello", nil)
	}
	upstreams := []string{"report", "queue", "near", "near-queue", "denied", "forbidden", "toggled", "near-toggled", "broken"}
	for _, name := range upstreams {
		s.must(s.Consul.RegisterLambda(s.ctx, name))
		if name != "denied" {
			s.allow("web", name)
		}
	}
	s.documented("Consul already patched it")
	s.must(s.Consul.SetEntry(s.ctx,
		s.extended("near", "report", "SYNCHRONOUS"), s.extended("near-queue", "queue", "ASYNCHRONOUS"),
		s.extended("denied", "report", ""), s.extended("forbidden", "forbidden", ""),
	))
	s.gateway = s.story.gateway("gateway", "report", "queue", "toggled", "broken")
	s.web = s.sidecar("web", upstreams...)

	s.run("invoked once, in the mode that is written", s.once)
	s.run("sidecars start", s.start)
	s.run("bounds and intentions", s.bounded)
	s.run("while calls run", s.toggled)
	s.run("a lost gateway stays the way", s.lost)
	s.run("mistakes", s.mistaken)
	s.run("a mistake that Consul requires", s.required)
	s.signed()
}

// extended is an entry as Consul's own registrator writes it.
func (s *story) extended(name, function, mode string) *api.ServiceConfigEntry {
	return &api.ServiceConfigEntry{
		Kind: api.ServiceDefaults, Name: name, Protocol: "http",
		EnvoyExtensions: []api.EnvoyExtension{{Name: api.BuiltinAWSLambdaExtension, Arguments: map[string]any{
			"arn": s.arnOf(function), "invocationMode": mode, "payloadPassthrough": false,
		}}},
	}
}

// applied waits until Consul's filter for a function stands in a listener of an Envoy's, or
// until none does: else a test would show nothing.
func (s *story) applied(e *testmesh.Envoy, arn string, want bool) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		dump, err := e.ConfigDump(ctx, "dynamic_listeners")
		if err == nil && strings.Contains(string(dump), `"`+arn+`"`) != want {
			err = fmt.Errorf("%s: Consul's filter for %s is in a listener: %t", e.LogPath(), arn, !want)
		}
		return err
	}))
}

func (s *extending) once(t *testing.T) {
	for _, way := range []struct {
		sync, async, form string
		envoy             *testmesh.Envoy
	}{
		{"report", "queue", "cluster gateway", s.gateway.Envoy},
		{"near", "near-queue", "cluster direct", s.web.Envoy},
	} {
		before := len(s.AWS.Invoke.Calls())
		g := s.invoked(s.web, way.sync, testmesh.Request{
			Method: http.MethodPost, Path: "/a?name=once", Body: "x", Header: http.Header{"Content-Type": {"text/plain"}, "X-Amz-Log-Type": {"Tail"}},
		}, s.arnOf("report"))
		// A request that passed two filters would be the envelope of an envelope.
		if g.Method != http.MethodPost || g.Path != "/a?name=once" || g.Body != "x" || g.Headers["x-amz-log-type"] != "" {
			t.Errorf("%s: the function saw %+v", way.sync, g)
		}
		if r := s.answers(s.web, way.async, testmesh.Request{}, http.StatusAccepted); len(r.Body) > 0 {
			t.Errorf("%s answers %s", way.async, r.Body)
		}
		s.applied(way.envoy, s.arnOf("report"), true)
		s.applied(way.envoy, s.arnOf("queue"), true)
		modes := map[string]string{"report": "RequestResponse", "queue": "Event"}
		seen := map[string]bool{}
		for _, c := range s.AWS.Invoke.Calls()[before:] {
			seen[functionOf(c)] = true
			if got := c.Header.Get("X-Amz-Invocation-Type"); got != modes[functionOf(c)] || c.SNI == "" || c.SNI != strings.Split(c.Host, ":")[0] {
				t.Errorf("%s was invoked as %q by %s, server name %q", functionOf(c), got, c.Host, c.SNI)
			}
		}
		if len(seen) != 2 {
			t.Errorf("%v were invoked", seen)
		}
		dump, err := way.envoy.ConfigDump(s.ctx, "dynamic_active_clusters")
		s.must(err)
		for _, consuls := range []string{"egress_gateway", "*.amazonaws.com"} {
			if strings.Contains(string(dump), consuls) {
				t.Errorf("%s has a cluster of Consul's extension: %s", way.envoy.LogPath(), consuls)
			}
		}
	}
	state := s.state()
	for _, name := range []string{"report", "queue", "near", "near-queue"} {
		if got := state.service(name); got.State != "ok" || got.Source != "extension" || len(got.Warnings) > 0 {
			t.Errorf("%s is %+v", name, got)
		}
		want := "cluster gateway"
		p := state.proxy("gateway")
		if strings.HasPrefix(name, "near") {
			p, want = state.proxy(s.web.ProxyID), "cluster direct"
		}
		if got := p.form(name); got != want {
			t.Errorf("%s has %s as %q", p.ID, name, got)
		}
	}
}

// start: a sidecar always becomes ready, whatever Consul knows of gateways at first.
func (s *extending) start(t *testing.T) {
	late, err := s.AddSidecar(s.ctx, "late", []string{"report", "near"}, testmesh.ProxyOptions{NoEnvoy: true})
	s.must(err)
	s.allow("late", "report", "near")
	for range 2 {
		s.must(late.StartEnvoy(s.ctx))
		s.invoked(late, "near", testmesh.Request{}, s.arnOf("report"))
		s.invoked(late, "report", testmesh.Request{}, s.arnOf("report"))
		s.has(late, "report", "")
		s.must(late.Envoy.Stop())
	}
}

// bounded: neither who may not call nor what is out of bounds is invoked, though Consul's
// own extension would.
func (s *extending) bounded(t *testing.T) {
	before := len(s.AWS.Invoke.Calls())
	for name, reason := range map[string]string{"denied": "intentions do not let", "forbidden": "--allow-arns"} {
		s.applied(s.web.Envoy, map[string]string{"denied": s.arnOf("report"), "forbidden": s.arnOf("forbidden")}[name], true)
		for range 5 {
			s.answers(s.web, name, testmesh.Request{}, http.StatusServiceUnavailable)
		}
		if got := s.state().proxy(s.web.ProxyID).reason(name); !strings.Contains(got, reason) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if calls := s.AWS.Invoke.Calls()[before:]; len(calls) > 0 {
		t.Errorf("AWS was asked: %+v", calls)
	}
	s.allow("web", "denied")
	s.invoked(s.web, "denied", testmesh.Request{}, s.arnOf("report"))
}

// toggled: the extension comes and goes beside Meta under a steady stream of calls, and
// alone.
func (s *extending) toggled(t *testing.T) {
	envoys := map[string]*testmesh.Envoy{"toggled": s.gateway.Envoy, "near-toggled": s.web.Envoy}
	s.must(s.Consul.SetEntry(s.ctx, s.extended("denied", "queue", ""), s.extended("report", "queue", ""), s.extended("near", "queue", "")))
	for name, envoy := range envoys {
		arn := s.arnOf("report")
		plain := testmesh.LambdaDefaults(name, meta(arn))
		both := testmesh.LambdaDefaults(name, meta(arn))
		both.EnvoyExtensions = s.extended(name, "report", "").EnvoyExtensions
		s.must(s.Consul.SetEntry(s.ctx, plain))
		s.applied(envoy, arn, false)
		s.until(s.web, name, arn)
		const workers, rounds = 2, 3
		stop := s.load(s.web, name, workers)
		for range rounds {
			s.must(s.Consul.SetEntry(s.ctx, both))
			s.applied(envoy, arn, true)
			s.invoked(s.web, name, testmesh.Request{}, arn)
			s.must(s.Consul.SetEntry(s.ctx, plain))
			s.applied(envoy, arn, false)
			s.invoked(s.web, name, testmesh.Request{}, arn)
		}
		calls, failures := stop()
		t.Logf("%s: the extension came and went %d times under %d calls, %d failed", name, rounds, calls, len(failures))
		if len(failures) > 0 {
			t.Errorf("%s: failed: %v", name, failures)
		}
		// Alone it makes the function, and takes it away again.
		s.must(s.Consul.SetEntry(s.ctx, s.extended(name, "report", "")))
		s.applied(envoy, arn, true)
		s.until(s.web, name, arn)
		s.must(s.Consul.SetEntry(s.ctx, &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "http"}))
		s.answers(s.web, name, testmesh.Request{}, http.StatusServiceUnavailable)
		s.applied(envoy, arn, false)
	}
	s.documented("Consul already patched it")
}

// lost: without an endpoint of the gateway, Consul's extension would have the sidecar
// invoke; while the entry lists the function, it does not.
func (s *extending) lost(t *testing.T) {
	s.until(s.web, "report", s.arnOf("report"))
	s.must(s.Consul.DeregisterAgentService(s.ctx, s.gateway.Name))
	s.applied(s.web.Envoy, s.arnOf("report"), true)
	s.answers(s.web, "report", testmesh.Request{}, http.StatusServiceUnavailable)
	before := len(s.AWS.Invoke.Calls())
	for range 10 {
		s.answers(s.web, "report", testmesh.Request{}, http.StatusServiceUnavailable)
	}
	if calls := s.AWS.Invoke.Calls()[before:]; len(calls) > 0 {
		t.Errorf("AWS was asked: %+v", calls)
	}
	if got := s.state().proxy(s.web.ProxyID).reason("report"); !strings.Contains(got, "a terminating gateway's entry lists it") {
		t.Errorf("report: %q", got)
	}
	s.must(s.Consul.RegisterAgentService(s.ctx, s.gateway.Token.SecretID, &api.AgentServiceRegistration{
		Kind: api.ServiceKindTerminatingGateway, ID: s.gateway.Name, Name: s.gateway.Name, Address: "127.0.0.1", Port: s.gateway.Port,
	}))
	s.until(s.web, "report", s.arnOf("report"))
	s.has(s.web, "report", "")
}

// mistaken: a mistake is shown and not invoked, also where Consul's extension would; what
// bounds Consul's extension to versions does not bound ours. Consul 1.22.5 itself refuses
// Arguments that it cannot read, and takes any text for an ARN or a mode.
func (s *extending) mistaken(t *testing.T) {
	is := func(state, words string) {
		t.Helper()
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			got := s.state().service("broken")
			if got.State != state || !strings.Contains(fmt.Sprint(got.Errors, got.Warnings), words) {
				return fmt.Errorf("broken is %+v, want %s", got, words)
			}
			return nil
		}))
	}
	for _, arguments := range []map[string]any{{}, {"arn": 7}, {"arn": s.arnOf("report"), "payloadPassthrough": "yes"}} {
		entry := s.extended("broken", "report", "")
		entry.EnvoyExtensions[0].Arguments = arguments
		if err := s.Consul.SetEntry(s.ctx, entry); err == nil {
			t.Errorf("Consul takes %v", arguments)
		}
	}
	s.must(s.Consul.SetEntry(s.ctx, s.extended("broken", "report", "later")))
	is("error", `"later": neither SYNCHRONOUS nor ASYNCHRONOUS`)
	before := len(s.AWS.Invoke.Calls())
	for range 5 {
		s.answers(s.web, "broken", testmesh.Request{}, http.StatusServiceUnavailable)
	}
	if calls := s.AWS.Invoke.Calls()[before:]; len(calls) > 0 {
		t.Errorf("AWS was asked: %+v", calls)
	}
	bounded := s.extended("broken", "report", "")
	bounded.EnvoyExtensions[0].EnvoyVersion = "< 1.0.0"
	s.must(s.Consul.SetEntry(s.ctx, bounded))
	is("ok", `EnvoyVersion = "< 1.0.0"`)
	s.until(s.web, "broken", s.arnOf("report"))
}

// required: Consul refuses all configuration to a gateway while a required extension has a
// mistake. What the gateway has goes on, the state says why, and it mends.
func (s *extending) required(t *testing.T) {
	broken := s.extended("broken", "report", "")
	broken.EnvoyExtensions[0].Required = true
	broken.EnvoyExtensions[0].Arguments["arn"] = "report"
	s.must(s.Consul.SetEntry(s.ctx, broken))
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		got := s.state().service("broken")
		if got.State != "error" || !slices.ContainsFunc(got.Errors, func(e string) bool { return strings.Contains(e, "Required") }) {
			return fmt.Errorf("broken is %+v", got)
		}
		if s.state().proxy("gateway").Connected {
			return errors.New("the gateway is still connected")
		}
		return nil
	}))
	s.invoked(s.web, "report", testmesh.Request{}, s.arnOf("report"))
	broken.EnvoyExtensions[0].Arguments["arn"] = s.arnOf("report")
	s.must(s.Consul.SetEntry(s.ctx, broken))
	s.until(s.web, "broken", s.arnOf("report"))
	s.invoked(s.web, "report", testmesh.Request{}, s.arnOf("report"))
}
