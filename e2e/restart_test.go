package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestRestart: lambdamesh is killed and comes back. Envoys serve on, connect again
// and are sent nothing that did not change meanwhile, as seen on the wire: Envoy's
// own counters would hide it.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	one, two := s.function("one", "hello", nil), s.function("two", "hello", nil)
	for _, name := range []string{"fronted", "near", "near-too"} {
		s.byHand(name, meta(one))
	}
	s.must(s.Consul.RegisterLambda(s.ctx, "broken")) // no Meta
	s.allow("web", "fronted", "near", "near-too")
	wire := s.record(s.Lambdamesh.XDSAddr())
	through := testmesh.ProxyOptions{XDSAddr: wire.Addr()}
	gateway, err := s.AddTerminatingGateway(s.ctx, "gateway", []string{"fronted", "broken"}, through)
	s.must(err)
	web, err := s.AddSidecar(s.ctx, "web", []string{"fronted", "near", "near-too", "broken"}, through)
	s.must(err)
	s.healthy(gateway.Envoy)
	s.healthy(web.Envoy)
	all := []string{"fronted", "near", "near-too"}
	for _, name := range all {
		s.until(web, name, one)
	}

	restart := func(meanwhile func()) (streams []*recorder.Conversation) {
		t.Helper()
		before := len(wire.Conversations())
		s.Lambdamesh.Kill()
		meanwhile()
		for _, name := range all {
			s.answers(web, name, testmesh.Request{}, 200)
		}
		s.must(s.Lambdamesh.Start(s.ctx))
		// Both Envoys are back when each has a stream on which it was answered; Consul
		// answers endpoints and routes after clusters, so those are through by then.
		s.must(wire.Wait(s.ctx, func(all []*recorder.Conversation) bool {
			streams = streams[:0]
			for _, c := range all[min(before, len(all)):] {
				if c.Ended() == nil && len(c.Requests(recorder.ListenerType)) > 0 && answered(c) {
					streams = append(streams, c)
				}
			}
			return len(streams) == 2
		}))
		for _, c := range streams {
			first := c.FirstRequest(recorder.ClusterType)
			if len(first.GetInitialResourceVersions()) == 0 {
				t.Errorf("%s: the first request brings no versions", first.GetNode().GetId())
			}
		}
		return streams
	}

	s.run("nothing changed", func(t *testing.T) {
		streams := restart(func() {})
		// One change now shows that the streams live; it is all that is ever sent.
		s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("fronted", meta(two))))
		s.until(web, "fronted", two)
		var sent []string
		for _, c := range streams {
			for _, url := range []string{recorder.ClusterType, recorder.ListenerType, recorder.RouteType} {
				for _, r := range c.Resources(url) {
					sent = append(sent, r.Name)
				}
			}
		}
		if len(sent) != 1 || !strings.HasPrefix(sent[0], "fronted.") {
			t.Errorf("sent: %v, want fronted alone", sent)
		}
	})
	s.run("one function changed meanwhile", func(t *testing.T) {
		streams := restart(func() {
			s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("near", meta(two))))
		})
		s.until(web, "near", two)
		var sent []string
		for _, c := range streams {
			for _, r := range c.Resources(recorder.ClusterType) {
				sent = append(sent, r.Name)
			}
			for _, url := range []string{recorder.ListenerType, recorder.RouteType} {
				if got := c.Resources(url); len(got) > 0 {
					t.Errorf("sent again: %v", got)
				}
			}
		}
		if len(sent) != 1 || !strings.HasPrefix(sent[0], "near.") {
			t.Errorf("clusters sent: %v, want near alone", sent)
		}
	})
	s.run("one function's Meta gone meanwhile", func(t *testing.T) {
		streams := restart(func() { s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("near-too", nil))) })
		s.answers(web, "near-too", testmesh.Request{}, 503)
		var sent []string
		for _, c := range streams {
			for _, r := range c.Resources(recorder.ClusterType) {
				sent = append(sent, fmt.Sprintf("%.9s %v", r.Name, strings.Contains(r.Version, "+lm1.")))
			}
		}
		if len(sent) != 1 || sent[0] != "near-too. false" {
			t.Errorf("clusters sent: %v, want near-too alone, as Consul has it", sent)
		}
	})
	s.signed()
}

// answered reports whether a stream has had an answer to each named type that
// Envoy asked for, or, for a gateway, whose routes are not sent again, to clusters.
func answered(c *recorder.Conversation) bool {
	if len(c.Requests(recorder.EndpointType)) > 0 {
		return len(c.Responses(recorder.EndpointType)) > 0
	}
	return len(c.Requests(recorder.RouteType)) > 0
}
