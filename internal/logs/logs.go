// Package logs makes the log of a program: one line for each thing that happened, as
// text or as one JSON object, its own and those of the libraries in it.
package logs

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// JSON is the format of one JSON object a line; every other one is slog's text.
const JSON = "json"

// New is a logger of lines of at least that level. A line that is logged with a context
// in which a trace runs bears its trace_id and span_id.
func New(w io.Writer, format string, least slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: least}
	if format == JSON {
		return slog.New(traced{slog.NewJSONHandler(w, options)})
	}
	return slog.New(traced{slog.NewTextHandler(w, options)})
}

// traced is a handler that adds the ids.
type traced struct{ slog.Handler }

// Handle is slog.Handler's.
func (h traced) Handle(ctx context.Context, line slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		line = line.Clone() // it shares its attributes with copies of it
		line.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs is slog.Handler's.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup is slog.Handler's.
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
