package e2e

import (
	"fmt"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestDirect: where no terminating gateway fronts a function, the sidecar invokes
// it by itself.
func TestDirect(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	hello := s.function("hello", "hello", nil)
	s.byHand("hello", meta(hello))
	s.byHand("echo", meta(s.function("echo", "echo", nil), "payload-passthrough", "true"))
	s.allow("*", "hello", "echo")
	web := s.sidecar("web", "hello", "echo")
	g := s.greets(s.answers(web, "hello", testmesh.Request{Path: "/x?name=direct"}, 200))
	if g.ARN != hello || g.Path != "/x?name=direct" {
		t.Errorf("the function saw %+v", g)
	}
	s.answers(web, "echo", testmesh.Request{Method: "POST", Body: `{}`}, 200)
	// Bootstrapped without -node-name, as beside an agent.
	beside, err := s.AddSidecar(s.ctx, "beside", []string{"hello"}, testmesh.ProxyOptions{NoNodeName: true})
	s.must(err)
	s.healthy(beside.Envoy)
	s.answers(beside, "hello", testmesh.Request{}, 200)
	for _, c := range []*testmesh.Sidecar{web, beside} {
		p := s.state().proxy(c.ProxyID)
		if got := p.form("hello"); got != "cluster direct" || p.Kind != "connect-proxy" {
			t.Errorf("%s, a %q, has hello as %q", c.ProxyID, p.Kind, got)
		}
	}
	s.signed()
}

// TestFirstCallOfEachConnection: Envoy sets Host before or after the filter signs
// it, depending on whether a connection is ready. Here none ever is.
func TestFirstCallOfEachConnection(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("plain=%v", plain), func(t *testing.T) {
			s := begin(t, testmesh.MeshConfig{NoRegistrator: true, AWS: testmesh.AWSConfig{PlainInvoke: plain, CloseInvoke: true}})
			s.byHand("hello", meta(s.function("hello", "hello", nil)))
			s.byHand("near", meta(s.function("near", "hello", nil)))
			arn := s.function("visited", "visited", nil)
			url, err := s.AWS.CreateURL(s.ctx, "visited", "", false)
			s.must(err)
			s.byHand("by-url", meta(arn, "invoke-mode", "url", "url", url))
			s.allow("web", "hello", "near", "by-url")
			s.gateway("gateway", "hello", "by-url")
			web := s.sidecar("web", "hello", "near", "by-url")
			for range 30 {
				s.answers(web, "hello", testmesh.Request{}, 200)
				s.answers(web, "near", testmesh.Request{}, 200)
				s.answers(web, "by-url", testmesh.Request{}, 201)
			}
			first := 0
			for _, c := range s.AWS.Invoke.Calls() {
				if c.FirstOnConn {
					first++
				}
			}
			if first < 80 {
				t.Errorf("only %d calls were the first of their connection: this proves nothing", first)
			}
			s.signed()
		})
	}
}
