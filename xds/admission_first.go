package xds

import (
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// awaitFirst is a grpc.StreamServerInterceptor that begins with a stream only when its
// first request has come, which comes at once with Envoys and with Consul's clients: a
// peer that opens streams and says nothing must not hold them for ever.
func (s *Server) awaitFirst(srv any, down grpc.ServerStream, _ *grpc.StreamServerInfo, begin grpc.StreamHandler) error {
	first, err := s.first(down)
	if err != nil {
		return err
	}
	return begin(srv, &begun{down, first})
}

func (s *Server) first(down grpc.ServerStream) (*arrival, error) {
	arrived := make(chan *arrival, 1)
	// Its goroutine ends with this handler at the latest; the Server waits for it.
	s.readers.Go(func() {
		first := &arrival{}
		first.err = down.RecvMsg(&first.frame)
		arrived <- first
	})
	timeout := time.NewTimer(s.cfg.FirstRequestWait)
	defer timeout.Stop()
	select {
	case first := <-arrived:
		if first.err != nil && !errors.Is(first.err, io.EOF) {
			return nil, first.err
		}
		return first, nil
	case <-timeout.C:
		return nil, status.Error(codes.DeadlineExceeded, fmt.Sprintf("no request came within %s", s.cfg.FirstRequestWait))
	case <-s.draining:
		return nil, errLeaving
	}
}

// arrival is a message, or the end of those of the caller.
type arrival struct {
	frame rawFrame
	err   error
}

// begun is a stream whose first message has arrived.
type begun struct {
	grpc.ServerStream
	first *arrival // nil once it was handed over
}

// RecvMsg is grpc.ServerStream's.
func (b *begun) RecvMsg(m any) error {
	first := b.first
	if first == nil {
		return b.ServerStream.RecvMsg(m)
	}
	b.first = nil
	if first.err != nil {
		return first.err
	}
	return newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(first.frame)}, m)
}
