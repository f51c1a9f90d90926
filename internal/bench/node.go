package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// recordNode writes what a real Envoy, bootstrapped by a real Consul, says of itself.
func recordNode(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("record-node takes the file to write")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "lambdamesh-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	node, err := firstNode(ctx, dir)
	if err != nil {
		return fmt.Errorf("recording a Node: %w", err)
	}
	text, err := golden.Message(node)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], append(text, '\n'), 0o644)
}

func firstNode(ctx context.Context, dir string) (*corev3.Node, error) {
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		return nil, err
	}
	consulBin, err := cache.Consul(ctx)
	if err != nil {
		return nil, err
	}
	envoyBin, err := cache.Envoy(ctx)
	if err != nil {
		return nil, err
	}
	ports := testmesh.NewPorts()
	defer ports.Close()
	consul, err := testmesh.StartConsul(ctx, testmesh.ConsulConfig{Bin: consulBin, Dir: dir, Ports: ports, NoACL: true})
	if err != nil {
		return nil, err
	}
	defer consul.Kill()
	if err := consul.RegisterAgentService(ctx, "", &api.AgentServiceRegistration{
		Kind: api.ServiceKindConnectProxy, ID: "web-sidecar-proxy", Name: "web-sidecar-proxy", Address: "127.0.0.1", Port: 9,
		Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: "web", DestinationServiceID: "web"},
	}); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	nodes := make(chan *corev3.Node, 1)
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, listener{nodes: nodes})
	go func() { _ = server.Serve(l) }() // it ends by Stop
	defer server.Stop()
	var admin int
	if err := ports.Fill(&admin); err != nil {
		return nil, err
	}
	bootstrap, err := consul.Bootstrap(ctx, testmesh.BootstrapConfig{
		GRPCAddr: l.Addr().String(), AdminAddr: fmt.Sprintf("127.0.0.1:%d", admin),
		ProxyID: "web-sidecar-proxy", NodeName: consul.NodeName(),
	})
	if err != nil {
		return nil, err
	}
	envoy, err := testmesh.StartEnvoy(ctx, testmesh.EnvoyConfig{Bin: envoyBin, Dir: dir, Bootstrap: bootstrap, AdminPort: admin})
	if err != nil {
		return nil, err
	}
	defer envoy.Kill()
	select {
	case node := <-nodes:
		return node, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// listener is an xDS server that hears one request and says nothing.
type listener struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	nodes chan<- *corev3.Node
}

// DeltaAggregatedResources is part of the Aggregated Discovery Service.
func (l listener) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	req, err := stream.Recv()
	if err != nil {
		return err
	}
	select {
	case l.nodes <- req.GetNode():
	default: // one is enough
	}
	<-stream.Context().Done()
	return nil
}
