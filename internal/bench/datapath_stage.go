package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/sigv4proxy"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// dataAnswer is what callers get in each way.
var dataAnswer = strings.Repeat("y", dataBody)

// The gateways, one for each place of the filter.
const (
	dataGateway     = "data-gateway"
	listenerGateway = "data-gateway-listener"
)

// gatewayOf is the gateway that fronts the service of a way.
func gatewayOf(way string) string {
	if way == wayListener {
		return listenerGateway
	}
	return dataGateway
}

// startDataPath starts a sidecar and two terminating gateways, all of them real Envoys,
// and what stands behind: one server that answers at once, behind a proxy that
// verifies signatures, and behind one that does not. The URLs are those of the
// sidecar's upstreams, which answer.
func (s *stage) startDataPath(ctx context.Context) (urls [len(dataWays)]string, err error) {
	invoke, plain, err := s.startEndpoints()
	if err != nil {
		return urls, err
	}
	c, err := s.startConsul(ctx)
	if err != nil {
		return urls, err
	}
	ca := filepath.Join(s.dir, "invoke-ca.pem")
	if err := os.WriteFile(ca, invoke.CAPEM(), 0o600); err != nil {
		return urls, err
	}
	flags := []string{"--lambda-endpoint-url", invoke.URL(), "--lambda-ca-file", ca}
	l, err := s.startLambdamesh(ctx, c, c.GRPCAddr(), flags...)
	if err != nil {
		return urls, err
	}
	inListeners, err := s.startLambdamesh(ctx, c, c.GRPCAddr(), append(flags, "--patch-mode", wayListener)...)
	if err != nil {
		return urls, err
	}
	cat, err := s.catalog(c)
	if err != nil {
		return urls, err
	}
	var ports [3 + len(dataWays)]int // of the gateways, of the sidecar, of its upstreams
	for i := range ports {
		if ports[i], err = s.ports.Get(); err != nil {
			return urls, err
		}
	}
	if err := cat.dataPath(ctx, c, plain, ports[:]); err != nil {
		return urls, err
	}
	for proxy, server := range map[string]*measured{dataGateway: l, "data-sidecar": l, listenerGateway: inListeners} {
		if err := s.startEnvoy(ctx, c, server.XDSAddr(), proxy); err != nil {
			return urls, err
		}
	}
	for way := range dataWays {
		urls[way] = fmt.Sprintf("http://127.0.0.1:%d/", ports[3+way])
	}
	return urls, s.answering(ctx, urls[:])
}

// startEndpoints starts the server with the two proxies before it.
func (s *stage) startEndpoints() (invoke *sigv4proxy.Proxy, plain net.Addr, err error) {
	answer := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text)
		})
	}
	function, err := s.serveHTTP(answer(`{"statusCode":200,"body":"` + dataAnswer + `"}`))
	if err != nil {
		return nil, nil, err
	}
	service, err := s.serveHTTP(answer(dataAnswer))
	if err != nil {
		return nil, nil, err
	}
	if invoke, err = sigv4proxy.Start(sigv4proxy.Config{
		Backend: &url.URL{Scheme: "http", Host: function.String()}, Region: "eu-central-1",
		Credentials: aws.Credentials{AccessKeyID: dataCredentials.AccessKeyID, SecretAccessKey: dataCredentials.SecretAccessKey},
	}); err != nil {
		return nil, nil, err
	}
	s.atEnd(func() { _ = invoke.Close() })
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: service.String()})
	transport := &http.Transport{MaxIdleConnsPerHost: dataCallers}
	s.atEnd(transport.CloseIdleConnections)
	forward.Transport = transport
	plain, err = s.serveHTTP(forward)
	return invoke, plain, err
}

// dataCredentials are the gateway's.
var dataCredentials = testmesh.Credentials{AccessKeyID: "AKIDBENCH", SecretAccessKey: "bench"}

func (s *stage) serveHTTP(handler http.Handler) (net.Addr, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	s.atEnd(func() { _ = server.Close(); <-done })
	return l.Addr(), nil
}

// dataPath registers the services, the gateways before them and the sidecar that calls
// them. Their names are those of the ways.
func (c *catalog) dataPath(ctx context.Context, consul *testmesh.Consul, plain net.Addr, ports []int) error {
	entries := map[string]*api.TerminatingGatewayConfigEntry{}
	for _, name := range []string{dataGateway, listenerGateway} {
		entries[name] = &api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: name}
	}
	proxy := &api.AgentServiceConnectProxyConfig{DestinationServiceName: "caller", DestinationServiceID: "caller"}
	for way, name := range dataWays {
		entry := entries[gatewayOf(name)]
		entry.Services = append(entry.Services, api.LinkedService{Name: name})
		proxy.Upstreams = append(proxy.Upstreams, api.Upstream{DestinationName: name, LocalBindPort: ports[3+way]})
		if name == "plain" {
			continue
		}
		if err := consul.RegisterLambda(ctx, name); err != nil {
			return err
		}
		if err := consul.SetEntry(ctx, testmesh.LambdaDefaults(name, map[string]string{
			lambda.KeyEnabled: "true", lambda.KeyRegion: "eu-central-1", lambda.KeyARN: functionARN(way, "v0"),
		})); err != nil {
			return err
		}
	}
	if err := consul.SetEntry(ctx, testmesh.HTTPByDefault(), entries[dataGateway], entries[listenerGateway]); err != nil {
		return err
	}
	for _, service := range []*api.AgentService{
		{ID: "plain", Service: "plain", Address: "127.0.0.1", Port: plain.(*net.TCPAddr).Port},
		{Kind: api.ServiceKindTerminatingGateway, ID: dataGateway, Service: dataGateway, Address: "127.0.0.1", Port: ports[0]},
		{Kind: api.ServiceKindTerminatingGateway, ID: listenerGateway, Service: listenerGateway, Address: "127.0.0.1", Port: ports[1]},
		{ID: "caller", Service: "caller", Address: "127.0.0.1", Port: 9},
		{Kind: api.ServiceKindConnectProxy, ID: "data-sidecar", Service: "data-sidecar", Address: "127.0.0.1", Port: ports[2], Proxy: proxy},
	} {
		if err := c.register(ctx, service); err != nil {
			return err
		}
	}
	return nil
}

// startEnvoy starts the Envoy of a proxy that is registered on consulNode.
func (s *stage) startEnvoy(ctx context.Context, c *testmesh.Consul, xds, proxy string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	admin, err := s.ports.Get()
	if err != nil {
		return err
	}
	bootstrap, err := c.Bootstrap(ctx, testmesh.BootstrapConfig{
		GRPCAddr: xds, AdminAddr: fmt.Sprintf("127.0.0.1:%d", admin), ProxyID: proxy, NodeName: consulNode,
	})
	if err != nil {
		return err
	}
	e, err := testmesh.StartEnvoy(ctx, testmesh.EnvoyConfig{
		Bin: s.envoy, Dir: s.dir, Name: proxy, Bootstrap: bootstrap, AdminPort: admin, Credentials: &dataCredentials, LogLevel: "warning",
	})
	if err != nil {
		return err
	}
	s.own(e.Process)
	return e.WaitReady(ctx)
}

// answering waits until all URLs answer 200.
func (s *stage) answering(ctx context.Context, urls []string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	load := &load{client: &http.Client{Transport: transport}}
	for _, url := range urls {
		if err := testmesh.Poll(ctx, func(ctx context.Context) error {
			_, err := load.call(ctx, url)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
