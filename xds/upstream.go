package xds

import (
	"context"

	"google.golang.org/grpc"
)

// Upstream opens streams to Consul's servers. One server is chosen for each
// stream: Consul caps the streams of a server.
type Upstream interface {
	// NewStream opens a stream that lasts until the context ends, and names the
	// server that it goes to, for Choice.Avoid and for people; empty if none could be
	// chosen.
	NewStream(ctx context.Context, choice Choice, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (stream grpc.ClientStream, server string, err error)
}

// Choice is what there is to know for choosing a server. The zero value lets any
// do.
type Choice struct {
	// Pinned asks for the same server each time: the one that the address stands for
	// which was configured first. An Envoy whose Node names no node belongs to that
	// agent; any other would look it up under its own name, and hang (1.22.5).
	Pinned bool

	// Avoid is a server that has just failed or refused the stream. Another is taken
	// if there is one, unless Pinned.
	Avoid string
}
