package xds_test

import (
	"context"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/lambdamesh/lambdamesh/xds"
)

// endedSpans gets spans as they end.
type endedSpans chan sdktrace.ReadOnlySpan

func (endedSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (e endedSpans) OnEnd(span sdktrace.ReadOnlySpan)              { e <- span }
func (endedSpans) Shutdown(context.Context) error                  { return nil }
func (endedSpans) ForceFlush(context.Context) error                { return nil }

// TestSpanOfAPush: what a change has Envoy sent is a span in the trace of that change,
// also when it is sent after the change's own span has ended; what Consul sends is none.
func TestSpanOfAPush(t *testing.T) {
	ended := make(endedSpans, 10)
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)).Tracer("test")
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher(""))
	envoy := r.connect(t.Context(), nil)
	up := r.upstream()
	up.next(t)
	must(t, up.Send(clusters(t, "c1", "fn-a", "fn-b", "plain")))
	resp, err := envoy.Recv()
	must(t, err)
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: resp.GetNonce()}))
	must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType}))
	for up.next(t).GetTypeUrl() != listenerType {
		continue
	}
	if len(ended) > 0 {
		t.Errorf("what Consul sent is traced: %v", <-ended)
	}

	ctx, change := tracer.Start(t.Context(), "change")
	begun := time.Now()
	r.server.SetPatcherFor(ctx, namePatcher("one"))
	change.End()
	_, err = envoy.Recv()
	must(t, err)
	<-ended // the change
	push := <-ended
	if push.Name() != "push" || push.Parent().SpanID() != change.SpanContext().SpanID() || push.SpanContext().TraceID() != change.SpanContext().TraceID() {
		t.Error("the push is not in the trace of the change")
	}
	if push.StartTime().Before(begun) || push.EndTime().Before(push.StartTime()) {
		t.Errorf("it lasts from %v to %v; the change began at %v", push.StartTime(), push.EndTime(), begun)
	}
	got := attribute.NewSet(push.Attributes()...)
	for _, want := range []attribute.KeyValue{
		attribute.String("lambdamesh.proxy", "web-1"),
		attribute.String("lambdamesh.type", "cluster"),
		attribute.Int("lambdamesh.resources", 2),
		attribute.StringSlice("lambdamesh.resource_names", []string{"fn-a", "fn-b"}),
	} {
		if value, _ := got.Value(want.Key); value != want.Value {
			t.Errorf("%s is %v, want %v", want.Key, value.AsInterface(), want.Value.AsInterface())
		}
	}
}
