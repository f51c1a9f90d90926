package testmesh

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// Sidecar is a service without an application and its sidecar proxy.
type Sidecar struct {
	Service   string
	ProxyID   string         // SERVICE-sidecar-proxy
	Port      int            // of its public listener
	AppPort   int            // where the service itself would listen
	Upstreams map[string]int // local port by name of the upstream service

	OutboundPort int // of a transparent proxy

	Token *api.ACLToken
	Envoy *Envoy // nil with NoEnvoy

	mesh    *Mesh
	options ProxyOptions
}

// AddSidecar registers a service and its sidecar with the agent and starts the
// sidecar's Envoy. Each upstream gets a local port.
func (m *Mesh) AddSidecar(ctx context.Context, service string, upstreams []string, o ProxyOptions) (*Sidecar, error) {
	s := &Sidecar{Service: service, ProxyID: service + "-sidecar-proxy", Upstreams: map[string]int{}, mesh: m, options: o}
	fail := func(err error) (*Sidecar, error) {
		return nil, fmt.Errorf("adding the sidecar of %s: %w", service, err)
	}
	if err := m.ports.Fill(&s.Port, &s.AppPort); err != nil {
		return fail(err)
	}
	proxy := &api.AgentServiceConnectProxyConfig{
		DestinationServiceName: service, DestinationServiceID: service, LocalServiceAddress: "127.0.0.1", LocalServicePort: s.AppPort,
	}
	if o.Transparent {
		if err := m.ports.Fill(&s.OutboundPort); err != nil {
			return fail(err)
		}
		proxy.Mode, proxy.TransparentProxy = api.ProxyModeTransparent, &api.TransparentProxyConfig{OutboundListenerPort: s.OutboundPort}
	}
	for _, name := range upstreams {
		proxy.Upstreams = append(proxy.Upstreams, api.Upstream{DestinationName: name})
	}
	proxy.Upstreams = append(proxy.Upstreams, o.Upstreams...)
	for i := range proxy.Upstreams {
		up := &proxy.Upstreams[i]
		if err := m.ports.Fill(&up.LocalBindPort); err != nil {
			return fail(err)
		}
		s.Upstreams[up.DestinationName] = up.LocalBindPort
	}
	rules := cmp.Or(o.Rules, proxyRules(service, s.ProxyID))
	var err error
	if s.Token, err = m.token(ctx, s.ProxyID, rules); err != nil {
		return fail(err)
	}
	if err := m.Consul.RegisterAgentService(ctx, s.Token.SecretID, &api.AgentServiceRegistration{
		ID: service, Name: service, Address: "127.0.0.1", Port: s.AppPort,
	}); err != nil {
		return fail(err)
	}
	if err := m.Consul.RegisterAgentService(ctx, s.Token.SecretID, &api.AgentServiceRegistration{
		Kind: api.ServiceKindConnectProxy, ID: s.ProxyID, Name: s.ProxyID, Address: "127.0.0.1", Port: s.Port, Proxy: proxy,
	}); err != nil {
		return fail(err)
	}
	if o.NoEnvoy {
		return s, nil
	}
	if err := s.StartEnvoy(ctx); err != nil {
		return fail(err)
	}
	return s, nil
}

// StartEnvoy starts the Envoy of a sidecar added with NoEnvoy.
func (s *Sidecar) StartEnvoy(ctx context.Context) (err error) {
	if s.Envoy, err = s.mesh.startEnvoy(ctx, "envoy-"+s.ProxyID, s.ProxyID, s.Token.SecretID, s.options); err != nil || s.options.NoWait {
		return err
	}
	return s.Envoy.WaitReady(ctx)
}

// URL is where the upstream is called; path begins with a slash.
func (s *Sidecar) URL(upstream, path string) string {
	return "http://" + loopback(s.Upstreams[upstream]) + path
}
