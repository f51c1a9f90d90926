package xds

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// pass relays a call that is not ours to Consul and back: its metadata, each message
// as it stands on the wire, headers, trailers and status. What comes from one side is
// taken when the other has room for it. The caller's deadline and its going away
// travel with the context; an end of its messages is passed on as such.
func (s *Server) pass(_ any, down grpc.ServerStream) (err error) {
	defer func() { s.metrics.passed(err) }()
	method, _ := grpc.MethodFromServerStream(down)
	md, _ := metadata.FromIncomingContext(down.Context())
	ctx, cancel := context.WithCancelCause(metadata.NewOutgoingContext(down.Context(), passable(md)))
	defer cancel(nil)
	up, _, err := s.cfg.Upstream.NewStream(ctx, Choice{},
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method,
		grpc.ForceCodecV2(newCodec()), grpc.MaxCallRecvMsgSize(s.cfg.MaxMessageSize), grpc.MaxCallSendMsgSize(s.cfg.MaxMessageSize))
	if err != nil {
		return err
	}
	// The two end with the context, at the latest when this handler has returned, so
	// it cannot wait for them; the Server does.
	s.readers.Go(func() {
		if err := passRequests(down, up); err != nil {
			cancel(err)
		}
	})
	s.readers.Go(func() { s.endWithDrain(ctx, cancel) })
	err = passResponses(up, down, s.rewriting(down.Context(), method))
	down.SetTrailer(passable(up.Trailer()))
	if ctx.Err() != nil && down.Context().Err() == nil {
		return context.Cause(ctx) // ours, which came to Consul as a cancellation
	}
	return err
}

// passRequests passes on what the caller says until it says no more. An error is the
// reason why the call must not go on.
func passRequests(down grpc.ServerStream, up grpc.ClientStream) error {
	for {
		var frame rawFrame
		err := down.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return up.CloseSend()
		}
		if err != nil {
			return err
		}
		if err := up.SendMsg(&frame); errors.Is(err, io.EOF) {
			return nil // Consul has ended the call: its status comes with its responses
		} else if err != nil {
			return err
		}
	}
}

// passResponses passes on what Consul says and returns its status.
func passResponses(up grpc.ClientStream, down grpc.ServerStream, rewrite func(rawFrame) (rawFrame, error)) error {
	// Without headers it is a refusal, whose status comes from RecvMsg.
	if header, err := up.Header(); err == nil && header != nil {
		if err := down.SendHeader(passable(header)); err != nil {
			return err
		}
	}
	for {
		var frame rawFrame
		if err := up.RecvMsg(&frame); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		frame, err := rewrite(frame)
		if err != nil {
			return err
		}
		if err := down.SendMsg(&frame); err != nil {
			return err
		}
	}
}

// endWithDrain ends a call when its turn to leave comes, if it lasts so long.
func (s *Server) endWithDrain(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-s.draining:
	case <-ctx.Done():
		return
	}
	turn := time.NewTimer(s.leaveAfter())
	defer turn.Stop()
	select {
	case <-turn.C:
		cancel(errLeaving)
	case <-ctx.Done():
	}
}

// hopByHop is metadata that belongs to one connection, not to the call.
var hopByHop = map[string]bool{
	"connection": true, "content-type": true, "host": true, "keep-alive": true, "proxy-connection": true,
	"te": true, "trailer": true, "transfer-encoding": true, "upgrade": true, "user-agent": true,
}

// passable is metadata without what each connection's own gRPC says: pseudo-headers,
// the keys that gRPC reserves for itself, and those of one hop.
func passable(md metadata.MD) metadata.MD {
	out := metadata.MD{}
	for key, values := range md {
		if !strings.HasPrefix(key, ":") && !strings.HasPrefix(key, "grpc-") && !hopByHop[key] {
			out[key] = values
		}
	}
	return out
}
