package e2e

import (
	"errors"
	"io"
	"net"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// claimed is the address of an xDS server that passes all on to another, where each Envoy
// claims to be of a version. So a real Envoy is sent what it refuses, in its own words.
func (s *story) claimed(version *typev3.SemanticVersion, target string) (addr string) {
	s.t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	c := &claim{version: version, to: discoveryv3.NewAggregatedDiscoveryServiceClient(conn)}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, c)
	c.running.Go(func() { _ = server.Serve(listener) })
	s.t.Cleanup(func() {
		server.Stop()
		c.running.Wait()
		_ = conn.Close()
	})
	return listener.Addr().String()
}

type claim struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	version *typev3.SemanticVersion
	to      discoveryv3.AggregatedDiscoveryServiceClient
	running sync.WaitGroup // the server and the readers of requests
}

// DeltaAggregatedResources is one Envoy's stream.
func (c *claim) DeltaAggregatedResources(down grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]) error {
	md, _ := metadata.FromIncomingContext(down.Context())
	up, err := c.to.DeltaAggregatedResources(metadata.NewOutgoingContext(down.Context(), md))
	if err != nil {
		return err
	}
	c.running.Go(func() {
		for {
			req, err := down.Recv()
			if err != nil {
				_ = up.CloseSend()
				return
			}
			if build := req.GetNode().GetUserAgentBuildVersion(); build != nil {
				build.Version = c.version
			}
			if up.Send(req) != nil {
				return // up.Recv says why
			}
		}
	})
	for {
		resp, err := up.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := down.Send(resp); err != nil {
			return err
		}
	}
}
