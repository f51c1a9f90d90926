package testmesh

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

// ProxyOptions change how a gateway or a sidecar is added. The zero value is the usual.
type ProxyOptions struct {
	Rules      string // of its ACL token; default: what Consul's documentation gives it
	XDSAddr    string // default: the mesh's lambdamesh
	EnvoyToken string // another token for Envoy's stream alone, such as a wrong one
	NoNodeName bool   // bootstrap without -node-name, as beside an agent

	// XDSAddrs makes Envoy's connection to its xDS server one that has these addresses,
	// of replicas, instead of XDSAddr, and pings it; see docs/high-availability.md.
	XDSAddrs []string

	// Upstreams are further ones of a sidecar, of other datacenters or peers, called by
	// their DestinationName. Their local ports are filled in.
	Upstreams []api.Upstream

	Transparent bool // a sidecar takes calls to any service of the mesh at Sidecar.OutboundPort; see SetVirtualIP

	NoEnvoy  bool // register alone; StartEnvoy later
	NoWait   bool // do not wait until Envoy is ready
	LogLevel string

	EnvoyArgs    []string
	EnvoyVersion string // default: the pinned one

	NoCredentials bool // Envoy finds no AWS credentials
}

// token makes a token, or none with ACLs off.
func (m *Mesh) token(ctx context.Context, name, rules string) (*api.ACLToken, error) {
	if m.cfg.Consul.NoACL {
		return &api.ACLToken{}, nil
	}
	return m.Consul.Token(ctx, name, rules)
}

// proxyRules are those of a proxy that reads the mesh and stands for these services;
// "*" is every service. A terminating gateway takes the certificates of the services it
// fronts, so it must be allowed to write them, as Consul's documentation says.
func proxyRules(services ...string) string {
	all := "read"
	if slices.Contains(services, "*") {
		all = "write"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "node_prefix \"\" { policy = \"read\" }\nagent_prefix \"\" { policy = \"read\" }\nservice_prefix \"\" { policy = %q }\n", all)
	for _, name := range services {
		if name != "*" {
			fmt.Fprintf(&b, "service %q { policy = \"write\" }\n", name)
		}
	}
	return b.String()
}

// replaceToken gives Envoy's stream another token than the one its bootstrap was
// written with: Consul's command would refuse to write one with a wrong token.
func replaceToken(bootstrap []byte, old, token string) []byte {
	if old == "" {
		return bootstrap // without ACLs there is none to replace
	}
	return bytes.ReplaceAll(bootstrap, []byte(old), []byte(token))
}
