package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// identifyTimeout bounds a look-up: an Envoy waits for it.
const identifyTimeout = 2 * time.Second

// ProxyRef is how an Envoy names itself in its Node.
type ProxyRef struct {
	ID        string // Node.id: the proxy's service ID
	NodeName  string // metadata.node_name; empty: registered with our own agent
	Namespace string // metadata.namespace; Enterprise only
	Partition string // metadata.partition; Enterprise only
}

// Identity is what Consul knows of a proxy. Empty fields are unknown.
type Identity struct {
	Kind       string // connect-proxy, terminating-gateway, mesh-gateway, ...
	Datacenter string

	// Service is the one that a connect-proxy stands beside, in lambda.ServiceName's
	// form: Consul gives the proxy that service's certificate.
	Service string
}

// identityOf is what a registration in this datacenter says of a proxy.
func identityOf(s *api.AgentService, datacenter string) Identity {
	identity := Identity{Kind: string(s.Kind), Datacenter: datacenter}
	if s.Kind == api.ServiceKindConnectProxy && s.Proxy != nil && s.Proxy.DestinationServiceName != "" {
		identity.Service = lambda.NewServiceName(s.Proxy.DestinationServiceName, s.Namespace, s.Partition).String()
	}
	return identity
}

// ErrWithheld says that Consul's ACLs kept a proxy from us.
var ErrWithheld = errors.New("withheld from our token by Consul's ACLs; its policy needs: " + ServiceRule + " and " + NodeRule)

// Identify looks a proxy up, in the catalog by its node's name, or with our own
// agent where it names none. A proxy that Consul does not have is the zero
// Identity and no error. It takes at most 2 s.
func (c *Client) Identify(ctx context.Context, proxy ProxyRef) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	opts := (&api.QueryOptions{
		Namespace: notDefault(proxy.Namespace),
		Partition: notDefault(proxy.Partition),
	}).WithContext(ctx)
	if strings.Contains(proxy.NodeName, "/") || proxy.NodeName == "" && strings.Contains(proxy.ID, "/") {
		// An Envoy says these names, and they become part of a URL that our token
		// is sent with.
		return Identity{}, nil
	}
	identify := c.fromAgent
	if proxy.NodeName != "" {
		identify = c.fromCatalog
	}
	identity, err := identify(proxy, opts)
	if err != nil {
		return Identity{}, fmt.Errorf("looking up proxy %s: %w", proxy.ID, err)
	}
	return identity, nil
}

func (c *Client) fromCatalog(proxy ProxyRef, opts *api.QueryOptions) (Identity, error) {
	// The filter only spares a node's other services; its language knows no escapes.
	if !strings.ContainsAny(proxy.ID, "\"`\\") {
		opts.Filter = `ID == "` + proxy.ID + `"`
	}
	list, meta, err := c.API.Catalog().NodeServiceList(proxy.NodeName, opts)
	if err != nil {
		return Identity{}, err
	}
	for _, s := range list.Services {
		if s.ID == proxy.ID && list.Node != nil {
			return identityOf(s, list.Node.Datacenter), nil
		}
	}
	if meta.ResultsFilteredByACLs || c.Tokenless && meta.DefaultACLPolicy == "deny" {
		return Identity{}, ErrWithheld
	}
	return Identity{}, nil
}

func (c *Client) fromAgent(proxy ProxyRef, opts *api.QueryOptions) (Identity, error) {
	s, _, err := c.API.Agent().Service(proxy.ID, opts)
	var status api.StatusError
	switch {
	case errors.As(err, &status) && status.Code == http.StatusNotFound:
		return Identity{}, nil
	case errors.As(err, &status) && status.Code == http.StatusForbidden:
		return Identity{}, ErrWithheld
	case err != nil:
		return Identity{}, err
	}
	return identityOf(s, s.Datacenter), nil
}

// notDefault leaves "default" out: Consul's community edition refuses requests
// that name a namespace or a partition at all.
func notDefault(s string) string {
	if s == "default" {
		return ""
	}
	return s
}

// Datacenter is the one that the agent we ask is of; empty if Consul does not
// say. The agent tells it to those who may read it; else it is the only one there
// is. It takes at most 2 s.
func (c *Client) Datacenter(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	opts := (&api.QueryOptions{}).WithContext(ctx)
	var self struct{ Config struct{ Datacenter string } }
	if _, err := c.API.Raw().Query("/v1/agent/self", &self, opts); err == nil {
		return self.Config.Datacenter
	}
	var all []string
	if _, err := c.API.Raw().Query("/v1/catalog/datacenters", &all, opts); err == nil && len(all) == 1 {
		return all[0]
	}
	return ""
}
