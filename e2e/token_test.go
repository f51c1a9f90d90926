package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestOwnTokenLosesRights: lambdamesh's own token is narrowed, then revoked, under
// calls. What it cannot read any more it does not take for gone.
func TestOwnTokenLosesRights(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("hello", "hello", nil)
	s.byHand("fronted", meta(arn))
	s.byHand("near", meta(arn))
	s.allow("web", "fronted", "near")
	gateway := s.gateway("gateway", "fronted")
	web := s.sidecar("web", "fronted", "near")
	s.until(web, "fronted", arn)
	s.until(web, "near", arn)
	stopFronted, stopNear := s.load(web, "fronted", 1), s.load(web, "near", 1)
	// A blocking query keeps the rights that it began with, so lost rights show at
	// the next one: each change makes Consul answer and lambdamesh ask again.
	changes := 0
	ready := func(want bool) {
		t.Helper()
		s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
			changes++
			s.must(s.Consul.SetEntry(ctx, testmesh.LambdaDefaults("poke", meta(arn, "timeout", strconv.Itoa(1+changes%900)))))
			_, err := s.Lambdamesh.Admin(ctx, "/readyz")
			if ready := err == nil; ready != want {
				return fmt.Errorf("ready is %v, want %v", ready, want)
			}
			return nil
		}))
	}
	check := func(when string) {
		t.Helper()
		st := s.state()
		if got := st.proxy(gateway.Name).form("fronted"); got != "cluster gateway" {
			t.Errorf("%s: the gateway has fronted as %q", when, got)
		}
		if got := st.proxy(web.ProxyID).form("near"); got != "cluster direct" {
			t.Errorf("%s: web has near as %q", when, got)
		}
		if got := st.service("near").State; got != "ok" {
			t.Errorf("%s: near is %q", when, got)
		}
	}
	s.must(s.Consul.SetRules(s.ctx, s.Token, `service "nothing" { policy = "read" }`))
	ready(false)
	check("narrowed")
	s.must(s.Consul.SetRules(s.ctx, s.Token, testmesh.LambdameshRules))
	ready(true)
	check("restored")
	s.must(s.Consul.DeleteToken(s.ctx, s.Token))
	ready(false)
	check("revoked")
	for name, stop := range map[string]func() (int, []string){"fronted": stopFronted, "near": stopNear} {
		if calls, failures := stop(); len(failures) > 0 || calls < 10 {
			t.Errorf("%s: %d calls, failures: %v", name, calls, failures)
		}
	}
	s.signed()
}

// TestEachEnvoyGetsItsOwn: two proxies with two tokens. No certificate of the one
// ever reaches the other.
func TestEachEnvoyGetsItsOwn(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	s.byHand("hello", meta(s.function("hello", "hello", nil)))
	wires := map[string]*recorder.Proxy{}
	for _, name := range []string{"one", "two"} {
		s.allow(name, "hello")
		wires[name] = s.record(s.Lambdamesh.XDSAddr())
		c, err := s.AddSidecar(s.ctx, name, []string{"hello"}, testmesh.ProxyOptions{XDSAddr: wires[name].Addr()})
		s.must(err)
		s.answers(c, "hello", testmesh.Request{}, 200)
	}
	for name, wire := range wires {
		seen := map[string]bool{}
		for _, c := range wire.Conversations() {
			for _, e := range c.Snapshot() {
				if e.Response != nil {
					for _, id := range identities(t, e.Response) {
						seen[id[strings.LastIndex(id, "/")+1:]] = true
					}
				}
			}
		}
		if diff := cmp.Diff(map[string]bool{name: true}, seen); diff != "" {
			t.Errorf("%s was sent certificates of (-want +got):\n%s", name, diff)
		}
	}
}

// identities are the SPIFFE IDs of the leaf certificates in a response.
func identities(t *testing.T, resp *discoveryv3.DeltaDiscoveryResponse) (ids []string) {
	t.Helper()
	raw, err := proto.Marshal(resp)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
	for rest := string(raw); ; {
		i := strings.Index(rest, begin)
		if i < 0 {
			return ids
		}
		j := strings.Index(rest[i:], end)
		block, _ := pem.Decode([]byte(rest[i : i+j+len(end)]))
		rest = rest[i+j:]
		if block == nil {
			t.Fatal("a certificate cannot be read")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		for _, uri := range cert.URIs {
			if !cert.IsCA {
				ids = append(ids, uri.String())
			}
		}
	}
}

// TestRefusalIsConsuls: an Envoy with a token that may not have its configuration
// is told so by Consul, in the same words as without lambdamesh in between.
func TestRefusalIsConsuls(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	other, err := s.Consul.Token(s.ctx, "other", `service "other" { policy = "write" }`)
	s.must(err)
	web, err := s.AddSidecar(s.ctx, "web", nil, testmesh.ProxyOptions{NoEnvoy: true})
	s.must(err)
	_ = web
	for what, token := range map[string]string{
		"unknown": "00000000-aaaa-bbbb-cccc-000000000000", "another's": other.SecretID, "none": "",
	} {
		wire := s.record(s.Lambdamesh.XDSAddr())
		var answers [2]*status.Status
		for i, addr := range []string{s.Consul.GRPCAddr(), wire.Addr()} {
			answers[i] = s.refusal(addr, token, web)
		}
		if answers[0].Code() != answers[1].Code() || answers[0].Message() != answers[1].Message() {
			t.Errorf("%s token: consul says %v, lambdamesh %v", what, answers[0], answers[1])
		}
		if strings.Contains(answers[1].Message(), token) && token != "" {
			t.Errorf("the answer repeats the token")
		}
	}
}

// refusal asks for clusters with a token and returns how the stream ends.
func (s *story) refusal(addr, token string, c *testmesh.Sidecar) *status.Status {
	s.t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	defer conn.Close()
	ctx := s.ctx
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-consul-token", token)
	}
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	s.must(err)
	// The stream may have been ended by now: Recv tells why.
	_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: envoyNode(c.ProxyID), TypeUrl: recorder.ClusterType})
	_, err = stream.Recv()
	if err == nil {
		s.t.Fatal("the stream was answered")
	}
	return status.Convert(err)
}
