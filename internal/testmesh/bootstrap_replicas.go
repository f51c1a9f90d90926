package testmesh

import (
	"encoding/json"
	"fmt"
	"net"
)

// withReplicas does to a bootstrap what docs/high-availability.md tells people to do:
// Envoy's connection to its xDS server has all these addresses (host:port) and is pinged.
// Consul's command cannot write that: of a name it takes one address, once (1.22.5).
//
// The pings are closer together than on that page (2 s, 1 s), so that tests need not wait.
func withReplicas(bootstrap []byte, addrs []string) ([]byte, error) {
	type object = map[string]any
	var whole struct {
		StaticResources struct {
			Clusters []object `json:"clusters"`
		} `json:"static_resources"`
	}
	var rest object
	for _, into := range []any{&whole, &rest} {
		if err := json.Unmarshal(bootstrap, into); err != nil {
			return nil, fmt.Errorf("reading the bootstrap: %w", err)
		}
	}
	var endpoints []object
	for _, addr := range addrs {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("adding a replica to the bootstrap: %w", err)
		}
		endpoints = append(endpoints, object{"endpoint": object{"address": object{"socket_address": object{
			"address": host, "port_value": json.Number(port),
		}}}})
	}
	cluster := whole.StaticResources.Clusters[0]
	cluster["loadAssignment"] = object{"clusterName": cluster["name"], "endpoints": []object{{"lbEndpoints": endpoints}}}
	cluster["typed_extension_protocol_options"] = object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
		"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
		"explicit_http_config": object{"http2_protocol_options": object{
			"connection_keepalive": object{"interval": "2s", "timeout": "1s"},
		}},
	}}
	rest["static_resources"].(object)["clusters"] = whole.StaticResources.Clusters
	return json.Marshal(rest)
}
