package xds_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lambdamesh/lambdamesh/xds"
)

// TestASlowEnvoySlowsOnlyItself: one Envoy stops reading while Consul has much to
// tell it. The others are served on, and what waits for the slow one waits at Consul.
func TestASlowEnvoySlowsOnlyItself(t *testing.T) {
	const responses, size, mayWait = 40, 1 << 20, 8
	const large = "type.googleapis.com/google.protobuf.StringValue"
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	consul := &fakeConsul{streams: make(chan *fakeStream, 10), records: newRecords(t, "at consul")}
	upstream := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(upstream, consul)
	server := xds.NewServer(xds.Config{Upstream: oneServer{dial(t, listen(t, upstream))}})
	server.SetPatcher(namePatcher(""))
	down := grpc.NewServer(server.ServerOptions()...)
	server.Register(down)
	addr := listen(t, down)
	t.Cleanup(server.Wait)

	// connect is an Envoy of its own connection that has subscribed, and its end at Consul.
	connect := func() (discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient, *fakeStream) {
		r := &rig{t, server, consul, discoveryv3.NewAggregatedDiscoveryServiceClient(dial(t, addr))}
		envoy := r.connect(t.Context(), nil)
		up := r.upstream()
		must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: large, ResourceNamesSubscribe: []string{"x"}}))
		for up.next(t).GetTypeUrl() != large {
			continue
		}
		return envoy, up
	}
	body, err := anypb.New(wrapperspb.String(strings.Repeat("x", size)))
	must(t, err)
	send := func(to *fakeStream, n int) error {
		return to.Send(&discoveryv3.DeltaDiscoveryResponse{
			TypeUrl: large, Nonce: fmt.Sprint(n),
			Resources: []*discoveryv3.Resource{{Name: "x", Version: fmt.Sprint(n), Resource: body}},
		})
	}

	slow, toSlow := connect()
	var taken atomic.Int32 // of the slow one's, off Consul's hands
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sending sync.WaitGroup
	sending.Go(func() {
		for n := range responses {
			if err := send(toSlow, n); err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			taken.Add(1)
		}
	})
	fast, toFast := connect()
	for n := range responses {
		must(t, send(toFast, n))
		resp, err := fast.Recv()
		must(t, err)
		if got := resp.GetResources()[0].GetVersion(); got != fmt.Sprint(n) {
			t.Fatalf("version %s arrived, want %d", got, n)
		}
	}
	if n := taken.Load(); n > mayWait {
		t.Errorf("%d responses were taken for an Envoy that does not read, want at most %d", n, mayWait)
	} else {
		t.Logf("%d of %d responses were taken for the slow one", n, responses)
	}
	for n := range responses {
		resp, err := slow.Recv()
		must(t, err)
		if got := resp.GetResources()[0].GetVersion(); got != fmt.Sprint(n) {
			t.Fatalf("version %s arrived at the slow one, want %d", got, n)
		}
	}
	sending.Wait()
}
