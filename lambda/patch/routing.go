package patch

import (
	"bytes"
	"crypto/sha256"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The types of resources with routes in them. Of listeners only those that lead outward
// are looked at: Consul gives the routes of an upstream without a service-router,
// splitter or resolver to a sidecar inside its listener, all others by RDS (1.22.5).
// Other listeners hold keys, and routes to the proxy's own application.
const (
	TypeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
	TypeRoute    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

const (
	typeHCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

	// Listener.traffic_direction, and its value for listeners that lead outward.
	fieldDirection = 16
	outbound       = 2
)

// Paths of fields to encoded messages.
var (
	pathRoutes        = []protowire.Number{2, 3}     // RouteConfiguration: virtual_hosts, routes
	pathFilters       = []protowire.Number{3, 3, 4}  // Listener: filter_chains, filters, typed_config
	pathDefaultFilter = []protowire.Number{25, 3, 4} // Listener: default_filter_chain, as before
	pathManager       = []protowire.Number{2}        // Any: value
	pathRouteConfig   = []protowire.Number{4}        // HttpConnectionManager: route_config
)

// Subjects are the services that the routes of a listener or a route configuration lead
// to, as Subject has them, each once: what of a Table concerns it.
func (p *Patcher) Subjects(typeURL string, raw []byte) []string {
	var subjects []string
	seen := map[string]bool{}
	eachRoute(typeURL, raw, func(route []byte) []byte {
		clusters(route, func(name string) {
			if subject := p.Subject(name); subject != "" && !seen[subject] {
				seen[subject] = true
				subjects = append(subjects, subject)
			}
		})
		return route
	})
	return subjects
}

// Other decides on a listener or a route configuration, of which raw is the encoding as
// it came from Consul: routes to functions get a timeout that the function can meet, and
// on the Envoy that invokes room for its bodies. nil lets it pass as it came.
//
// The routes' own form depends on no ARN: they change only with a function's timeout.
func (p *Patcher) Other(typeURL string, raw []byte, proxy Proxy) *Patch {
	if proxy.Kind == kindMeshGateway {
		return nil
	}
	listenerMode := p.options.form(proxy.Version) == FormListener
	changed := eachRoute(typeURL, raw, func(route []byte) []byte {
		route = p.route(route, proxy)
		if listenerMode {
			route = p.invoking(route, proxy)
		}
		return route
	})
	if listenerMode && typeURL == TypeListener && (isOutbound(raw) || proxy.Kind == kindTerminatingGateway) {
		changed = eachManager(changed, func(manager []byte) []byte { return withFilters(manager, proxy.Version) })
	}
	if same(changed, raw) {
		return nil
	}
	return &Patch{
		Key: Key{encoded: sha256.Sum256(changed)},
		Make: func() Made {
			if !valid(typeURL, changed) {
				return Made{Encoded: bytes.Clone(raw), Reason: "what Consul sent is not valid"}
			}
			return Made{Encoded: changed}
		},
	}
}

// ListenerCandidate reports whether a listener of this name may be changed for the proxy
// as things stand, judged by the name alone.
func (p *Patcher) ListenerCandidate(name string, proxy Proxy) bool {
	if len(p.targets) == 0 || strings.HasPrefix(name, "public_listener:") { // a sidecar's inbound one
		return false
	}
	if proxy.Kind == kindTerminatingGateway {
		return p.options.form(proxy.Version) == FormListener
	}
	return proxy.Kind != kindMeshGateway
}

// eachRoute is an encoded listener or route configuration in which f has changed the
// routes.
func eachRoute(typeURL string, raw []byte, f func(route []byte) []byte) []byte {
	return eachConfig(typeURL, raw, func(config []byte) []byte { return rewrite(config, f, pathRoutes...) })
}

// eachConfig is one in which f has changed the route configurations.
func eachConfig(typeURL string, raw []byte, f func(config []byte) []byte) []byte {
	switch typeURL {
	case TypeRoute:
		return f(raw)
	case TypeListener:
		if !isOutbound(raw) {
			return raw
		}
		return eachManager(raw, func(manager []byte) []byte { return rewrite(manager, f, pathRouteConfig...) })
	}
	return raw
}

// eachManager is an encoded listener in which f has changed the HttpConnectionManagers.
func eachManager(listener []byte, f func(manager []byte) []byte) []byte {
	filter := func(config []byte) []byte {
		if !isHCM(config) {
			return config
		}
		return rewrite(config, f, pathManager...)
	}
	return rewrite(rewrite(listener, filter, pathFilters...), filter, pathDefaultFilter...)
}

func isOutbound(listener []byte) (found bool) {
	_ = scan(listener, func(field protowire.Number, number uint64, bytes []byte) {
		if field == fieldDirection && bytes == nil {
			found = number == outbound
		}
	})
	return found
}

// isHCM reports whether an encoded Any is an HttpConnectionManager.
func isHCM(config []byte) (found bool) {
	const typeURL = 1
	each(config, func(url []byte) { found = string(url) == typeHCM }, typeURL)
	return found
}

// valid reports whether Envoy's own rules let the route configurations pass.
func valid(typeURL string, raw []byte) bool {
	all := true
	eachConfig(typeURL, raw, func(config []byte) []byte {
		var c routev3.RouteConfiguration
		all = all && proto.Unmarshal(config, &c) == nil && c.ValidateAll() == nil
		return config
	})
	return all
}
