package xds_test

import (
	"context"
	"sync"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
)

// records are the streams of one side of a rig, checked at the end of the test. What a
// nil one records is not.
type records struct {
	mu  sync.Mutex
	all []*recorder.Conversation
}

func newRecords(t *testing.T, side string) *records {
	r := &records{}
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i, c := range r.all {
			for _, v := range recorder.Check(c.Snapshot()) {
				t.Errorf("stream %d %s: %v", i, side, v)
			}
		}
	})
	return r
}

func (r *records) begin() *recorder.Conversation {
	c := recorder.NewConversation()
	if r == nil {
		return c
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, c)
	return c
}

// recordedConn records the delta streams of a client.
type recordedConn struct {
	grpc.ClientConnInterface
	*records
}

func (c recordedConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	if err != nil || method != discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName {
		return stream, err
	}
	return recordedStream{stream, c.begin()}, nil
}

type recordedStream struct {
	grpc.ClientStream
	record *recorder.Conversation
}

func (s recordedStream) SendMsg(m any) error {
	if req, ok := m.(*discoveryv3.DeltaDiscoveryRequest); ok {
		s.record.AddRequest(proto.CloneOf(req))
	}
	return s.ClientStream.SendMsg(m)
}

func (s recordedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if resp, ok := m.(*discoveryv3.DeltaDiscoveryResponse); ok && err == nil {
		s.record.AddResponse(proto.CloneOf(resp))
	}
	return err
}
