package fakeconsul

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
)

// revisions is how many forms a looping script's clusters take in turn.
const revisions = 4

// mesh makes what proxies hear.
type mesh struct {
	templates *templates

	mu     sync.Mutex
	bodies map[string][]byte
}

func newMesh(t *templates) *mesh { return &mesh{templates: t, bodies: map[string][]byte{}} }

// body is a response about all of a script's resources of a type, without a nonce. It
// is made once, unless the script wants work.
func (m *mesh) body(typeURL string, s Script, revision int) []byte {
	revision %= revisions
	if s.Work {
		return response(typeURL, m.resources(typeURL, s, revision))
	}
	key := fmt.Sprint(typeURL, s, revision)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bodies[key] == nil {
		m.bodies[key] = response(typeURL, m.resources(typeURL, s, revision))
	}
	return m.bodies[key]
}

// resources are all of a script's resources of a type.
func (m *mesh) resources(typeURL string, s Script, revision int) (made []*discoveryv3.Resource) {
	add := func(name string, template *clusterv3.Cluster) {
		if typeURL == frames.Listeners {
			made = append(made, listener(name))
		} else {
			made = append(made, cluster(name, template, revision))
		}
	}
	for i := range s.Services {
		add(Cluster(Service(i)), m.templates.service)
	}
	for i := range s.Functions {
		add(Cluster(Function(i)), m.templates.function)
	}
	return made
}

// cluster is a template under another name. Revisions differ in a timeout.
func cluster(name string, template *clusterv3.Cluster, revision int) *discoveryv3.Resource {
	c := proto.CloneOf(template)
	c.Name = name
	if c.LoadAssignment != nil {
		c.LoadAssignment.ClusterName = name
	}
	c.ConnectTimeout = durationpb.New(5*time.Second + time.Duration(revision)*time.Millisecond)
	return resource(name, c)
}

// listener is about as large as Consul's for the upstream that a cluster is of.
func listener(cluster string) *discoveryv3.Resource {
	name := cluster + ":127.0.0.1:9191"
	return resource(name, &listenerv3.Listener{
		Name: name, TrafficDirection: corev3.TrafficDirection_OUTBOUND,
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(&hcmv3.HttpConnectionManager{
				StatPrefix: "upstream." + cluster,
				RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
					Name: cluster,
					VirtualHosts: []*routev3.VirtualHost{{
						Name: cluster, Domains: []string{"*"},
						Routes: []*routev3.Route{{
							Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
							Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}},
						}},
					}},
				}},
			})},
		}}}},
	})
}

// endpoints are those of a cluster: one instance.
func endpoints(name string) *discoveryv3.Resource {
	return resource(name, &endpointv3.ClusterLoadAssignment{
		ClusterName: name,
		Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
			HealthStatus: corev3.HealthStatus_HEALTHY,
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: &corev3.Address{
				Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
					Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 9},
				}},
			}}},
		}}}},
	})
}

// resource gives a message a version as Consul does: the hash of its encoding.
func resource(name string, body proto.Message) *discoveryv3.Resource {
	sum := sha256.Sum256(encode(body))
	return &discoveryv3.Resource{Name: name, Version: hex.EncodeToString(sum[:]), Resource: pack(body)}
}

func response(typeURL string, resources []*discoveryv3.Resource) []byte {
	return encode(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, Resources: resources})
}

func pack(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil {
		panic(err) // messages of ours
	}
	return packed
}

func encode(m proto.Message) []byte {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // messages of ours
	}
	return encoded
}
