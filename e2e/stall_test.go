package e2e

import (
	"fmt"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestNoGatewayStalls: Consul sends a gateway a cluster with an empty address for a
// service without one, which Envoy refuses, and with it all that comes after. So a
// service whose Meta is missing, mistaken, disabled or removed must not reach Envoy
// that way, whatever was written first.
func TestNoGatewayStalls(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("good", "hello", nil)
	s.byHand("good", meta(arn))
	bad := map[string]map[string]string{
		"mistaken":  {"enabled": "yes", "arn": arn},
		"wrong-arn": {"enabled": "true", "arn": "arn:aws:s3:::bucket"},
		"elsewhere": {"enabled": "true", "arn": arn, "region": "eu-west-1"},
		"disabled":  {"enabled": "false", "arn": arn},
		"plain-tcp": nil, // below
		"missing":   nil,
	}
	names := []string{"good"}
	for name, m := range bad {
		s.must(s.Consul.RegisterLambda(s.ctx, name))
		switch {
		case name == "plain-tcp":
			entry := testmesh.LambdaDefaults(name, meta(arn))
			entry.Protocol = "tcp"
			s.must(s.Consul.SetEntry(s.ctx, entry))
		case m != nil:
			s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(name, m)))
		}
		names = append(names, name)
	}
	s.allow("web", append(names, "a", "b", "c", "d")...)

	// A gateway that starts with all of them.
	gateway := s.gateway("gateway", "*")
	web := s.sidecar("web", "good", "mistaken", "wrong-arn", "elsewhere", "disabled", "missing", "a", "b", "c", "d")
	s.until(web, "good", arn)
	for name := range bad {
		if name != "plain-tcp" {
			s.unreachable(web, name)
		}
	}
	for _, name := range []string{"mistaken", "wrong-arn", "elsewhere", "plain-tcp"} {
		if got := s.state().service(name); got.State != "error" || len(got.Errors) == 0 {
			t.Errorf("%s is %+v, want an error that is named", name, got)
		}
	}
	if got := s.state().service("disabled"); got.State != "disabled" {
		t.Errorf("disabled is %+v", got)
	}

	// Every order in which a function comes and goes, on a gateway that runs.
	catalog := map[bool]func(string){
		true:  func(n string) { s.must(s.Consul.RegisterLambda(s.ctx, n)) },
		false: func(n string) { s.must(s.Consul.DeregisterLambda(s.ctx, n)) },
	}
	config := map[bool]func(string){
		true:  func(n string) { s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(n, meta(arn)))) },
		false: func(n string) { s.must(s.Consul.DeleteEntry(s.ctx, "service-defaults", n)) },
	}
	for i, order := range []struct{ catalogFirst, catalogFirstDown bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		name := string(rune('a' + i))
		in := []map[bool]func(string){catalog, config}
		s.run(fmt.Sprintf("catalog first: %v, at the end: %v", order.catalogFirst, order.catalogFirstDown), func(t *testing.T) {
			for k := range in {
				if order.catalogFirst {
					in[k][true](name)
				} else {
					in[1-k][true](name)
				}
				s.until(web, "good", arn)
			}
			s.until(web, name, arn)
			for k := range in {
				if order.catalogFirstDown {
					in[k][false](name)
				} else {
					in[1-k][false](name)
				}
				s.until(web, "good", arn)
			}
			s.unreachable(web, name)
		})
	}

	// Mended, each works.
	for name := range bad {
		if name != "plain-tcp" {
			s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults(name, meta(arn))))
			s.until(web, name, arn)
		}
	}
	if rejected, err := gateway.Envoy.Rejected(s.ctx); err != nil || rejected != 0 {
		t.Errorf("the gateway refused %d (%v)", rejected, err)
	}
	s.signed()
}
