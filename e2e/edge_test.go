package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestEdge: callers from outside the mesh come by an ingress gateway, which invokes
// functions by itself or through a terminating gateway, as a sidecar does. Whatever
// they send, nobody is taken for somebody else, and nobody gives orders to AWS.
func TestEdge(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("tell", "tell", nil)
	s.byHand("near", meta(arn))
	s.byHand("fronted", meta(arn))
	s.allow("web", "fronted", "near")
	s.allow("plain", "fronted")
	s.allow("edge", "fronted", "near")
	// Every error counts, and may cut off all endpoints.
	s.must(s.Consul.SetEntry(s.ctx, &api.ServiceConfigEntry{
		Kind: api.ServiceDefaults, Name: "web", Protocol: "http",
		UpstreamConfig: &api.UpstreamConfiguration{Defaults: &api.UpstreamConfig{PassiveHealthCheck: &api.PassiveHealthCheck{
			Interval: time.Second, MaxFailures: 2, EnforcingConsecutive5xx: new(uint32(100)), MaxEjectionPercent: new(uint32(100)),
		}}},
	}))
	gateway := s.gateway("gateway", "fronted")
	web := s.sidecar("web", "near", "fronted")
	plain := s.sidecar("plain", "fronted")
	edge := s.ingress("edge", "near", "fronted")

	forged := http.Header{
		"X-Forwarded-Client-Cert": {"URI=spiffe://forged/ns/default/dc/dc1/svc/admin"},
		"X-Amz-Tenant-Id":         {"other"},
	}
	s.run("identity", func(t *testing.T) {
		for _, test := range []struct {
			url, who string
		}{
			{web.URL("near", "/"), ""}, // Consul's outbound listeners tell nobody
			{web.URL("fronted", "/"), "/svc/web"},
			{edge["near"], ""},
			{edge["fronted"], "/svc/edge"},
		} {
			headers := s.event(test.url, forged, nil)
			got := headers["x-forwarded-client-cert"]
			if strings.Contains(got, "forged") || !strings.HasSuffix(got, test.who) || (got == "") != (test.who == "") {
				t.Errorf("%s: the caller is %q, want %q", test.url, got, test.who)
			}
			if tenant, ok := headers["x-amz-tenant-id"]; ok {
				t.Errorf("%s: the event has the tenant %q", test.url, tenant)
			}
		}
	})
	// The gateway appends (Consul 1.22.5 has APPEND_FORWARD there): what stands before is
	// the word of a workload that called with its certificate and without its proxy.
	s.run("the last of several identities is the gateway's", func(t *testing.T) {
		headers := s.event(fmt.Sprintf("https://127.0.0.1:%d/", gateway.Port), forged, s.memberTLS("web", "fronted"))
		before, last, found := cutLast(headers["x-forwarded-client-cert"], ",")
		if !found || !strings.Contains(before, "forged") || strings.Contains(last, "forged") || !strings.HasSuffix(last, "/svc/web") {
			t.Errorf("the caller is %q", headers["x-forwarded-client-cert"])
		}
		if _, ok := headers["x-amz-tenant-id"]; ok {
			t.Errorf("the event has the tenant")
		}
	})
	// A function's errors count as any service's do. Where a proxy invokes by itself, the
	// one endpoint is Lambda's: Envoy finds no other, and goes on using it. A gateway is
	// an endpoint of its callers' cluster, of which Consul's defaults let a tenth be taken
	// out at most.
	s.run("errors cut nobody off", func(t *testing.T) {
		failing := testmesh.Request{Method: "POST", Body: `{"raise":"boom"}`, Header: http.Header{"Content-Type": {"application/json"}}}
		for caller, upstream := range map[*testmesh.Sidecar]string{web: "near", plain: "fronted"} {
			for range 8 {
				s.answers(caller, upstream, failing, 502)
			}
			r, err := caller.Call(s.ctx, upstream, testmesh.Request{})
			s.must(err)
			if r.Status != http.StatusOK {
				t.Errorf("%s: after errors %s answers %d", caller.Service, upstream, r.Status)
			}
		}
		cluster, err := clusterNamed(s.ctx, web.Envoy, "near")
		s.must(err)
		s.must(web.Envoy.WaitStat(s.ctx, "cluster."+cluster+".outlier_detection.ejections_active", func(n int64) bool { return n == 1 }))
	})
	s.signed()
}

// memberTLS is that of a workload which calls a service's gateway with its certificate.
func (s *story) memberTLS(caller, service string) *tls.Config {
	s.t.Helper()
	agent := s.Consul.API().Agent()
	leaf, _, err := agent.ConnectCALeaf(caller, nil)
	s.must(err)
	roots, _, err := agent.ConnectCARoots(nil)
	s.must(err)
	pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM))
	s.must(err)
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		ServerName:   service + ".default.dc1.internal." + roots.TrustDomain,

		InsecureSkipVerify: true, //nolint:gosec // the gateway's name is a SPIFFE ID, and the gateway is the test's own
	}
}

// cutLast cuts around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// event calls tell.py until it answers, with the headers of its event.
func (s *story) event(url string, header http.Header, as *tls.Config) map[string]string {
	s.t.Helper()
	var event struct{ Headers map[string]string }
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Header = header
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: as}}).Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %d", url, resp.StatusCode)
		}
		return json.NewDecoder(resp.Body).Decode(&event)
	}))
	return event.Headers
}

// ingress adds an ingress gateway with a listener for each service, and returns their
// URLs.
func (s *story) ingress(name string, services ...string) (urls map[string]string) {
	s.t.Helper()
	var port, admin int
	s.must(s.Ports().Fill(&port, &admin))
	token, err := s.Consul.Token(s.ctx, name, `service "`+name+`" { policy = "write" }
service_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
agent_prefix "" { policy = "read" }`)
	s.must(err)
	s.must(s.Consul.RegisterAgentService(s.ctx, token.SecretID, &api.AgentServiceRegistration{
		Kind: api.ServiceKindIngressGateway, ID: name, Name: name, Address: "127.0.0.1", Port: port,
	}))
	entry := &api.IngressGatewayConfigEntry{Kind: api.IngressGateway, Name: name}
	urls = map[string]string{}
	for _, service := range services {
		var port int
		s.must(s.Ports().Fill(&port))
		entry.Listeners = append(entry.Listeners, api.IngressListener{
			Port: port, Protocol: "http", Services: []api.IngressService{{Name: service, Hosts: []string{"*"}}},
		})
		urls[service] = fmt.Sprintf("http://127.0.0.1:%d/", port)
	}
	s.must(s.Consul.SetEntry(s.ctx, entry))
	bootstrap, err := s.Consul.Bootstrap(s.ctx, testmesh.BootstrapConfig{
		GRPCAddr: s.wire.Addr(), AdminAddr: fmt.Sprintf("127.0.0.1:%d", admin), Token: token.SecretID,
		ProxyID: name, NodeName: s.Consul.ProxyNode(),
	})
	s.must(err)
	credentials := s.AWS.Credentials()
	s.healthy(testmesh.TestEnvoy(s.t, testmesh.EnvoyConfig{Name: name, Bootstrap: bootstrap, AdminPort: admin, Credentials: &credentials}))
	return urls
}
