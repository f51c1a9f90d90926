package traces

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

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
