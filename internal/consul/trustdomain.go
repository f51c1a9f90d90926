package consul

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// TrustDomain is the one in the names of clusters and certificates. Consul tells it
// anybody who may ask it anything. It takes at most 2 s.
func (c *Client) TrustDomain(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	roots, _, err := c.API.Agent().ConnectCARoots((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("reading the roots of the mesh: %w", err)
	}
	return roots.TrustDomain, nil
}
