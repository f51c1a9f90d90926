package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/registrator"
	"google.golang.org/grpc/grpclog"
)

// jsonLines are the messages of a log, each of whose lines must be a JSON object.
func jsonLines(t *testing.T, text string) (messages []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var object struct{ Level, Msg, Error string }
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Errorf("no JSON object: %q", line)
		}
		messages = append(messages, strings.TrimSpace(object.Level+" "+object.Msg+" "+object.Error))
	}
	return messages
}

// With --log-format json, given in whichever way, all that goes to stderr is JSON.
func TestJSONAlone(t *testing.T) {
	was, flags := log.Writer(), log.Flags()
	t.Cleanup(func() { log.SetOutput(was); log.SetFlags(flags) })
	for name, test := range map[string]struct {
		args string
		env  map[string]string
		code int
		last string
	}{
		"a failure":                    {args: "sync --log-format json --consul-http-addr=127.0.0.1:1", code: exitFailed, last: "not you"},
		"a mistake":                    {args: "registrator --log-format=json --partitions p1", code: exitUsage, last: "--partitions"},
		"a mistake, by environment":    {args: "serve --xds-addr nowhere", env: map[string]string{"LAMBDAMESH_LOG_FORMAT": "json"}, code: exitUsage, last: "not host:port"},
		"a flag that cannot be parsed": {args: "sync --log-format json --aws-rate fast", code: exitUsage, last: "--aws-rate"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			refusingAWS(t)
			code, _, stderr := invoke(t, test.env, strings.Fields(test.args)...)
			lines := jsonLines(t, stderr)
			if code != test.code || len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], "ERROR lambdamesh ends ") || !strings.Contains(lines[len(lines)-1], test.last) {
				t.Errorf("exit %d, %q", code, lines)
			}
		})
	}
	t.Run("libraries", func(t *testing.T) {
		clean(t)
		refusingAWS(t)
		t.Setenv("OTEL_TRACES_EXPORTER", "zipkin")
		ctx, cancel := context.WithCancel(t.Context())
		var stderr buffer
		code := make(chan int, 1)
		go func() {
			code <- run(ctx, strings.Fields("registrator --log-format json --consul-http-addr=127.0.0.1:1"), variables(nil), io.Discard, &stderr)
		}()
		until(t, "it starts", func() bool { return strings.Contains(stderr.String(), "registrator starts") })
		grpclog.Error("of gRPC")
		log.Print("of net/http")
		cancel()
		if got := <-code; got != exitOK {
			t.Errorf("exit %d", got)
		}
		all := strings.Join(jsonLines(t, stderr.String()), "\n")
		for _, want := range []string{"WARN grpc: of gRPC", "WARN of net/http", "WARN no traces are sent", "INFO registrator ends"} {
			if strings.Count(all, want) != 1 {
				t.Errorf("%q is not said once in %s", want, all)
			}
		}
	})
}

// The progress of a sync is lines of the log where that is JSON.
func TestProgressInTheLog(t *testing.T) {
	var out buffer
	flags := logFlags{level: "info", format: "json"}
	now := time.Unix(0, 0)
	p := &progress{w: io.Discard, log: flags.logger(&out), terminal: true, now: func() time.Time { return now }}
	for range 7 {
		p.step(registrator.Progress{Stage: registrator.StageWriting, Done: 10, Total: 100})
		now = now.Add(time.Second)
	}
	p.close()
	if lines := jsonLines(t, out.String()); len(lines) != 1 || !strings.Contains(lines[0], "60 of 100") {
		t.Errorf("lines %q", lines)
	}
}
