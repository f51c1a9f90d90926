package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// edges: functions behind an API gateway and an ingress gateway, through the terminating
// gateway, and invoked by them where none fronts the function.
func (s *topologies) edges(t *testing.T) {
	var apiPort, ingressPort int
	s.must(s.Ports().Fill(&apiPort, &ingressPort))
	s.documented("API gateway and ingress gateway", "8080", strconv.Itoa(apiPort), "8081", strconv.Itoa(ingressPort))
	for name, kind := range map[string]api.ServiceKind{"api": api.ServiceKindAPIGateway, "ingress": api.ServiceKindIngressGateway} {
		g, err := s.AddEdgeGateway(s.ctx, kind, name, testmesh.ProxyOptions{})
		s.must(err)
		s.healthy(g.Envoy)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, call := range []struct {
		port           int
		host, path     string
		function, seen string
	}{
		{apiPort, "localhost", "/hello/a?b=c", "hello", "/a?b=c"},
		{apiPort, "localhost", "/near/a?b=c", "near", "/a?b=c"},
		{ingressPort, "hello.example.com", "/a?b=c", "hello", "/a?b=c"},
		{ingressPort, "near.example.com", "/a?b=c", "near", "/a?b=c"},
	} {
		s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", call.port, call.path), nil)
			if err != nil {
				return err
			}
			req.Host = call.host
			answer, err := do(client, req)
			if err != nil {
				return err
			}
			var g greeting
			if err := json.Unmarshal(answer.body, &g); err != nil {
				return err
			}
			if g.ARN != s.arnOf(call.function) || g.Path != call.seen {
				t.Errorf("%s%s: %s saw %s", call.host, call.path, g.ARN, g.Path)
			}
			return nil
		}))
	}
	for name, kind := range map[string]string{"api": "api-gateway", "ingress": "ingress-gateway"} {
		p := s.state().proxy(name)
		if p.Kind != kind || p.form("near") != "cluster direct" || p.form("hello") != "" {
			t.Errorf("%s, a %q, has near as %q and hello as %q", name, p.Kind, p.form("near"), p.form("hello"))
		}
	}
}
