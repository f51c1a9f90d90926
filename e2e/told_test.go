package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// quietSyncs is how many full syncs without work must add nothing to the log.
const quietSyncs = 5

// TestWhatHappenedIsTold: a function that is tagged is one trace from AWS to Consul, and
// one from Consul to the Envoys; each thing that happened is one line of the log, which
// bears that trace; where nothing happens there is none.
func TestWhatHappenedIsTold(t *testing.T) {
	t.Parallel()
	traces := receiver(t)
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + traces.url, "OTEL_SERVICE_NAME=mesh-e2e", "OTEL_EXPORTER_OTLP_HEADERS=x-api-key=" + receiverKey}
	s := begin(t, testmesh.MeshConfig{
		SyncInterval:   "500ms",
		LambdameshArgs: []string{"--log-format", "json", "--log-level", "debug"},
		LambdameshEnv:  append(env, "OTEL_BSP_SCHEDULE_DELAY=100"),
	})
	s.secrets = append(s.secrets, receiverKey)
	s.allow("web", "hello", "hand")
	s.gateway("gateway", "*")
	web := s.sidecar("web", "hello", "hand")
	hello := s.function("hello", "hello", testmesh.EnabledTags())
	s.until(web, "hello", hello)

	const region = "cloud.region=us-east-1"
	_, sync := traces.until(s, "write config entry", []string{"lambdamesh.service=hello", "lambdamesh.arn=" + hello, region}, "sync")
	for _, name := range []string{"read functions", "read Consul", "write services"} {
		if _, root := traces.until(s, name, nil, "sync"); root.program != "mesh-e2e" {
			t.Errorf("%s was sent by %q", name, root.program)
		}
	}
	traces.until(s, "Resource Groups Tagging API.GetResources", []string{region, "http.response.status_code=200"}, "read functions", "sync")
	_, table := traces.until(s, "table", []string{"lambdamesh.services=hello", "lambdamesh.arns=" + hello})
	for what, trace := range map[string]string{"changed a service in Consul": sync.trace, "a Lambda service has changed": table.trace} {
		lines := s.lines(what, "service", "hello")
		if len(lines) != 1 || lines[0]["trace_id"] != trace || lines[0]["arn"] != hello || lines[0]["region"] != "us-east-1" {
			t.Errorf("%q, of trace %s: %v", what, trace, lines)
		}
	}

	s.run("a service's state, from what to what", func(t *testing.T) {
		hand := s.function("hand", "hello", nil)
		states := func(want ...string) {
			t.Helper()
			s.must(testmesh.Poll(s.ctx, func(context.Context) error {
				var got []string
				for _, line := range s.lines("a Lambda service has changed", "service", "hand") {
					if line["was"] != line["is"] {
						got = append(got, fmt.Sprintf("%v %v to %v", line["level"], line["was"], line["is"]))
					}
				}
				if !slices.Equal(got, want) {
					return fmt.Errorf("the log says %q, want %q", got, want)
				}
				return nil
			}))
		}
		s.byHand("hand", meta(hand))
		states("INFO absent to ok")
		s.until(web, "hand", hand)
		s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("hand", meta(hand, "retries", "99"))))
		states("INFO absent to ok", "WARN ok to error")
		push, table := traces.until(s, "push", []string{"lambdamesh.proxy=gateway", "lambdamesh.proxy_kind=terminating-gateway", "lambdamesh.type=cluster"}, "table")
		if !strings.HasPrefix(push.attributes["lambdamesh.resource_names"], "hand.") || table.attributes["lambdamesh.arns"] != hand {
			t.Errorf("%v, because of %v", push.attributes, table.attributes)
		}
		s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("hand", meta(hand))))
		states("INFO absent to ok", "WARN ok to error", "INFO error to ok")
	})
	s.run("nothing", func(t *testing.T) {
		s.settled()
		before := s.told()
		syncs := len(traces.all("sync"))
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			if made := len(traces.all("sync")) - syncs; made < quietSyncs {
				return fmt.Errorf("%d syncs were made", made)
			}
			return nil
		}))
		if after := s.told(); len(after) > len(before) {
			t.Errorf("nothing happened, and the log says %v", after[len(before):])
		}
	})
	s.run("a process that ends has sent all", func(t *testing.T) {
		s.must(s.Lambdamesh.Stop())
		before := len(traces.all("sync"))
		out, err := s.Lambdamesh.Run(s.ctx, "sync") // with the SDK's own delay of 5 s
		s.must(err)
		if made := len(traces.all("sync")) - before; made != 1 {
			t.Errorf("%d syncs have arrived when the process had ended: %s", made, out)
		}
	})

	traces.mu.Lock()
	defer traces.mu.Unlock()
	payload := strings.ReplaceAll(traces.payload.String(), receiverKey, "")
	if !strings.Contains(traces.payload.String(), receiverKey) {
		t.Error("the receiver was not given its key")
	}
	for _, secret := range append(testmesh.Secrets(), inPEM) {
		if strings.Contains(payload, secret) {
			t.Errorf("a secret that ends in %q was sent", secret[len(secret)-4:])
		}
	}
}

// receiverKey is what a receiver of traces asks for.
const receiverKey = "5a1c2e7e-receiver"

// log are the lines of lambdamesh's log, each of which must be a JSON object.
func (s *story) log() []map[string]any {
	s.t.Helper()
	text, err := os.ReadFile(s.Lambdamesh.LogPath())
	s.must(err)
	var all []map[string]any
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			s.t.Fatalf("no JSON object: %s", line)
		}
		all = append(all, object)
	}
	return all
}

// lines are those of told with this message and this attribute.
func (s *story) lines(message, key, value string) []map[string]any {
	s.t.Helper()
	return slices.DeleteFunc(s.told(), func(line map[string]any) bool { return line["msg"] != message || line[key] != value })
}

// told are the lines that are there for people.
func (s *story) told() []map[string]any {
	s.t.Helper()
	return slices.DeleteFunc(s.log(), func(line map[string]any) bool { return line["level"] == "DEBUG" })
}
