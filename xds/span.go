package xds

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// traced is the span in which a Patcher was put in force, and when. The zero value is
// none.
type traced struct {
	span trace.Span
	at   time.Time

	proxyID, proxyKind string // of the stream, see to
}

// tracedBy is that of a context; none where no trace is recorded.
func tracedBy(ctx context.Context) traced {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return traced{}
	}
	return traced{span: span, at: time.Now()}
}

// to is the same for the stream of a proxy.
func (t traced) to(proxy Proxy) traced {
	t.proxyID, t.proxyKind = proxy.ID, proxy.Kind
	return t
}

// namedResources is how many resources of a push its span names; it counts all.
const namedResources = 20

// sending begins the span of a push that another Patcher caused: from when that was put
// in force until Envoy has been sent it. There is none for other pushes.
func (t traced) sending(p push) trace.Span {
	if t.span == nil || p.cause != causeTable {
		return nil
	}
	var names []string
	for i := range p.resources[:min(len(p.resources), namedResources)] {
		names = append(names, p.resources[i].name)
	}
	// The span that it came from has ended by now, which its provider does not mind.
	_, span := t.span.TracerProvider().Tracer("github.com/lambdamesh/lambdamesh/xds").Start(
		trace.ContextWithSpan(context.Background(), t.span), "push", trace.WithTimestamp(t.at),
		trace.WithAttributes(
			attribute.String("lambdamesh.proxy", t.proxyID),
			attribute.String("lambdamesh.proxy_kind", t.proxyKind),
			attribute.String("lambdamesh.type", shortType(p.typeURL)),
			attribute.Int("lambdamesh.resources", len(p.resources)),
			attribute.Int("lambdamesh.resources_removed", len(p.removed)),
			attribute.StringSlice("lambdamesh.resource_names", names),
		))
	return span
}

// sent ends it.
func sent(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
