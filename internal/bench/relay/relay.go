// Package relay is the least that a relay of gRPC can be: frames, both ways, as they
// are, one stream upstream for each downstream, as consul-dataplane does it. It is
// what lambdamesh's hop is measured against.
package relay

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// maxMessage is what Consul itself takes in one message.
const maxMessage = 50 << 20

// Serve relays all calls that arrive at the listener to the target until the context
// ends.
func Serve(ctx context.Context, l net.Listener, target string) error {
	conn, err := grpc.NewClient("passthrough:///"+target,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(frames.Codec{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return err
	}
	defer conn.Close()
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(frames.Codec{}), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.UnknownServiceHandler(func(_ any, down grpc.ServerStream) error { return join(conn, down) }))
	defer context.AfterFunc(ctx, server.Stop)()
	return server.Serve(l)
}

// join joins the client's half of a call to the target's.
func join(conn *grpc.ClientConn, down grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(down)
	if !ok {
		return status.Error(codes.Internal, "the call has no method")
	}
	md, _ := metadata.FromIncomingContext(down.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(down.Context(), md))
	defer cancel()
	up, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	go func() {
		err := pump(down, up)
		if errors.Is(err, io.EOF) {
			err = up.CloseSend()
		}
		if err != nil {
			cancel()
		}
	}()
	err = pump(up, down)
	down.SetTrailer(up.Trailer())
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// pump passes frames on until one side ends. The error is that of the side that did.
func pump(from interface{ RecvMsg(any) error }, to interface{ SendMsg(any) error }) error {
	for {
		var f frames.Frame
		if err := from.RecvMsg(&f); err != nil {
			return err
		}
		if err := to.SendMsg(&f); err != nil {
			return err
		}
	}
}
