package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestThroughAGateway: a service calls functions through a terminating gateway, in
// each way in which one can be invoked.
func TestThroughAGateway(t *testing.T) {
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	hello := s.function("hello", "hello", nil, "blue")
	echo := s.function("echo", "echo", nil)
	s.byHand("hello", meta(hello))
	s.byHand("hello-blue", meta(hello+":blue"))
	s.byHand("echo", meta(echo, "payload-passthrough", "true"))
	s.byHand("later", meta(hello, "invocation-mode", "asynchronous"))
	s.allow("web", "hello", "hello-blue", "echo", "later")
	// By default Envoy spreads the end of connections accepted under older intentions
	// over ten minutes: 19 s were seen before a denied call was refused.
	gateway, err := s.AddTerminatingGateway(s.ctx, "gateway", []string{"*"}, testmesh.ProxyOptions{
		EnvoyArgs: []string{"--drain-strategy", "immediate"},
	})
	s.must(err)
	s.healthy(gateway.Envoy)
	web := s.sidecar("web", "hello", "hello-blue", "echo", "later")

	s.run("envelope", func(t *testing.T) {
		r := s.answers(web, "hello", testmesh.Request{
			Method: "POST", Path: "/a/b?name=world", Body: `{"x":1}`, Header: http.Header{"Content-Type": {"application/json"}},
		}, 200)
		g := s.greets(r)
		if g.ARN != hello || g.Method != "POST" || g.Path != "/a/b?name=world" || g.Message != "Hello, world!" || g.Body != `{"x":1}` {
			t.Errorf("the function saw %+v", g)
		}
		if r.Header.Get("X-Function") != "hello" {
			t.Errorf("the function's headers did not come back: %v", r.Header)
		}
	})
	s.run("payload passthrough both ways", func(t *testing.T) {
		r := s.answers(web, "echo", testmesh.Request{Method: "POST", Body: `{"bare":[1,2]}`}, 200)
		if got := string(r.Body); !strings.Contains(got, `"echo": {"bare": [1, 2]}`) {
			t.Errorf("the answer is %s", got)
		}
	})
	s.run("alias", func(t *testing.T) {
		s.answers(web, "hello-blue", testmesh.Request{}, 200)
		call, err := s.AWS.Invoke.WaitFor(s.ctx, invocationOf(hello+":blue"))
		s.must(err)
		if call.Status != 200 {
			t.Errorf("the alias answered %d", call.Status)
		}
	})
	s.run("asynchronous", func(t *testing.T) {
		r := s.answers(web, "later", testmesh.Request{Method: "POST", Body: "x"}, 202)
		if len(r.Body) != 0 {
			t.Errorf("the answer has a body: %s", r.Body)
		}
		call, err := s.AWS.Invoke.WaitFor(s.ctx, func(c call) bool { return c.Header.Get("X-Amz-Invocation-Type") == "Event" })
		s.must(err)
		if call.Status != 202 {
			t.Errorf("AWS answered %d", call.Status)
		}
	})
	s.run("aws headers of the caller go nowhere", func(t *testing.T) {
		r := s.answers(web, "hello", testmesh.Request{Path: "/headers", Header: http.Header{
			"X-Amz-Invocation-Type": {"Event"}, "X-Amz-Log-Type": {"Tail"}, "X-Mine": {"stays"},
		}}, 200)
		for name := range s.greets(r).Headers {
			if strings.HasPrefix(name, "x-amz") {
				t.Errorf("the event has %s", name)
			}
		}
		if s.greets(r).Headers["x-mine"] != "stays" {
			t.Errorf("the caller's own header is lost: %v", s.greets(r).Headers)
		}
	})
	s.run("intentions hold", func(t *testing.T) {
		before := len(s.AWS.Invoke.Calls())
		s.must(s.Consul.Deny(s.ctx, "web", "hello"))
		s.answers(web, "hello", testmesh.Request{}, 403)
		s.answers(web, "echo", testmesh.Request{Method: "POST", Body: "{}"}, 200)
		for _, c := range s.AWS.Invoke.Calls()[before:] {
			if c.Status != 200 {
				t.Errorf("a refused call reached AWS: %+v", c)
			}
		}
		s.allow("web", "hello")
		s.answers(web, "hello", testmesh.Request{}, 200)
	})
	s.run("state says so", func(t *testing.T) {
		state := s.state()
		if got := state.proxy(gateway.Name).form("hello"); got != "cluster gateway" {
			t.Errorf("the gateway has hello as %q", got)
		}
		if got := state.service("later"); got.State != "ok" || got.ARN != hello {
			t.Errorf("later is %+v", got)
		}
		if got := state.proxy(web.ProxyID).Kind; got != "connect-proxy" {
			t.Errorf("web's proxy is a %q", got)
		}
	})
	s.run("inspect says so", func(t *testing.T) {
		s.byHand("mistaken", meta(hello, "timeout", "1h"))
		inspect := func(args ...string) (string, error) {
			return s.Lambdamesh.Run(s.ctx, append([]string{"inspect"}, args...)...)
		}
		tells := func(words []string, args ...string) {
			t.Helper()
			said, err := inspect(args...)
			s.must(err)
			for _, word := range words {
				if !strings.Contains(said, word) {
					t.Errorf("inspect %v does not say %q:\n%s", args, word, said)
				}
			}
		}
		running := []string{"--admin-addr", s.Lambdamesh.AdminAddr()}
		tells([]string{"hello-blue", "terminating gateway", hello}, running...)
		tells([]string{"ok: invoked", "Envoy " + gateway.Name, "gateway, cluster"}, append(running, "hello")...)
		tells([]string{`"form": "cluster"`, `"id": "` + gateway.Name + `"`}, append(running, "hello", "-o", "json")...)
		// Without a running server: Consul alone.
		away := []string{"--admin-addr", "127.0.0.1:1"}
		tells([]string{"not a whole number from 1 to 900"}, append(away, "mistaken")...)
		_, err := inspect(append(away, "nobody")...)
		if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "no service-defaults entry") {
			t.Errorf("a service that there is not: %v", err)
		}
	})
	s.signed()
}
