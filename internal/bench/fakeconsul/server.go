package fakeconsul

import (
	"context"
	"fmt"
	"net"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
)

// MaxStreams is how many streams Consul 1.22.5 takes on one connection. The next one
// waits, without an error.
const MaxStreams = 2048

// maxMessage is what Consul takes in one message.
const maxMessage = 50 << 20

// Serve answers delta ADS until the context ends. The templates are WriteTemplates's.
func Serve(ctx context.Context, l net.Listener, dir string) error {
	t, err := readTemplates(dir)
	if err != nil {
		return err
	}
	m := newMesh(t)
	server := grpc.NewServer(grpc.ForceServerCodecV2(frames.Codec{}),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxConcurrentStreams(MaxStreams))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "envoy.service.discovery.v3.AggregatedDiscoveryService",
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "DeltaAggregatedResources", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return (&session{mesh: m, stream: stream}).serve() },
		}},
	}, nil)
	defer context.AfterFunc(ctx, server.Stop)()
	return server.Serve(l)
}

// session is one proxy's stream.
type session struct {
	mesh   *mesh
	stream grpc.ServerStream

	script   Script
	asked    map[string]bool // types that were asked for
	revision int             // of the clusters
	nonce    uint64
}

func (s *session) serve() error {
	s.asked = map[string]bool{}
	for {
		var req discoveryv3.DeltaDiscoveryRequest
		if err := s.stream.RecvMsg(&req); err != nil {
			return err
		}
		if err := s.answer(&req); err != nil {
			return err
		}
	}
}

func (s *session) answer(req *discoveryv3.DeltaDiscoveryRequest) (err error) {
	if len(s.asked) == 0 {
		if s.script, err = parseScript(req.GetNode().GetCluster()); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
	}
	if detail := req.GetErrorDetail(); detail != nil {
		return status.Errorf(codes.InvalidArgument, "refused: %s", detail.GetMessage())
	}
	first := !s.asked[req.GetTypeUrl()]
	s.asked[req.GetTypeUrl()] = true
	acked := req.GetResponseNonce() != ""
	switch req.GetTypeUrl() {
	case frames.Clusters, frames.Listeners:
		switch {
		case first:
			return s.sendFirst(req)
		case acked && s.script.Loop && req.GetTypeUrl() == frames.Clusters:
			s.revision++
			return s.send(s.mesh.body(req.GetTypeUrl(), s.script, s.revision))
		}
	case frames.Endpoints:
		return s.sendEndpoints(req.GetResourceNamesSubscribe())
	}
	return nil
}

// sendFirst answers a type's first request: with all, but for what the proxy has.
func (s *session) sendFirst(req *discoveryv3.DeltaDiscoveryRequest) error {
	has := req.GetInitialResourceVersions()
	if len(has) == 0 {
		return s.send(s.mesh.body(req.GetTypeUrl(), s.script, s.revision))
	}
	resources := slices.DeleteFunc(s.mesh.resources(req.GetTypeUrl(), s.script, s.revision),
		func(r *discoveryv3.Resource) bool { return has[r.GetName()] == r.GetVersion() })
	return s.send(response(req.GetTypeUrl(), resources))
}

func (s *session) sendEndpoints(names []string) error {
	if len(names) == 0 {
		return nil
	}
	var resources []*discoveryv3.Resource
	for _, name := range names {
		resources = append(resources, endpoints(name))
	}
	return s.send(response(frames.Endpoints, resources))
}

func (s *session) send(body []byte) error {
	s.nonce++
	nonce := protowire.AppendTag(nil, frames.FieldNonce, protowire.BytesType)
	nonce = protowire.AppendString(nonce, nonceOf(s.nonce))
	return s.stream.SendMsg(frames.Parts{body, nonce})
}

// nonceOf counts as Consul does, from 00000001.
func nonceOf(n uint64) string { return fmt.Sprintf("%08x", n) }
