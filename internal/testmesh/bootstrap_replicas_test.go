//go:build extra

package testmesh

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReplicasAsDocumented: the jq program of docs/high-availability.md does what the
// harness does, but for the times between pings.
func TestReplicasAsDocumented(t *testing.T) {
	root, err := SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "high-availability.md"))
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile(`(?s)--argjson addresses '([^']*)' --argjson port (\d+) '(.*?)' >bootstrap.json`).FindStringSubmatch(string(page))
	if program == nil {
		t.Fatal("the page has no such program")
	}
	// As Consul 1.22.5 writes it, but for what does not matter here.
	const bootstrap = `{"admin": {"access_log_path": "/dev/null"}, "static_resources": {"clusters": [
		{"name": "local_agent", "connect_timeout": "1s", "type": "STATIC",
		 "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
			"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": {"http2_protocol_options": {}}}},
		 "loadAssignment": {"clusterName": "local_agent", "endpoints": [{"lbEndpoints": [
			{"endpoint": {"address": {"socket_address": {"address": "10.0.0.5", "port_value": 8512}}}}]}]}},
		{"name": "other"}]}}`
	jq := exec.CommandContext(t.Context(), "gojq", "--argjson", "addresses", program[1], "--argjson", "port", program[2], program[3])
	jq.Stdin = strings.NewReader(bootstrap)
	got, err := jq.Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := withReplicas([]byte(bootstrap), []string{"10.0.0.5:8512", "10.0.0.6:8512", "10.0.0.7:8512"})
	if err != nil {
		t.Fatal(err)
	}
	slower := strings.NewReplacer(`"interval":"2s"`, `"interval":"15s"`, `"timeout":"1s"`, `"timeout":"5s"`)
	var documented, harness any
	if err := json.Unmarshal(got, &documented); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(slower.Replace(string(want))), &harness); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(harness, documented); diff != "" {
		t.Errorf("the page differs (-harness +page):\n%s", diff)
	}
}
