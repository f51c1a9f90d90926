// Package traces sends OpenTelemetry traces to where the environment says, by the names
// that OpenTelemetry gives its variables (OTEL_*, read by its SDK), and nowhere if it
// says nothing. It speaks OTLP by HTTP (http/protobuf, its default, or http/json) and by
// gRPC.
//
// OpenTelemetry's own package for that, contrib's autoexport (0.72.0), also brings
// exporters of metrics and logs, a Prometheus endpoint and the printing of all three: 12
// more modules, and 1.3 MB of program beside the 1.8 MB that this takes.
package traces

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// FlushWait bounds what is waited for at the end of a process: a receiver that does not
// answer is not worth more.
const FlushWait = 5 * time.Second

// Traces is where the process's traces go. The nil and the zero value are off.
type Traces struct {
	provider *sdktrace.TracerProvider // nil: off
}

// Open reads the environment. It talks to nobody, and never fails: a mistake in a
// variable of another system's must not keep the mesh from being served. It is logged,
// without any variable's value, which may hold a password, and traces are off.
//
// program and version name the process where OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES do not.
func Open(ctx context.Context, program, version string, log *slog.Logger) *Traces {
	on, err := wanted(os.Getenv)
	if err != nil {
		log.Warn("no traces are sent", "reason", err)
	}
	if !on {
		return nil
	}
	otel.SetLogger(logr.New(mistakes{log}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Debug("OpenTelemetry", "error", err) }))
	exporter, err := newExporter(ctx)
	if err != nil {
		log.Warn("no traces are sent", "reason", err)
		return nil
	}
	// What is said later goes before what was said earlier. The error is that of a mistake
	// in OTEL_RESOURCE_ATTRIBUTES; what could be read is used.
	who, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", program), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		log.Warn("OTEL_RESOURCE_ATTRIBUTES has a mistake; what can be read of it is used")
	}
	log.Info("traces are sent", "protocol", protocol(os.Getenv))
	return &Traces{sdktrace.NewTracerProvider(
		sdktrace.WithResource(who),
		sdktrace.WithBatcher(&outage{SpanExporter: exporter, log: log}),
	)}
}

// Tracer makes spans. Off, they are nothing.
func (t *Traces) Tracer() trace.Tracer {
	if t == nil || t.provider == nil {
		return noop.Tracer{}
	}
	return t.provider.Tracer("github.com/lambdamesh/lambdamesh")
}

// Flush sends what has ended, within FlushWait and half of the time until ctx's deadline,
// if it has one: for a process that may be frozen next. ctx may be done by now.
func (t *Traces) Flush(ctx context.Context) {
	if t == nil || t.provider == nil {
		return
	}
	ctx, cancel := atTheEnd(ctx)
	defer cancel()
	_ = t.provider.ForceFlush(ctx) // the outage is logged by itself
}

// Close is Flush for a process that ends.
func (t *Traces) Close(ctx context.Context) {
	if t == nil || t.provider == nil {
		return
	}
	ctx, cancel := atTheEnd(ctx)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the outage is logged by itself
}

func atTheEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	wait := FlushWait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), wait)
}
