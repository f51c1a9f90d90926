package xds_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lambdamesh/lambdamesh/xds"
)

// bothWays describes a call of any kind.
var bothWays = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// passRig is a client of a Server before an upstream whose every call is answered by
// serve.
type passRig struct {
	server *xds.Server
	addr   string
	conn   *grpc.ClientConn
}

func newPassRig(t *testing.T, cfg xds.Config, serve grpc.StreamHandler, listenAt string) *passRig {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	cfg.Upstream = oneServer{dial(t, listen(t, grpc.NewServer(grpc.UnknownServiceHandler(serve))))}
	server := xds.NewServer(cfg)
	t.Cleanup(server.Wait)
	down := grpc.NewServer(server.ServerOptions()...)
	server.Register(down)
	l, err := net.Listen("tcp", listenAt)
	if err != nil {
		t.Skip(err) // no IPv6 here
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = down.Serve(l) })
	t.Cleanup(func() { down.Stop(); serving.Wait() })
	return &passRig{server, l.Addr().String(), dial(t, l.Addr().String())}
}

// open begins a call of another service.
func (r *passRig) open(ctx context.Context, t *testing.T) grpc.ClientStream {
	t.Helper()
	stream, err := r.conn.NewStream(ctx, bothWays, "/other.Service/Method")
	must(t, err)
	return stream
}

// withoutGRPCs are trailers without those that carry the status.
func withoutGRPCs(md metadata.MD) metadata.MD {
	delete(md, "content-type")
	delete(md, "grpc-status-details-bin")
	return md
}

func text(s string) *wrapperspb.StringValue { return wrapperspb.String(s) }

// TestCallsOfOtherServicesPass: what the caller says and what Consul answers arrive as
// if nothing stood in between, but for what belongs to each connection.
func TestCallsOfOtherServicesPass(t *testing.T) {
	refusal, err := status.New(codes.FailedPrecondition, "in consul's words: é").WithDetails(&errdetails.RetryInfo{}, &errdetails.ErrorInfo{Reason: "why"})
	must(t, err)
	var got metadata.MD
	var left time.Duration
	r := newPassRig(t, xds.Config{}, func(_ any, s grpc.ServerStream) error {
		got, _ = metadata.FromIncomingContext(s.Context())
		deadline, _ := s.Context().Deadline()
		left = time.Until(deadline)
		must(t, s.SetHeader(metadata.Pairs("x-head", "1", "x-head", "2", "x-head-bin", "\x00\xff", "connection", "no")))
		for {
			var m wrapperspb.StringValue
			if err := s.RecvMsg(&m); errors.Is(err, io.EOF) {
				s.SetTrailer(metadata.Pairs("x-tail", "3", "x-tail-bin", "\x00"))
				return refusal.Err()
			} else if err != nil {
				return err
			}
			if err := s.SendMsg(text("echo " + m.GetValue())); err != nil {
				return err
			}
		}
	}, "127.0.0.1:0")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-consul-token", "the callers", "x-two", "a", "x-two", "b", "x-bin-bin", "\x00\xfe",
		"grpc-accept-encoding", "gzip", "keep-alive", "5")
	stream := r.open(ctx, t)
	for _, word := range []string{"one", "", "two"} {
		must(t, stream.SendMsg(text(word)))
		var m wrapperspb.StringValue
		must(t, stream.RecvMsg(&m))
		if m.GetValue() != "echo "+word {
			t.Errorf("got %q", m.GetValue())
		}
	}
	must(t, stream.CloseSend())
	err = stream.RecvMsg(&wrapperspb.StringValue{})
	if diff := cmp.Diff(refusal.Proto(), status.Convert(err).Proto(), protocmp.Transform()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	for _, key := range []string{":authority", "user-agent", "content-type"} { // of the connection to Consul
		delete(got, key)
	}
	if diff := cmp.Diff(metadata.Pairs("x-consul-token", "the callers", "x-two", "a", "x-two", "b", "x-bin-bin", "\x00\xfe"), got); diff != "" {
		t.Errorf("metadata at consul (-want +got):\n%s", diff)
	}
	if left < 50*time.Second || left > time.Minute {
		t.Errorf("consul was left %s", left)
	}
	header, err := stream.Header()
	must(t, err)
	delete(header, "content-type") // of the caller's connection
	if diff := cmp.Diff(metadata.Pairs("x-head", "1", "x-head", "2", "x-head-bin", "\x00\xff"), header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(metadata.Pairs("x-tail", "3", "x-tail-bin", "\x00"), withoutGRPCs(stream.Trailer())); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
}

// TestRefusalWithoutHeadersPasses: the usual answer of a server that refuses.
func TestRefusalWithoutHeadersPasses(t *testing.T) {
	r := newPassRig(t, xds.Config{}, func(_ any, s grpc.ServerStream) error {
		s.SetTrailer(metadata.Pairs("x-tail", "3"))
		return status.Error(codes.Unimplemented, "unknown service other.Service")
	}, "127.0.0.1:0")
	var trailer metadata.MD
	err := r.conn.Invoke(t.Context(), "/other.Service/Method", text("x"), &wrapperspb.StringValue{}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.Unimplemented || status.Convert(err).Message() != "unknown service other.Service" {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(metadata.Pairs("x-tail", "3"), withoutGRPCs(trailer)); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
}

// TestConsulMayEndFirst: a call ends when Consul says so, though the caller has more
// to say.
func TestConsulMayEndFirst(t *testing.T) {
	r := newPassRig(t, xds.Config{}, func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(&wrapperspb.StringValue{}); err != nil {
			return err
		}
		return s.SendMsg(text("enough"))
	}, "127.0.0.1:0")
	stream := r.open(t.Context(), t)
	must(t, stream.SendMsg(text("x")))
	var m wrapperspb.StringValue
	must(t, stream.RecvMsg(&m))
	if err := stream.RecvMsg(&m); !errors.Is(err, io.EOF) || m.GetValue() != "enough" {
		t.Errorf("got %q, %v", m.GetValue(), err)
	}
}

// TestCallerGoesAway: so does the call at Consul.
func TestCallerGoesAway(t *testing.T) {
	ended := make(chan error, 1)
	r := newPassRig(t, xds.Config{}, func(_ any, s grpc.ServerStream) error {
		_ = s.SendMsg(text("hello"))
		<-s.Context().Done()
		ended <- s.Context().Err()
		return s.Context().Err()
	}, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	stream := r.open(ctx, t)
	must(t, stream.SendMsg(text("x")))
	must(t, stream.RecvMsg(&wrapperspb.StringValue{}))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("consul's end: %v", err)
	}
}

// TestMessagesHaveABound, both ways, and the call ends on both sides.
func TestMessagesHaveABound(t *testing.T) {
	ended := make(chan struct{}, 1)
	r := newPassRig(t, xds.Config{MaxMessageSize: 1000}, func(_ any, s grpc.ServerStream) error {
		defer func() { ended <- struct{}{} }()
		for {
			var m wrapperspb.StringValue
			if err := s.RecvMsg(&m); err != nil {
				return err
			}
			if err := s.SendMsg(text(strings.Repeat(m.GetValue(), 500))); err != nil {
				return err
			}
		}
	}, "127.0.0.1:0")
	for what, word := range map[string]string{"a request": strings.Repeat("x", 2000), "an answer": "123"} {
		stream := r.open(t.Context(), t)
		must(t, stream.SendMsg(text("x")))
		must(t, stream.RecvMsg(&wrapperspb.StringValue{}))
		must(t, stream.SendMsg(text(word)))
		if err := stream.RecvMsg(&wrapperspb.StringValue{}); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("%s: got %v", what, err)
		}
		<-ended
	}
	if err := r.conn.Invoke(t.Context(), "/other.Service/Method", text(strings.Repeat("x", 2000)), text("")); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the first message: got %v", err)
	}
}

// TestDrainEndsOtherCalls: one that goes on for ever, as WatchServers does.
func TestDrainEndsOtherCalls(t *testing.T) {
	r := newPassRig(t, xds.Config{}, func(_ any, s grpc.ServerStream) error {
		_ = s.SendMsg(text("hello"))
		<-s.Context().Done()
		return s.Context().Err()
	}, "127.0.0.1:0")
	stream := r.open(t.Context(), t)
	must(t, stream.SendMsg(text("x")))
	must(t, stream.RecvMsg(&wrapperspb.StringValue{}))
	r.server.Drain(50 * time.Millisecond)
	if err := stream.RecvMsg(&wrapperspb.StringValue{}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "stops") {
		t.Errorf("got %v", err)
	}
}

// TestWatchServersLeadsBack: each list of Consul's servers becomes one of a single
// server, at an IP that the caller can dial with the port it knows.
func TestWatchServersLeadsBack(t *testing.T) {
	lists := []*pbserverdiscovery.WatchServersResponse{
		{Servers: []*pbserverdiscovery.Server{{Id: "a", Address: "10.0.0.1", Version: "1.22.5"}, {Id: "b", Address: "10.0.0.2", Version: "1.22.4"}}},
		{},
		{Servers: []*pbserverdiscovery.Server{{Id: "b", Address: "10.0.0.2", Version: "1.22.4"}}},
	}
	consul := func(_ any, s grpc.ServerStream) error {
		for _, list := range lists {
			if err := s.SendMsg(list); err != nil {
				return err
			}
		}
		return status.Error(codes.PermissionDenied, "in consul's words")
	}
	for name, test := range map[string]struct {
		listen, advertise, authority string
		want                         string
	}{
		"dialled by IP":                 {listen: "127.0.0.1:0", want: "127.0.0.1"},
		"dialled by IPv6":               {listen: "[::1]:0", want: "::1"},
		"dialled by name":               {listen: "127.0.0.1:0", authority: "lambdamesh.example:8502", want: "127.0.0.1"},
		"behind a load balancer":        {listen: "127.0.0.1:0", authority: "192.0.2.7:8502", want: "192.0.2.7"},
		"behind one of IPv6":            {listen: "127.0.0.1:0", authority: "[2001:db8::7]:8502", want: "2001:db8::7"},
		"an authority without port":     {listen: "127.0.0.1:0", authority: "[2001:db8::7]", want: "2001:db8::7"},
		"a zone means nothing here":     {listen: "127.0.0.1:0", authority: "[fe80::7%eth0]:1", want: "fe80::7"},
		"advertised":                    {listen: "127.0.0.1:0", authority: "192.0.2.7:8502", advertise: "192.0.2.9", want: "192.0.2.9"},
		"advertised, dialled by a name": {listen: "127.0.0.1:0", authority: "x", advertise: "2001:db8::9", want: "2001:db8::9"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPassRig(t, xds.Config{AdvertiseAddr: test.advertise}, consul, test.listen)
			conn := r.conn
			if test.authority != "" {
				var err error
				conn, err = grpc.NewClient(r.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(test.authority))
				must(t, err)
				defer conn.Close()
			}
			stream, err := pbserverdiscovery.NewServerDiscoveryServiceClient(conn).WatchServers(t.Context(), &pbserverdiscovery.WatchServersRequest{})
			must(t, err)
			for _, want := range []*pbserverdiscovery.WatchServersResponse{
				{Servers: []*pbserverdiscovery.Server{{Id: "a", Address: test.want, Version: "1.22.5"}}},
				{},
				{Servers: []*pbserverdiscovery.Server{{Id: "b", Address: test.want, Version: "1.22.4"}}},
			} {
				got, err := stream.Recv()
				must(t, err)
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if _, err := stream.Recv(); status.Convert(err).Message() != "in consul's words" {
				t.Errorf("got %v", err)
			}
		})
	}
}
