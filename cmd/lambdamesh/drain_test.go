package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// restfulConsul is a gRPC server whose streams stay open and, but for one Envoy, idle.
type restfulConsul struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	pbserverdiscovery.UnimplementedServerDiscoveryServiceServer
}

// DeltaAggregatedResources tells the Envoy named "stuck" more than it can take.
func (restfulConsul) DeltaAggregatedResources(s discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	first, err := s.Recv()
	if err != nil {
		return err
	}
	if first.GetNode().GetId() == "stuck" {
		body, err := anypb.New(wrapperspb.String(strings.Repeat("x", 1<<20)))
		for n := 0; err == nil; n++ {
			err = s.Send(&discoveryv3.DeltaDiscoveryResponse{
				TypeUrl: first.GetTypeUrl(), Nonce: fmt.Sprint(n),
				Resources: []*discoveryv3.Resource{{Name: "x", Version: fmt.Sprint(n), Resource: body}},
			})
		}
		return err
	}
	<-s.Context().Done()
	return s.Context().Err()
}

func (restfulConsul) WatchServers(_ *pbserverdiscovery.WatchServersRequest, s pbserverdiscovery.ServerDiscoveryService_WatchServersServer) error {
	if err := s.Send(&pbserverdiscovery.WatchServersResponse{Servers: []*pbserverdiscovery.Server{{Id: "a"}}}); err != nil {
		return err
	}
	<-s.Context().Done()
	return s.Context().Err()
}

// TestDrainSpreads: at SIGTERM lambdamesh says first that it is unready, then sends
// Envoys and other callers away one by one, and ends in time though one of them does
// not even read.
func TestDrainSpreads(t *testing.T) {
	clean(t)
	const envoys, watchers, drain = 80, 20, 3 * time.Second
	consul := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(consul, restfulConsul{})
	pbserverdiscovery.RegisterServerDiscoveryServiceServer(consul, restfulConsul{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = consul.Serve(l) })
	t.Cleanup(func() { consul.Stop(); serving.Wait() })

	s := serve(t, nil, "--consul-http-addr="+emptyConsul(t), "--consul-grpc-addr="+l.Addr().String(), "--drain-timeout="+drain.String())
	s.answers(t, s.admin, "/readyz", 200, "ok")
	conn, err := grpc.NewClient(s.address(t, "xds"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	connect := func(id string) discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient {
		stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
		if err == nil {
			err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
				Node: &corev3.Node{Id: id}, TypeUrl: "large", ResourceNamesSubscribe: []string{"x"},
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	stuck := connect("stuck")
	if _, err := stuck.Recv(); err != nil {
		t.Fatal(err)
	}
	type end struct {
		at  time.Time
		err error
	}
	ends := make(chan end, envoys+watchers)
	for i := range envoys {
		stream := connect(fmt.Sprintf("envoy-%d", i))
		go func() {
			_, err := stream.Recv()
			ends <- end{time.Now(), err}
		}()
	}
	for range watchers {
		stream, err := pbserverdiscovery.NewServerDiscoveryServiceClient(conn).WatchServers(t.Context(), &pbserverdiscovery.WatchServersRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := stream.Recv()
			ends <- end{time.Now(), err}
		}()
	}
	s.answers(t, s.admin, "/metrics", 200, fmt.Sprintf("lambdamesh_xds_streams %d\n", envoys+1))

	began := time.Now()
	s.stop()
	var after []time.Duration
	for range envoys + watchers {
		e := <-ends
		if len(after) == 0 {
			if code, body, err := s.get(t.Context(), s.admin, "/readyz"); err != nil || code != 503 || body != "draining" {
				t.Errorf("the first stream ended, and readyz answers %d %q (%v)", code, body, err)
			}
		}
		if e.err == nil || !strings.Contains(e.err.Error(), "this lambdamesh stops") {
			t.Errorf("a stream ended with %v", e.err)
		}
		after = append(after, e.at.Sub(began))
	}
	code := <-s.code
	took := time.Since(began)
	slices.Sort(after)
	within := func(part time.Duration) int {
		n, _ := slices.BinarySearch(after, part)
		return n
	}
	spread := drain * 2 / 3
	t.Logf("first %s, tenth %s, median %s, ninetieth %s, last %s, exit after %s", after[0], after[9], after[49], after[89], after[99], took)
	// Of 100 random moments 40 or more lie in a given tenth less than once in 10^15 runs.
	if first, last := within(spread/10), len(after)-within(spread*9/10); first > 40 || last > 40 {
		t.Errorf("%d ended in the first tenth, %d in the last", first, last)
	}
	if code != exitOK || took > drain+time.Second {
		t.Errorf("exit %d after %s: %.2000s", code, took, s.stderr.String())
	}
	for {
		if _, err := stuck.Recv(); err != nil {
			break
		}
	}
}

// TestDrainAtOnce: there may be nothing to spread.
func TestDrainAtOnce(t *testing.T) {
	clean(t)
	s := serve(t, nil, "--consul-http-addr="+emptyConsul(t), "--consul-grpc-addr=127.0.0.1:1", "--drain-timeout=1h")
	ctx, cancel := context.WithTimeout(t.Context(), testmesh.StartTimeout)
	defer cancel()
	s.stop()
	select {
	case code := <-s.code:
		if code != exitOK {
			t.Errorf("exit %d: %s", code, s.stderr.String())
		}
	case <-ctx.Done():
		t.Error("nobody was connected, and it waits")
	}
}
