package e2e

import (
	"context"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/lambda/patch"
	"github.com/lambdamesh/lambdamesh/xds"
)

// flawedServer is lambdamesh's xDS server in the test's own process, between a recorded
// Consul and recorded Envoys, with a Patcher that makes mistakes on demand.
type flawedServer struct {
	*story
	server  *xds.Server
	metrics *prometheus.Registry
	down    *recorder.Proxy // where Envoys connect
	up      *recorder.Proxy // where it finds Consul

	mu    sync.Mutex
	table *lambda.Table
	flaws map[string]flaw
}

// flawed starts one for a mesh without a lambdamesh.
func (s *story) flawed() *flawedServer {
	s.t.Helper()
	f := &flawedServer{story: s, metrics: prometheus.NewRegistry(), up: s.record(s.Consul.GRPCAddr())}
	tokenFile := filepath.Join(s.t.TempDir(), "token")
	s.must(os.WriteFile(tokenFile, []byte(s.Token.SecretID), 0o600))
	client, err := consul.NewClient(consul.ClientConfig{Address: s.Consul.HTTPAddr(), TokenFile: tokenFile})
	s.must(err)
	conn, err := grpc.NewClient(f.up.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	f.server = xds.NewServer(xds.Config{
		Upstream: onlyServer{conn}, Registry: f.metrics,
		Identify: func(ctx context.Context, node *corev3.Node) xds.Identity {
			found, _ := client.Identify(ctx, consul.ProxyRef{
				ID: node.GetId(), NodeName: node.GetMetadata().GetFields()["node_name"].GetStringValue(),
			})
			return xds.Identity(found)
		},
	})
	watcher := consul.NewWatcher(consul.WatcherConfig{Client: client, Intentions: true, OnTable: func(t *lambda.Table) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.table = t
		f.applyLocked()
	}})
	g := grpc.NewServer(f.server.ServerOptions()...)
	f.server.Register(g)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)

	ctx, stop := context.WithCancel(context.WithoutCancel(s.ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = watcher.Run(ctx) })
	running.Go(func() { _ = g.Serve(listener) })
	s.t.Cleanup(func() {
		stop()
		g.Stop()
		running.Wait()
		f.server.Wait()
		_ = conn.Close()
		client.Close()
	})
	f.down = s.record(listener.Addr().String())
	return f
}

// makes says which services' clusters are flawed from now on; nil: none.
func (f *flawedServer) makes(flaws map[string]flaw) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flaws = maps.Clone(flaws)
	f.applyLocked()
}

func (f *flawedServer) applyLocked() {
	if f.table == nil {
		return
	}
	ca, err := os.ReadFile(f.AWS.CAFile())
	if err == nil {
		var made *patch.Patcher
		made, err = patch.New(f.table, patch.Options{EndpointURL: f.AWS.Invoke.URL(), CAs: ca, Datacenter: "dc1"})
		f.server.SetPatcher(flawed{made, f.flaws})
	}
	if err != nil {
		f.t.Error(err)
	}
}

// rejected is what the state says of a proxy: Envoy's words by cluster.
func (f *flawedServer) rejected(id string) map[string]string {
	words := map[string]string{}
	for _, p := range f.server.Proxies() {
		if p.ID == id {
			for _, r := range p.Rejected {
				words[r.Resource] = r.Error
			}
		}
	}
	return words
}

// refusals is lambdamesh_xds_nacks_total: of clusters of ours, and of all else.
func (f *flawedServer) refusals() (ours, others int) {
	families, err := f.metrics.Gather()
	f.must(err)
	for _, family := range families {
		if family.GetName() != "lambdamesh_xds_nacks_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if n := int(m.GetCounter().GetValue()); labels["ours"] == "true" && labels["type"] == "cluster" {
				ours += n
			} else {
				others += n
			}
		}
	}
	return ours, others
}

// through are the options of a proxy that connects to this server.
func (f *flawedServer) through() testmesh.ProxyOptions {
	return testmesh.ProxyOptions{XDSAddr: f.down.Addr(), NoEnvoy: true}
}

// onlyServer is an xds.Upstream with nothing to choose.
type onlyServer struct{ *grpc.ClientConn }

// NewStream is part of xds.Upstream.
func (s onlyServer) NewStream(ctx context.Context, _ xds.Choice, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, string, error) {
	stream, err := s.ClientConn.NewStream(ctx, desc, method, opts...)
	return stream, s.Target(), err
}
