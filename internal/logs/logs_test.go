package logs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/grpclog"

	"github.com/lambdamesh/lambdamesh/internal/logs"
)

// lines are those of a log, each of which must be a JSON object.
func lines(t *testing.T, out *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("no JSON object: %q", text)
		}
		delete(line, "time")
		all = append(all, line)
	}
	out.Reset()
	return all
}

func TestLineOfATraceBearsIt(t *testing.T) {
	var out bytes.Buffer
	logger := logs.New(&out, logs.JSON, slog.LevelInfo).With("part", "xds").WithGroup("of")
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	logger.InfoContext(trace.ContextWithSpanContext(t.Context(), span), "in", "k", "v")
	logger.InfoContext(t.Context(), "out", "k", "v")
	logger.Debug("below")
	const want = `[map[level:INFO msg:in of:map[k:v span_id:0200000000000000 trace_id:01000000000000000000000000000000] part:xds] map[level:INFO msg:out of:map[k:v] part:xds]]`
	if got := fmt.Sprint(lines(t, &out)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What libraries say is lines of the same log, and no line that each attempt of a peer's
// could cause is one that people see.
func TestLibraries(t *testing.T) {
	was, flags := log.Writer(), log.Flags()
	t.Cleanup(func() { log.SetOutput(was); log.SetFlags(flags) })
	var out bytes.Buffer
	logs.Libraries(logs.New(&out, logs.JSON, slog.LevelInfo))
	for name, test := range map[string]struct {
		say  func()
		want string
	}{
		"gRPC's error":            {func() { grpclog.Error("a", 1) }, `WARN "grpc: a1"`},
		"formatted":               {func() { grpclog.Errorf("a %d", 1) }, `WARN "grpc: a 1"`},
		"spaced":                  {func() { grpclog.Errorln("a", 1) }, `WARN "grpc: a 1"`},
		"of a component":          {func() { grpclog.Component("core").Errorf("a") }, `WARN "grpc: [core] a"`},
		"gRPC's warning":          {func() { grpclog.Warning("a"); grpclog.Warningf("a"); grpclog.Warningln("a") }, ""},
		"gRPC's news":             {func() { grpclog.Info("a"); grpclog.Infof("a"); grpclog.Infoln("a") }, ""},
		"Go's log":                {func() { log.Printf("http: panic serving %s:\nstack", "x") }, `WARN "http: panic serving x:\nstack"`},
		"a peer's TLS that fails": {func() { log.Print("http: TLS handshake error from 192.0.2.1:5: EOF") }, ""},
	} {
		test.say()
		got := ""
		for _, line := range lines(t, &out) {
			got += fmt.Sprintf("%v %q", line["level"], line["msg"])
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
	logs.Libraries(logs.New(&out, logs.JSON, slog.LevelDebug))
	grpclog.Warning("a")
	grpclog.Warningf("%s", "b")
	grpclog.Warningln("c")
	if got := lines(t, &out); len(got) != 3 {
		t.Errorf("warnings of gRPC's at debug: %v", got)
	}
}
