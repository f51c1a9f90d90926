package testmesh

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// SetVirtualIP gives a service an address at which transparent proxies take calls for
// it, and takes that address from the service that had it. Such a proxy goes by the address that a
// connection was made to before iptables redirected it; for one that was not redirected
// that is the listener's own, 127.0.0.1. So with that address a test needs no iptables.
//
// Consul 1.22.5 tells proxies that run already only when the chain of the service
// changes for another reason.
func (c *Consul) SetVirtualIP(ctx context.Context, service, ip string) error {
	in := map[string]any{"Service": service, "ManualVIPs": []string{ip}}
	if _, err := c.API().Raw().Write("/v1/internal/service-virtual-ip", in, nil, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("giving %s the virtual IP %s: %w", service, ip, err)
	}
	return nil
}
