package recorder

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
)

// adsServer hands each delta stream to the test.
type adsServer struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	serve func(discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error
}

func (s adsServer) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serve(stream)
}

// echo answers each request without nonce with one resource per name.
func echo(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if req.GetResponseNonce() != "" {
			continue
		}
		out := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: req.GetTypeUrl(), Nonce: "nonce of " + req.GetTypeUrl()}
		for _, name := range req.GetResourceNamesSubscribe() {
			out.Resources = append(out.Resources, pack(req.GetTypeUrl(), name, "1"))
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// target serves delta ADS and health on addr and returns its address and how to
// stop it.
func target(t *testing.T, addr string, serve func(discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error) (string, func()) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.WaitForHandlers(true))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, adsServer{serve: serve})
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	stop := func() { server.Stop(); <-done }
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

func startProxy(t *testing.T, to string) *Proxy {
	t.Helper()
	p, err := Start("127.0.0.1:0", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// dial connects to the proxy.
func dial(t *testing.T, p *Proxy) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(p.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func open(t *testing.T, ctx context.Context, conn *grpc.ClientConn) discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient {
	t.Helper()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// ask sends one request and returns the answer.
func ask(t *testing.T, stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient, req *discoveryv3.DeltaDiscoveryRequest) *discoveryv3.DeltaDiscoveryResponse {
	t.Helper()
	if err := stream.Send(req); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// ended waits until the first n conversations have ended.
func ended(t *testing.T, ctx context.Context, p *Proxy, n int) []*Conversation {
	t.Helper()
	err := p.Wait(ctx, func(all []*Conversation) bool {
		return len(all) >= n && !slices.ContainsFunc(all[:n], func(c *Conversation) bool { return c.Ended() == nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.Conversations()
}

func TestProxyRecords(t *testing.T) {
	ctx := deadline(t)
	addr, _ := target(t, "127.0.0.1:0", echo)
	p := startProxy(t, addr)
	stream := open(t, metadata.AppendToOutgoingContext(ctx, "x-consul-token", "s3cret"), dial(t, p))

	req := with(initial(EndpointType), func(r *discoveryv3.DeltaDiscoveryRequest) { r.ResourceNamesSubscribe = []string{"x", "y"} })
	answer := ask(t, stream, req)
	if diff := cmp.Diff(resp(EndpointType, "nonce of "+EndpointType, "x", "1", "y", "1"), answer, protocmp.Transform()); diff != "" {
		t.Errorf("answer changed on the way: %s", diff)
	}
	if err := stream.Send(ack(EndpointType, answer.GetNonce())); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want EOF", err)
	}

	all := ended(t, ctx, p, 1)
	if len(all) != 1 {
		t.Fatalf("%d conversations, want 1", len(all))
	}
	entries := all[0].Snapshot()
	want := []Entry{{Request: req}, {Response: answer}, {Request: ack(EndpointType, answer.GetNonce())}}
	if diff := cmp.Diff(want, entries[:len(entries)-1], protocmp.Transform(), ignoreTime); diff != "" {
		t.Errorf("entries: %s", diff)
	}
	if !errors.Is(all[0].Ended(), io.EOF) {
		t.Errorf("ended with %v, want EOF", all[0].Ended())
	}
	if keys := all[0].MetadataKeys(); !slices.Contains(keys, "x-consul-token") || strings.Contains(strings.Join(keys, " "), "s3cret") {
		t.Errorf("metadata keys %v", keys)
	}
	for _, v := range append(Check(entries), Settled(entries)...) {
		t.Error(v)
	}
}

var ignoreTime = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Time" }, cmp.Ignore())

// TestProxyForwards holds that metadata, headers, trailers and the status with
// its details arrive as they were sent.
func TestProxyForwards(t *testing.T) {
	ctx := deadline(t)
	refusal, err := status.New(codes.PermissionDenied, "no: ünïcode").WithDetails(&anypb.Any{TypeUrl: "type.googleapis.com/x", Value: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan metadata.MD, 1)
	addr, _ := target(t, "127.0.0.1:0", func(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		got <- md
		if err := stream.SendHeader(metadata.Pairs("h", "1", "h", "2", "b-bin", "\x00\xff")); err != nil {
			return err
		}
		stream.SetTrailer(metadata.Pairs("t", "3"))
		return refusal.Err()
	})
	p := startProxy(t, addr)
	stream := open(t, metadata.AppendToOutgoingContext(ctx, "x-consul-token", "s3cret", "x-bin", "\x00\xff"), dial(t, p))

	header, err := stream.Header()
	if err != nil || !slices.Equal(header.Get("h"), []string{"1", "2"}) || !slices.Equal(header.Get("b-bin"), []string{"\x00\xff"}) {
		t.Errorf("header %v, %v", header, err)
	}
	_, err = stream.Recv()
	if diff := cmp.Diff(refusal.Proto(), status.Convert(err).Proto(), protocmp.Transform()); diff != "" {
		t.Errorf("status: %s", diff)
	}
	if !slices.Equal(stream.Trailer().Get("t"), []string{"3"}) {
		t.Errorf("trailer %v", stream.Trailer())
	}
	if md := <-got; !slices.Equal(md.Get("x-consul-token"), []string{"s3cret"}) || !slices.Equal(md.Get("x-bin"), []string{"\x00\xff"}) {
		t.Errorf("the target got metadata with keys %v", slices.Sorted(maps.Keys(md)))
	}
	if end := ended(t, ctx, p, 1)[0].Ended(); status.Code(end) != codes.PermissionDenied {
		t.Errorf("recorded end %v", end)
	}
}

func TestProxyPassesOtherServices(t *testing.T) {
	ctx := deadline(t)
	addr, _ := target(t, "127.0.0.1:0", echo)
	p := startProxy(t, addr)
	conn := dial(t, p)
	answer, err := healthgrpc.NewHealthClient(conn).Check(ctx, &healthgrpc.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != healthgrpc.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", answer, err)
	}
	if _, err := healthgrpc.NewHealthClient(conn).Check(ctx, &healthgrpc.HealthCheckRequest{Service: "x"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of an unknown service: %v", err)
	}
	sotw, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sotw.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("state of the world: %v", err)
	}
	if got := len(p.Conversations()); got != 0 {
		t.Errorf("%d conversations, want none", got)
	}
}

// TestProxyClientGoes holds that a client's end, also an abrupt one, ends the
// target's half.
func TestProxyClientGoes(t *testing.T) {
	ctx := deadline(t)
	gone := make(chan error, 1)
	addr, _ := target(t, "127.0.0.1:0", func(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
		err := echo(stream)
		gone <- err
		return err
	})
	p := startProxy(t, addr)
	conn := dial(t, p)
	ask(t, open(t, ctx, conn), initial(ClusterType))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-gone:
		if status.Code(err) != codes.Canceled {
			t.Errorf("the target saw %v, want Canceled", err)
		}
	case <-ctx.Done():
		t.Fatal("the target's half goes on")
	}
	if end := ended(t, ctx, p, 1)[0].Ended(); status.Code(end) != codes.Canceled {
		t.Errorf("recorded end %v", end)
	}
}

func TestProxyTargetGoesAndComesBack(t *testing.T) {
	ctx := deadline(t)
	addr, stop := target(t, "127.0.0.1:0", echo)
	p := startProxy(t, addr)
	conn := dial(t, p)
	first := open(t, ctx, conn)
	ask(t, first, initial(ClusterType))
	stop()
	if _, err := first.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the target's end: %v, want Unavailable", err)
	}
	if _, err := open(t, ctx, conn).Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("without target: %v, want Unavailable", err)
	}
	target(t, addr, echo)
	ask(t, open(t, ctx, conn), initial(ListenerType))

	all := ended(t, ctx, p, 2)
	if len(all) != 3 {
		t.Fatalf("%d conversations, want 3", len(all))
	}
	if all[0].FirstRequest(ClusterType) == nil || all[2].FirstRequest(ListenerType) == nil || all[2].Ended() != nil {
		t.Error("the conversations are not in the order of their start")
	}
}

func TestProxyLargeMessage(t *testing.T) {
	ctx := deadline(t)
	addr, _ := target(t, "127.0.0.1:0", echo)
	p := startProxy(t, addr)
	name := strings.Repeat("x", 20<<20)
	answer := ask(t, open(t, ctx, dial(t, p)), with(initial(EndpointType), func(r *discoveryv3.DeltaDiscoveryRequest) { r.ResourceNamesSubscribe = []string{name} }))
	if got := len(answer.GetResources()); got != 1 || answer.GetResources()[0].GetName() != name {
		t.Errorf("%d resources came back", got)
	}
}

// TestProxyClose holds that Close ends open streams, and what Wait says then.
func TestProxyClose(t *testing.T) {
	ctx := deadline(t)
	addr, _ := target(t, "127.0.0.1:0", echo)
	p := startProxy(t, addr)
	stream := open(t, ctx, dial(t, p))
	ask(t, stream, initial(ClusterType))
	waited := make(chan error, 1)
	go func() { waited <- p.Wait(ctx, func([]*Conversation) bool { return false }) }()
	p.Close()
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("an open stream ended with %v, want Unavailable", err)
	}
	if err := <-waited; err == nil || ctx.Err() != nil {
		t.Errorf("Wait returned %v", err)
	}
	if err := p.Wait(ctx, func(all []*Conversation) bool { return all[0].Ended() != nil }); err != nil {
		t.Errorf("what has happened: %v", err)
	}
	p.Close() // again is harmless
}

func TestProxyWaitEndsWithContext(t *testing.T) {
	p := startProxy(t, "127.0.0.1:1")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Wait(ctx, func([]*Conversation) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestStartOnTakenAddress(t *testing.T) {
	p := startProxy(t, "127.0.0.1:1")
	if second, err := Start(p.Addr(), "127.0.0.1:1"); err == nil {
		second.Close()
		t.Error("two recorders on one address")
	}
}
