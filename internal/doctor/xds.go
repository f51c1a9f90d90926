package doctor

import (
	"context"

	"google.golang.org/grpc"
)

// XDS checks that a stream can be opened to Consul's xDS. open opens one, and names the
// server.
func XDS(ctx context.Context, r *Report, addr string, open func(ctx context.Context, desc *grpc.StreamDesc, method string) (grpc.ClientStream, string, error)) {
	ctx, cancel := asking(ctx)
	defer cancel()
	// Without a token and a proxy nothing comes of it; that it opens is what counts.
	const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	_, server, err := open(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		r.add("consul xds", Fail, addr+": "+err.Error(),
			"is --consul-grpc-addr Consul's gRPC port (8502, or 8503 with TLS: grpcs:// or --consul-grpc-ca-file), and --consul-grpc-server-name a name in its certificate?")
		return
	}
	r.add("consul xds", OK, server+" takes streams", "")
}
