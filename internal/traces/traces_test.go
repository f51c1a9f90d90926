package traces

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWanted(t *testing.T) {
	const endpoint, ofTraces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	for name, test := range map[string]struct {
		env  map[string]string
		want bool
		says string
	}{
		"nothing":                 {},
		"a receiver":              {env: map[string]string{endpoint: "http://127.0.0.1:4318"}, want: true},
		"one of traces":           {env: map[string]string{ofTraces: "https://127.0.0.1:4318/v1/traces"}, want: true},
		"an exporter":             {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, want: true},
		"none":                    {env: map[string]string{"OTEL_TRACES_EXPORTER": "none", endpoint: "http://127.0.0.1:4318"}},
		"disabled":                {env: map[string]string{"OTEL_SDK_DISABLED": "TRUE", endpoint: "http://127.0.0.1:4318"}},
		"not disabled":            {env: map[string]string{"OTEL_SDK_DISABLED": "false", endpoint: "http://127.0.0.1:4318"}, want: true},
		"another service's name":  {env: map[string]string{"OTEL_SERVICE_NAME": "x", "OTEL_METRICS_EXPORTER": "otlp"}},
		"gRPC":                    {env: map[string]string{endpoint: "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, want: true},
		"an exporter we lack":     {env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, says: "OTEL_TRACES_EXPORTER"},
		"an exporter, disabled":   {env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_SDK_DISABLED": "true"}},
		"a protocol we lack":      {env: map[string]string{endpoint: "http://x:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "udp"}, says: "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"no URL":                  {env: map[string]string{endpoint: "user:s3cret@x"}, says: endpoint},
		"a URL that is none":      {env: map[string]string{ofTraces: "http://user:s3cret@x:%zz"}, says: ofTraces},
		"a URL of something else": {env: map[string]string{endpoint: "ftp://x:1"}, says: endpoint},
	} {
		got, err := wanted(func(name string) string { return test.env[name] })
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != test.want || (test.says == "") != (err == nil) || !strings.Contains(text, test.says) || strings.Contains(text, "s3cret") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// clean takes away what the developer has set.
func clean(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
	} {
		t.Setenv(name, "")
	}
}

func TestOff(t *testing.T) {
	clean(t)
	var out bytes.Buffer
	off := Open(t.Context(), "p", "v1", slog.New(slog.NewTextHandler(&out, nil)))
	ctx, span := off.Tracer().Start(t.Context(), "x")
	if span.IsRecording() || span.SpanContext().IsValid() || ctx == nil {
		t.Error("it records")
	}
	off.Flush(t.Context())
	off.Close(t.Context())
	if out.Len() > 0 {
		t.Errorf("it says %s", out.String())
	}
}

// receiver is a fake: a receiver of OTLP by HTTP that refuses on demand.
func receiver(t *testing.T, status *int) (url string, received *[]*http.Request, spans *[]string) {
	t.Helper()
	received, spans = &[]*http.Request{}, &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collectorv1.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &request) != nil {
			t.Errorf("no request of OTLP: %v", err)
		}
		*received = append(*received, r)
		for _, resource := range request.GetResourceSpans() {
			program := ""
			for _, a := range resource.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					program = a.GetValue().GetStringValue()
				}
			}
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					*spans = append(*spans, program+" "+span.GetName())
				}
			}
		}
		w.WriteHeader(*status)
		_, _ = io.WriteString(w, "<html>")
	}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return server.URL, received, spans
}

// Spans arrive, an outage is told once at its begin and once at its end, and mistakes
// without the secrets that they are made in.
func TestSent(t *testing.T) {
	clean(t)
	status := http.StatusOK
	url, received, spans := receiver(t, &status)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret,s3cret-too")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine")
	var out bytes.Buffer
	sent := Open(t.Context(), "p", "v1", slog.New(slog.NewTextHandler(&out, nil)))
	span := func(name string) {
		_, span := sent.Tracer().Start(t.Context(), name)
		span.End()
		sent.Flush(t.Context())
	}
	span("first")
	if len(*received) != 1 || (*received)[0].URL.Path != "/v1/traces" || (*received)[0].Header.Get("X-Key") != "s3cret" {
		t.Errorf("received %v", *received)
	}
	status = http.StatusForbidden
	span("lost")
	span("lost too")
	status = http.StatusOK
	span("again")
	_, last := sent.Tracer().Start(t.Context(), "last")
	last.End()
	sent.Close(t.Context())
	if got := strings.Join(*spans, ", "); got != "mine first, mine lost, mine lost too, mine again, mine last" {
		t.Errorf("spans: %s", got)
	}
	for text, times := range map[string]int{"traces are not received": 1, "traces are received again": 1, "spans_lost=2": 1, "parse headers": 1, "s3cret": 0} {
		if got := strings.Count(out.String(), text); got != times {
			t.Errorf("%q is said %d times, not %d: %s", text, got, times, out.String())
		}
	}
}

// grpcReceiver is a fake: a receiver of OTLP by gRPC.
type grpcReceiver struct {
	collectorv1.UnimplementedTraceServiceServer
	received atomic.Int32
}

// Export is collectorv1.TraceServiceServer's.
func (r *grpcReceiver) Export(_ context.Context, in *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	r.received.Add(int32(len(in.GetResourceSpans())))
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func TestSentByGRPC(t *testing.T) {
	clean(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var fake grpcReceiver
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, &fake)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	sent := Open(t.Context(), "p", "v1", slog.New(slog.DiscardHandler))
	_, span := sent.Tracer().Start(t.Context(), "x")
	span.End()
	sent.Close(t.Context())
	if fake.received.Load() != 1 {
		t.Errorf("received %d", fake.received.Load())
	}
}

func TestSentAsJSON(t *testing.T) {
	clean(t)
	var kind atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { kind.Store(r.Header.Get("Content-Type")) }))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	sent := Open(t.Context(), "p", "v1", slog.New(slog.DiscardHandler))
	_, span := sent.Tracer().Start(t.Context(), "x")
	span.End()
	sent.Close(t.Context())
	if kind.Load() != "application/json" {
		t.Errorf("sent as %v", kind.Load())
	}
}
