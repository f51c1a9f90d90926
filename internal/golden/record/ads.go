package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	// Protos inside the Anys of Consul's clusters and listeners.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/internal/parts"
)

const (
	typeClusters  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	typeEndpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	typeListeners = "type.googleapis.com/envoy.config.listener.v3.Listener"
	typeRoutes    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// quiet is how long Consul must have said nothing new for the recording to be
// whole, once it has what the case demands.
const quiet = 2 * time.Second

// heard is what a proxy was told.
type heard struct {
	clusters  map[string]*clusterv3.Cluster
	endpoints map[string]*endpointv3.ClusterLoadAssignment
	listeners map[string]*listenerv3.Listener
	routes    map[string]*routev3.RouteConfiguration
}

// record is the proxy's part of a conversation with Consul: it asks for clusters, then
// for their endpoints, for listeners and their routes, and accepts all.
func record(ctx context.Context, s *server, c recorded, scrub func(proto.Message) (json.RawMessage, error)) (golden.Recording, error) {
	result := golden.Recording{
		Consul: parts.ConsulVersion, Kind: string(c.kind), Datacenter: "dc1", Service: c.beside,
		Defaults: map[string]golden.Defaults{}, Fronted: slices.Sorted(slices.Values(fronted)),
	}
	for _, entry := range defaults() {
		one := golden.Defaults{Protocol: entry.Protocol, Meta: entry.Meta}
		for _, extension := range entry.EnvoyExtensions {
			one.Extension = extension.Arguments
		}
		result.Defaults[entry.Name] = one
	}
	got, err := listen(ctx, s.grpc, c)
	if err != nil {
		return result, err
	}
	if result.Clusters, err = scrubbed(got.clusters, scrub); err != nil {
		return result, err
	}
	if result.Endpoints, err = scrubbed(got.endpoints, scrub); err != nil {
		return result, err
	}
	if result.Listeners, err = scrubbed(got.listeners, scrub); err != nil {
		return result, err
	}
	result.Routes, err = scrubbed(got.routes, scrub)
	return result, err
}

// scrubbed are messages as they stand in a file, sorted by name.
func scrubbed[M proto.Message](heard map[string]M, scrub func(proto.Message) (json.RawMessage, error)) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for _, name := range slices.Sorted(maps.Keys(heard)) {
		b, err := scrub(heard[name])
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func listen(ctx context.Context, address string, c recorded) (*heard, error) {
	ctx, cancel := context.WithTimeout(ctx, enough)
	defer cancel()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(connection).DeltaAggregatedResources(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the stream: %w", err)
	}
	responses, failed := make(chan *discoveryv3.DeltaDiscoveryResponse), make(chan error, 1)
	go func() {
		for {
			response, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case responses <- response:
			case <-ctx.Done():
				return
			}
		}
	}()
	first := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeClusters, Node: &corev3.Node{
		Id: c.id, Cluster: c.id, UserAgentName: "envoy",
		UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{
			Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 36, Patch: 2},
		}},
	}}
	if err := stream.Send(first); err != nil {
		return nil, fmt.Errorf("asking for clusters: %w", err)
	}
	got := &heard{
		clusters: map[string]*clusterv3.Cluster{}, endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
		listeners: map[string]*listenerv3.Listener{}, routes: map[string]*routev3.RouteConfiguration{},
	}
	listening := false // listeners have been asked for
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		select {
		case response := <-responses:
			endpoints, routes, err := got.take(response)
			if err != nil {
				return nil, err
			}
			requests := []*discoveryv3.DeltaDiscoveryRequest{{TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce()}}
			if len(endpoints) > 0 {
				requests = append(requests, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoints, ResourceNamesSubscribe: endpoints})
			}
			if len(routes) > 0 {
				requests = append(requests, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeRoutes, ResourceNamesSubscribe: routes})
			}
			for _, request := range requests {
				if err := stream.Send(request); err != nil {
					return nil, fmt.Errorf("answering: %w", err)
				}
			}
			timer.Reset(quiet)
		case <-timer.C:
			if got.missing(c) == "" {
				if listening {
					return got, nil
				}
				listening = true
				if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeListeners}); err != nil {
					return nil, fmt.Errorf("asking for listeners: %w", err)
				}
			}
			timer.Reset(quiet)
		case err := <-failed:
			return nil, fmt.Errorf("listening to Consul: %w (missing: %s)", err, got.missing(c))
		}
	}
}

// take notes a response and returns the endpoints and routes to ask for.
func (h *heard) take(response *discoveryv3.DeltaDiscoveryResponse) (subscribe, routes []string, err error) {
	for _, name := range response.GetRemovedResources() {
		switch response.GetTypeUrl() {
		case typeClusters:
			delete(h.clusters, name)
		case typeListeners:
			delete(h.listeners, name)
		}
	}
	for _, resource := range response.GetResources() {
		switch response.GetTypeUrl() {
		case typeClusters:
			cluster := new(clusterv3.Cluster)
			if err := resource.GetResource().UnmarshalTo(cluster); err != nil {
				return nil, nil, fmt.Errorf("reading a cluster: %w", err)
			}
			if _, known := h.clusters[cluster.GetName()]; !known && cluster.GetType() == clusterv3.Cluster_EDS {
				name := cluster.GetEdsClusterConfig().GetServiceName()
				if name == "" {
					name = cluster.GetName()
				}
				subscribe = append(subscribe, name)
			}
			h.clusters[cluster.GetName()] = cluster
		case typeEndpoints:
			endpoints := new(endpointv3.ClusterLoadAssignment)
			if err := resource.GetResource().UnmarshalTo(endpoints); err != nil {
				return nil, nil, fmt.Errorf("reading endpoints: %w", err)
			}
			h.endpoints[endpoints.GetClusterName()] = endpoints
		case typeListeners:
			listener := new(listenerv3.Listener)
			if err := resource.GetResource().UnmarshalTo(listener); err != nil {
				return nil, nil, fmt.Errorf("reading a listener: %w", err)
			}
			h.listeners[listener.GetName()] = listener
			routes = append(routes, h.routesOf(listener)...)
		case typeRoutes:
			route := new(routev3.RouteConfiguration)
			if err := resource.GetResource().UnmarshalTo(route); err != nil {
				return nil, nil, fmt.Errorf("reading a route configuration: %w", err)
			}
			h.routes[route.GetName()] = route
		}
	}
	return subscribe, routes, nil
}

// routesOf are the routes that a listener asks for by RDS and that were not heard yet.
func (h *heard) routesOf(listener *listenerv3.Listener) (names []string) {
	for _, chain := range listener.GetFilterChains() {
		for _, filter := range chain.GetFilters() {
			var manager hcmv3.HttpConnectionManager
			if filter.GetTypedConfig().UnmarshalTo(&manager) != nil {
				continue
			}
			if name := manager.GetRds().GetRouteConfigName(); name != "" && h.routes[name] == nil {
				names = append(names, name)
			}
		}
	}
	return names
}

// missing names the first thing that the case demands and that was not heard yet.
func (h *heard) missing(c recorded) string {
	for _, service := range c.clusters {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(h.clusters)), func(name string) bool { return isOf(name, service) }) {
			return "a cluster of " + service
		}
	}
	for _, service := range c.endpoints {
		found := false
		for name, endpoints := range h.endpoints {
			found = found || isOf(name, service) && len(endpoints.GetEndpoints()) > 0 && len(endpoints.GetEndpoints()[0].GetLbEndpoints()) > 0
		}
		if !found {
			return "endpoints of " + service
		}
	}
	return ""
}

// isOf reports whether a cluster's name is the SNI of a service.
func isOf(name, service string) bool {
	_, rest, customized := strings.Cut(name, "~")
	if customized {
		name = rest
	}
	return strings.HasPrefix(name, service+".default.") || strings.Contains(name, "."+service+".default.")
}
