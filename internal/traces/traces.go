// Package traces sends OpenTelemetry traces to where the environment says, by the names
// that OpenTelemetry gives its variables (OTEL_*, read by its SDK), and nowhere if it
// says nothing. It speaks OTLP by HTTP (http/protobuf, its default, or http/json) and by
// gRPC.
//
// OpenTelemetry's own package for that, contrib's autoexport, also brings exporters of
// metrics and logs, a Prometheus endpoint and the printing of all three.
package traces

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
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

// The protocols of OTLP.
const (
	protocolGRPC     = "grpc"
	protocolProtobuf = "http/protobuf"
	protocolJSON     = "http/json"
)

func protocol(env func(string) string) string {
	return cmp.Or(env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), env("OTEL_EXPORTER_OTLP_PROTOCOL"), protocolProtobuf)
}

// wanted reports whether the environment asks for traces: it names an exporter, or where
// one is to send them. (By OpenTelemetry's specification the default of
// OTEL_TRACES_EXPORTER is otlp to this host, so that each process would try.) An error
// names the variable, and means that it does not.
func wanted(env func(string) string) (bool, error) {
	exporter := strings.TrimSpace(env("OTEL_TRACES_EXPORTER"))
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || exporter == "none" {
		return false, nil
	}
	set := false
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		value := env(name)
		if value == "" {
			continue
		}
		set = true
		if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return false, fmt.Errorf("%s is not the URL of a receiver (http://HOST:PORT)", name)
		}
	}
	switch {
	case exporter == "" && !set:
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, errors.New("OTEL_TRACES_EXPORTER is neither otlp nor none")
	}
	switch protocol(env) {
	case protocolGRPC, protocolProtobuf, protocolJSON:
		return true, nil
	}
	return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is none of %s, %s, %s", protocolProtobuf, protocolJSON, protocolGRPC)
}

// newExporter reads the rest of OTEL_EXPORTER_OTLP_*.
func newExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if protocol(os.Getenv) == protocolGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

// outage says once that spans cannot be sent, and once that they can again.
type outage struct {
	sdktrace.SpanExporter
	log *slog.Logger

	lost int // in this outage; the batcher exports one batch at a time
}

// ExportSpans is sdktrace.SpanExporter's.
func (o *outage) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := o.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err == nil && o.lost > 0:
		o.log.Info("traces are received again", "spans_lost", o.lost)
		o.lost = 0
	case err != nil:
		if o.lost == 0 {
			o.log.Warn("traces are not received and are lost, trying on", "reason", short(err.Error()))
		}
		o.lost += len(spans)
	}
	return nil
}

// short is the beginning of what a receiver answers, which may be a page of HTML.
func short(text string) string { return text[:min(len(text), 300)] }

// mistakes logs those that the SDK finds in the environment, without the values that it
// quotes: some are secrets (OTEL_EXPORTER_OTLP_HEADERS).
type mistakes struct{ log *slog.Logger }

var _ logr.LogSink = mistakes{}

// The methods of logr.LogSink.

func (mistakes) Init(logr.RuntimeInfo)              {}
func (mistakes) Enabled(level int) bool             { return level <= 1 } // warnings; 4 and more tell of the SDK's life
func (m mistakes) WithValues(...any) logr.LogSink   { return m }
func (m mistakes) WithName(string) logr.LogSink     { return m }
func (m mistakes) Info(_ int, msg string, _ ...any) { m.log.Warn("OpenTelemetry: " + msg) }
func (m mistakes) Error(err error, msg string, _ ...any) {
	var file *fs.PathError
	if errors.As(err, &file) {
		m.log.Warn("OpenTelemetry: "+msg, "error", err)
		return
	}
	m.log.Warn("OpenTelemetry: " + msg)
}
