package consul

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"

	"github.com/hashicorp/consul/api"
)

// gatewayAddresses follows where terminating gateways listen, by the catalog. It is
// read again with each answer about their entries. A gateway is not forgotten with
// its entry: it may still run, and sidecars may still be told of it.
type gatewayAddresses struct {
	client *Client
	known  map[gatewayName][]string // host:port; of one goroutine
}

type gatewayName struct{ name, namespace, partition string }

// read is the addresses of all gateways seen so far. What cannot be read, for want
// of node:read, say, stays as it was: without these addresses a sidecar keeps to
// Consul's way a while longer, no more.
func (g *gatewayAddresses) read(ctx context.Context, entries []api.ConfigEntry) []string {
	for _, e := range entries {
		if gw, ok := e.(*api.TerminatingGatewayConfigEntry); ok {
			name := gatewayName{gw.Name, gw.Namespace, gw.Partition}
			if _, ok := g.known[name]; !ok {
				g.known[name] = nil
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readGrace)
	defer cancel()
	var all []string
	for name := range g.known {
		opts := &api.QueryOptions{Namespace: name.namespace, Partition: name.partition}
		services, _, err := g.client.API.Catalog().Service(name.name, "", opts.WithContext(ctx))
		if err == nil && len(services) > 0 {
			g.known[name] = nil
			for _, s := range services {
				host := cmp.Or(s.ServiceAddress, s.Address)
				g.known[name] = append(g.known[name], net.JoinHostPort(host, strconv.Itoa(s.ServicePort)))
			}
		}
		all = append(all, g.known[name]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
