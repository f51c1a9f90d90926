package traces

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"

	"github.com/go-logr/logr"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

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
