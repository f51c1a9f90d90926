package xds_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/goleak"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/xds"
)

const (
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
)

// fakeConsul is an xDS server whose every step a test decides: what a real one
// does not do on demand.
type fakeConsul struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	streams chan *fakeStream
	*records
}

// fakeStream is one stream at the fake. end ends it.
type fakeStream struct {
	discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
	requests chan *discoveryv3.DeltaDiscoveryRequest
	end      chan error
	record   *recorder.Conversation
}

// Send is the stream's, recorded.
func (s *fakeStream) Send(resp *discoveryv3.DeltaDiscoveryResponse) error {
	s.record.AddResponse(proto.CloneOf(resp))
	return s.AggregatedDiscoveryService_DeltaAggregatedResourcesServer.Send(resp)
}

func (f *fakeConsul) DeltaAggregatedResources(s discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	st := &fakeStream{s, make(chan *discoveryv3.DeltaDiscoveryRequest, 100), make(chan error, 1), f.begin()}
	go func() {
		for {
			req, err := s.Recv()
			if err != nil {
				return
			}
			st.record.AddRequest(req)
			st.requests <- req
		}
	}()
	f.streams <- st
	select {
	case err := <-st.end:
		return err
	case <-s.Context().Done():
		return s.Context().Err()
	}
}

// oneServer is an Upstream with nothing to choose.
type oneServer struct{ *grpc.ClientConn }

func (s oneServer) NewStream(ctx context.Context, _ xds.Choice, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, string, error) {
	stream, err := s.ClientConn.NewStream(ctx, desc, method, opts...)
	return stream, s.Target(), err
}

// rig is an Envoy's end of a connection to a Server in front of a fake Consul.
type rig struct {
	t      *testing.T
	server *xds.Server
	consul *fakeConsul
	envoy  discoveryv3.AggregatedDiscoveryServiceClient
}

func newRig(t *testing.T, cfg xds.Config) *rig {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	consul := &fakeConsul{streams: make(chan *fakeStream, 10), records: newRecords(t, "at consul")}
	upstream := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(upstream, consul)
	cfg.Upstream = oneServer{dial(t, listen(t, upstream))}
	server := xds.NewServer(cfg)
	down := grpc.NewServer(server.ServerOptions()...)
	server.Register(down)
	t.Cleanup(server.Wait) // after the server has stopped
	conn := dial(t, listen(t, down))
	return &rig{t, server, consul, discoveryv3.NewAggregatedDiscoveryServiceClient(recordedConn{conn, newRecords(t, "of envoy")})}
}

func listen(t *testing.T, server *grpc.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); done.Wait() })
	return l.Addr().String()
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(xds.DefaultMaxMessageSize)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// connect opens Envoy's stream and sends the first clusters request on it.
func (r *rig) connect(ctx context.Context, versions map[string]string) discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient {
	r.t.Helper()
	stream, err := r.envoy.DeltaAggregatedResources(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: &corev3.Node{Id: "web-1", Extensions: []*corev3.Extension{{Name: "many"}}}, TypeUrl: clusterType,
		InitialResourceVersions: versions,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return stream
}

func (r *rig) upstream() *fakeStream {
	r.t.Helper()
	select {
	case s := <-r.consul.streams:
		return s
	case <-r.t.Context().Done():
	case <-time.After(20 * time.Second):
	}
	r.t.Fatal("no stream reached consul")
	return nil
}

func (s *fakeStream) next(t *testing.T) *discoveryv3.DeltaDiscoveryRequest {
	t.Helper()
	select {
	case req := <-s.requests:
		return req
	case <-time.After(20 * time.Second):
		t.Fatal("no request reached consul")
		return nil
	}
}

func clusters(t *testing.T, nonce string, named ...string) *discoveryv3.DeltaDiscoveryResponse {
	t.Helper()
	resp := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: clusterType, Nonce: nonce}
	for _, name := range named {
		body, err := anypb.New(&clusterv3.Cluster{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		resp.Resources = append(resp.Resources, &discoveryv3.Resource{Name: name, Version: "v1", Resource: body})
	}
	return resp
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// namePatcher patches clusters by name: a prefix fn- gets the alt_stat_name.
type namePatcher string

func (p namePatcher) Subject(name string) string { return name }

func (p namePatcher) Since(xds.Patcher) ([]string, bool) { return nil, true }

func (p namePatcher) Candidate(_, name string, _ xds.Proxy) bool {
	return strings.HasPrefix(name, "fn-")
}

func (p namePatcher) Subjects(string, []byte) []string { return nil }

func (p namePatcher) Unpatched(name string, _ xds.Proxy) *xds.Unpatched {
	if name != "plain" || p == "" {
		return nil
	}
	return &xds.Unpatched{Service: "plain", Reason: "by its name, " + string(p)}
}

func (p namePatcher) Other(string, []byte, xds.Proxy) *xds.Patch { return nil }

func (p namePatcher) Endpoints([]byte) xds.Endpoints { return xds.EndpointsSome }

func (p namePatcher) Cluster(name string, _ []byte, _ xds.Proxy, _ func(string) xds.Endpoints) xds.Verdict {
	if name == "left" && p != "" {
		return xds.Verdict{Keep: true, Unpatched: &xds.Unpatched{Service: "fn-b", Reason: string(p)}}
	}
	if !strings.HasPrefix(name, "fn-") || p == "" {
		return xds.Verdict{Keep: name == "left" || strings.HasPrefix(name, "fn-")}
	}
	return xds.Verdict{Keep: true, Patch: &xds.Patch{Key: name + " " + string(p), Service: name, Make: func() xds.Made {
		return xds.Made{Cluster: &clusterv3.Cluster{Name: name, AltStatName: string(p)}, Form: "cluster"}
	}}}
}

func TestNoAnswerBeforeTheFirstTable(t *testing.T) {
	r := newRig(t, xds.Config{TableWait: 20 * time.Millisecond})
	_, err := r.connect(t.Context(), nil).Recv()
	if status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v, want Unavailable", err)
	}
	if len(r.consul.streams) != 0 {
		t.Fatal("consul was asked before there was a table")
	}
}

func TestOnlyTheTokenOfEnvoyGoesUp(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher(""))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-consul-token", "envoys-own", "x-other", "no")
	r.connect(ctx, nil)
	up := r.upstream()
	md, _ := metadata.FromIncomingContext(up.Context())
	if got := md.Get("x-consul-token"); len(got) != 1 || got[0] != "envoys-own" {
		t.Errorf("token: %v", got)
	}
	if got := md.Get("x-other"); got != nil {
		t.Errorf("other metadata went up: %v", got)
	}
	if node := up.next(t).GetNode(); node.GetId() != "web-1" || len(node.GetExtensions()) != 0 {
		t.Errorf("node: %v", node)
	}
}

func TestRefusalsOfConsulReachEnvoyUnchanged(t *testing.T) {
	for _, code := range []codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Unimplemented} {
		r := newRig(t, xds.Config{})
		r.server.SetPatcher(namePatcher(""))
		envoy := r.connect(t.Context(), nil)
		r.upstream().end <- status.Error(code, "in consul's words")
		_, err := envoy.Recv()
		if status.Code(err) != code || status.Convert(err).Message() != "in consul's words" {
			t.Errorf("%v: got %v", code, err)
		}
	}
}

func TestStateOfTheWorldIsRefused(t *testing.T) {
	r := newRig(t, xds.Config{})
	stream, err := r.envoy.StreamAggregatedResources(t.Context())
	must(t, err)
	_ = stream.Send(&discoveryv3.DiscoveryRequest{TypeUrl: clusterType}) // the stream may have ended by now
	_, err = stream.Recv()
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "delta") {
		t.Fatalf("got %v", err)
	}
}

// TestLossOfConsulIsInvisible ends Consul's stream in each way that a new attempt
// may mend. Envoy's stream stays, and what it has is not sent again.
func TestLossOfConsulIsInvisible(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher("one"))
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	up.next(t)
	must(t, up.Send(clusters(t, "c1", "fn-a", "plain")))
	resp, err := envoy.Recv()
	must(t, err)
	versions := map[string]string{}
	for _, res := range resp.GetResources() {
		versions[res.GetName()] = res.GetVersion()
	}
	if versions["plain"] != "v1" || !strings.HasPrefix(versions["fn-a"], "v1+lm1.") {
		t.Fatalf("versions %v", versions)
	}
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: resp.GetNonce()}))
	if got := up.next(t).GetResponseNonce(); got != "c1" {
		t.Fatalf("consul was answered with nonce %q", got)
	}
	for _, end := range []error{
		status.Error(codes.ResourceExhausted, "drained"), status.Error(codes.Unavailable, "gone"),
		status.Error(codes.Internal, "broken"), status.Error(codes.Aborted, "acl"), nil,
	} {
		up.end <- end
		up = r.upstream()
		first := up.next(t)
		if first.GetNode().GetId() != "web-1" {
			t.Errorf("after %v: no node", end)
		}
		want := map[string]string{"fn-a": "", "plain": "v1"}
		for name, version := range want {
			if got, ok := first.GetInitialResourceVersions()[name]; !ok || got != version {
				t.Errorf("after %v: initial version of %s is %q", end, name, got)
			}
		}
		must(t, up.Send(clusters(t, "again", "fn-a")))
		if got := up.next(t).GetResponseNonce(); got != "again" {
			t.Fatalf("after %v: what envoy has was not acknowledged for it, but %q", end, got)
		}
	}
	// Proof that nothing was on its way to Envoy: the next thing it hears is new.
	must(t, up.Send(clusters(t, "c9", "new")))
	resp, err = envoy.Recv()
	must(t, err)
	if len(resp.GetResources()) != 1 || resp.GetResources()[0].GetName() != "new" {
		t.Fatalf("envoy was sent %v", resp)
	}
}

// TestTableReachesEnvoyWithoutConsul changes the table of a connected Envoy.
func TestTableReachesEnvoyWithoutConsul(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher(""))
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	up.next(t)
	must(t, up.Send(clusters(t, "c1", "fn-a", "left", "plain")))
	resp, err := envoy.Recv()
	must(t, err)
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: resp.GetNonce()}))
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType}))
	for up.next(t).GetTypeUrl() != listenerType {
		continue
	}
	if got := r.server.Proxies()[0].Unpatched; got != nil {
		t.Errorf("nothing is to be said yet, but: %v", got)
	}
	r.server.SetPatcher(namePatcher("one"))
	resp, err = envoy.Recv()
	must(t, err)
	if len(resp.GetResources()) != 1 || resp.GetResources()[0].GetName() != "fn-a" {
		t.Fatalf("envoy was sent %v", resp)
	}
	proxies := r.server.Proxies()
	if len(proxies) != 1 || len(proxies[0].Patched) != 1 || proxies[0].Patched[0].Service != "fn-a" {
		t.Fatalf("state: %+v", proxies)
	}
	want := []xds.UnpatchedState{
		{Cluster: "left", Unpatched: xds.Unpatched{Service: "fn-b", Reason: "one"}},
		{Cluster: "plain", Unpatched: xds.Unpatched{Service: "plain", Reason: "by its name, one"}},
	}
	if got := proxies[0].Unpatched; !slices.Equal(got, want) {
		t.Errorf("unpatched: %v, want %v", got, want)
	}
	// Envoy's answer to it is nobody's business but ours.
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: resp.GetNonce()}))
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: "proof", ResourceNamesSubscribe: []string{"x"}}))
	if got := up.next(t); got.GetTypeUrl() != "proof" {
		t.Fatalf("consul was sent %v", got)
	}
}

// TestGrace: an Envoy whose Consul stays away is told in the end.
func TestGrace(t *testing.T) {
	r := newRig(t, xds.Config{Grace: 50 * time.Millisecond})
	r.server.SetPatcher(namePatcher(""))
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	up.next(t)
	_, err := envoy.Recv()
	if status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v", err)
	}
}

// TestEnvoyGoes: the end of Envoy's stream ends Consul's.
func TestEnvoyGoes(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher(""))
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	must(t, envoy.CloseSend())
	if _, err := envoy.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("envoy's stream ends with %v", err)
	}
	<-up.Context().Done()
	if len(r.server.Proxies()) != 0 {
		t.Error("the stream is still listed")
	}
}

// TestDrain: every Envoy is sent away with the reason, and in time.
func TestDrain(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher(""))
	var envoys []discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	for range 5 {
		envoys = append(envoys, r.connect(t.Context(), nil))
		r.upstream().next(t)
	}
	r.server.Drain(50 * time.Millisecond)
	for _, envoy := range envoys {
		if _, err := envoy.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("an envoy was sent away with %v", err)
		}
	}
}

// TestLargeResponsePasses: a mesh of many services, in one response of 20 MB.
func TestLargeResponsePasses(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher("one"))
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	up.next(t)
	resp := clusters(t, "c1", "fn-a")
	for i := range 20 {
		name := fmt.Sprintf("big-%d", i)
		body, err := anypb.New(&clusterv3.Cluster{Name: name, AltStatName: strings.Repeat("x", 1<<20)})
		must(t, err)
		resp.Resources = append(resp.Resources, &discoveryv3.Resource{Name: name, Version: "v1", Resource: body})
	}
	must(t, up.Send(resp))
	var got discoveryv3.DeltaDiscoveryResponse
	must(t, envoy.RecvMsg(&got))
	if len(got.GetResources()) != 21 {
		t.Fatalf("%d resources arrived", len(got.GetResources()))
	}
}

// TestRefusedPatchIsContained: a form of ours that Envoy refuses costs that service
// alone. Everything else of the response arrives, and Consul never hears of it.
func TestRefusedPatchIsContained(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher("bad"))
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	up.next(t)
	must(t, up.Send(clusters(t, "c1", "fn-a", "plain")))
	first, err := envoy.Recv()
	must(t, err)
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: clusterType, ResponseNonce: first.GetNonce(),
		ErrorDetail: &rpcstatus.Status{Code: 13, Message: "Error adding/updating cluster(s) fn-a: not to my taste"},
	}))
	second, err := envoy.Recv()
	must(t, err)
	versions := map[string]string{}
	for _, res := range second.GetResources() {
		versions[res.GetName()] = res.GetVersion()
	}
	if len(versions) != 2 || versions["plain"] != "v1" || versions["fn-a"] == first.GetResources()[0].GetVersion() {
		t.Fatalf("sent again: %v", versions)
	}
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: second.GetNonce()}))
	if got := up.next(t); got.GetResponseNonce() != "c1" || got.GetErrorDetail() != nil {
		t.Fatalf("consul was told %v", got)
	}
	state := r.server.Proxies()[0]
	if len(state.Rejected) != 1 || !strings.Contains(state.Rejected[0].Error, "not to my taste") || !slices.Equal(state.Rejected[0].Subjects, []string{"fn-a"}) {
		t.Errorf("the state says %+v", state.Rejected)
	}
	last := state.LastRefusal
	if last == nil || last.Type != "cluster" || !last.Ours || !strings.Contains(last.Error, "not to my taste") || time.Since(last.At) > time.Minute {
		t.Errorf("the last refusal is %+v", last)
	}
}

// panickyPatcher fails on one cluster.
type panickyPatcher struct{ namePatcher }

func (p panickyPatcher) Cluster(name string, raw []byte, proxy xds.Proxy, endpoints func(string) xds.Endpoints) xds.Verdict {
	if name == "fn-a" {
		panic("a bug")
	}
	return p.namePatcher.Cluster(name, raw, proxy, endpoints)
}

// TestPanicIsContained: so is a Patcher that panics.
func TestPanicIsContained(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(panickyPatcher{"one"})
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	up.next(t)
	must(t, up.Send(clusters(t, "c1", "fn-a", "fn-b")))
	resp, err := envoy.Recv()
	must(t, err)
	for _, res := range resp.GetResources() {
		var c clusterv3.Cluster
		must(t, res.GetResource().UnmarshalTo(&c))
		if want := map[string]string{"fn-a": "", "fn-b": "one"}[c.GetName()]; c.GetAltStatName() != want {
			t.Errorf("%s has %q", c.GetName(), c.GetAltStatName())
		}
	}
	if rejected := r.server.Proxies()[0].Rejected; len(rejected) != 1 || !strings.Contains(rejected[0].Error, "a bug") {
		t.Errorf("the state says %+v", rejected)
	}
}
