package main

import (
	"context"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/xds"
	"google.golang.org/grpc"
)

// upstream lets a consul.Upstream speak xds's words: neither package knows the
// other.
type upstream struct{ *consul.Upstream }

// NewStream is xds.Upstream.
func (u upstream) NewStream(ctx context.Context, choice xds.Choice, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, string, error) {
	return u.Upstream.NewStream(ctx, consul.Choice(choice), desc, method, opts...)
}
