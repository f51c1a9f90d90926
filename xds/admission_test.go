package xds_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lambdamesh/lambdamesh/xds"
)

// hello answers a call and ends it.
func hello(_ any, s grpc.ServerStream) error { return s.SendMsg(text("hello")) }

// TestSurplusOfStreamsIsTurnedAway: calls of all methods together, on several
// connections; it is counted, and said once.
func TestSurplusOfStreamsIsTurnedAway(t *testing.T) {
	const atMost, calls = 5, 60
	var log bytes.Buffer
	metrics := prometheus.NewRegistry()
	r := newPassRig(t, xds.Config{MaxNewStreams: atMost, Log: slog.New(slog.NewTextHandler(&log, nil)), Registry: metrics}, hello, "127.0.0.1:0")
	conns := []*grpc.ClientConn{r.conn, dial(t, r.addr)}
	methods := []string{"/other.Service/A", "/other.Service/B"}
	began := time.Now()
	in, surplus := 0, 0
	for i := range calls {
		err := conns[i%2].Invoke(t.Context(), methods[i/2%2], text("x"), &wrapperspb.StringValue{})
		switch status.Code(err) {
		case codes.OK:
			in++
		case codes.Unavailable:
			surplus++
			if !strings.Contains(err.Error(), "--max-new-streams") {
				t.Errorf("the reason is %v", err)
			}
		default:
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	if most := atMost + int(atMost*took.Seconds()) + 1; in < atMost || in > most || surplus == 0 {
		t.Errorf("of %d calls in %s %d were let in, want %d to %d", calls, took, in, atMost, most)
	}
	if said := strings.Count(log.String(), "surplus"); said != 1 {
		t.Errorf("it is said %d times", said)
	}
	families, err := metrics.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() == "lambdamesh_xds_surplus_streams_total" {
			if got := int(family.GetMetric()[0].GetCounter().GetValue()); got != surplus {
				t.Errorf("%d are counted, %d were turned away", got, surplus)
			}
			return
		}
	}
	t.Error("they are not counted")
}

// TestSilentPeersAreSentAway: streams without a request end, whatever they are.
func TestSilentPeersAreSentAway(t *testing.T) {
	asked := make(chan struct{}, 2)
	r := newPassRig(t, xds.Config{FirstRequestWait: 20 * time.Millisecond}, func(any, grpc.ServerStream) error {
		asked <- struct{}{}
		return nil
	}, "127.0.0.1:0")
	for _, method := range []string{
		"/other.Service/Method", "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
	} {
		stream, err := r.conn.NewStream(t.Context(), bothWays, method)
		must(t, err)
		if err := stream.RecvMsg(text("")); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%s: got %v", method, err)
		}
	}
	if len(asked) != 0 {
		t.Error("consul was asked for somebody who said nothing")
	}
}

// TestCallWithoutRequestPasses: an end of the caller's messages is as good a beginning
// as a message.
func TestCallWithoutRequestPasses(t *testing.T) {
	r := newPassRig(t, xds.Config{FirstRequestWait: time.Minute}, hello, "127.0.0.1:0")
	stream := r.open(t.Context(), t)
	must(t, stream.CloseSend())
	var m wrapperspb.StringValue
	must(t, stream.RecvMsg(&m))
}

// TestHeadersHaveABound: a client that keeps to what the server says it takes never
// sends more.
func TestHeadersHaveABound(t *testing.T) {
	r := newPassRig(t, xds.Config{}, hello, "127.0.0.1:0")
	for size, want := range map[int]codes.Code{8 << 10: codes.OK, 128 << 10: codes.Internal} {
		must(t, r.conn.Invoke(t.Context(), "/other.Service/Method", text("x"), &wrapperspb.StringValue{})) // settings are known
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		ctx = metadata.AppendToOutgoingContext(ctx, "x-large", strings.Repeat("x", size))
		err := r.conn.Invoke(ctx, "/other.Service/Method", text("x"), &wrapperspb.StringValue{})
		cancel()
		if status.Code(err) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
