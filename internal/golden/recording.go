package golden

import (
	"encoding/json"
	"fmt"
	"os"
)

// Recording is what one proxy heard from a real Consul, and what Consul knew of
// the services. `go run ./internal/golden/record` makes it.
type Recording struct {
	Consul     string `json:"consul"`     // Consul's version
	Kind       string `json:"kind"`       // of the proxy, in Consul's words
	Datacenter string `json:"datacenter"` // of the proxy
	Service    string `json:"service"`    // whose sidecar it is; empty if it is none

	// Defaults are the service-defaults, by the service's name.
	Defaults map[string]Defaults `json:"defaults"`
	// Fronted are the services that entries of terminating gateways list, sorted.
	Fronted []string `json:"fronted"`

	// Clusters and Endpoints are what the proxy heard, sorted by name: for
	// ReadMessage into Envoy's Cluster and ClusterLoadAssignment.
	Clusters  []json.RawMessage `json:"clusters"`
	Endpoints []json.RawMessage `json:"endpoints"`

	// Listeners and Routes are what it heard next: Envoy's Listener and
	// RouteConfiguration.
	Listeners []json.RawMessage `json:"listeners"`
	Routes    []json.RawMessage `json:"routes"`
}

// Defaults is a service-defaults entry.
type Defaults struct {
	Protocol string            `json:"protocol"`
	Meta     map[string]string `json:"meta,omitempty"`

	// Extension are the Arguments of Consul's own Lambda extension; nil if the entry has
	// none.
	Extension map[string]any `json:"extension,omitempty"`
}

// ReadRecording reads a recording's file.
func ReadRecording(file string) (Recording, error) {
	var r Recording
	b, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("reading %s: %w", file, err)
	}
	return r, nil
}
