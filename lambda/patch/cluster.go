package patch

import (
	"errors"
	"fmt"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httppoolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/http/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	// protocolOptions is the name under which a cluster holds its HTTP options.
	protocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

	// idleTimeout closes a connection before AWS does, so that no request meets a
	// connection that is just being closed. AWS says nowhere how long it waits;
	// kgateway lives well with 30 s.
	idleTimeout = 30 * time.Second
)

// keptFields are the fields of an encoded cluster that stay: what operators set on
// it. The load balancer's panic threshold goes: Consul sets it to 0, and outlier
// detection would then cut off the one endpoint that there is.
func keptFields(raw []byte) []byte {
	const altStatName, connectTimeout, circuitBreakers, outlierDetection = 28, 4, 10, 19
	var fields []byte
	for len(raw) > 0 {
		number, _, n := protowire.ConsumeField(raw)
		if n < 0 {
			return nil
		}
		switch number {
		case altStatName, connectTimeout, circuitBreakers, outlierDetection:
			fields = append(fields, raw[:n]...)
		}
		raw = raw[n:]
	}
	return fields
}

// kept is the cluster with these fields alone. Those that cannot be decoded go.
func kept(name string, fields []byte) *clusterv3.Cluster {
	c := &clusterv3.Cluster{}
	if err := proto.Unmarshal(fields, c); err != nil {
		c.Reset()
	}
	c.Name = name
	return c
}

// withoutEndpoints is the cluster that answers 503. It is STATIC, since Envoy wants
// exactly one endpoint in a LOGICAL_DNS cluster. What Consul's cluster sets is kept
// only if Envoy would take it.
func withoutEndpoints(name string, fields []byte) *clusterv3.Cluster {
	c := kept(name, fields)
	empty(c)
	if c.ValidateAll() != nil {
		c = &clusterv3.Cluster{Name: name}
		empty(c)
	}
	return c
}

func empty(c *clusterv3.Cluster) {
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: c.GetName()}
}

// invocation is the cluster that invokes a function.
func invocation(name string, fields []byte, f lambda.Function, to target, v Version) (*clusterv3.Cluster, error) {
	c := kept(name, fields)
	if err := address(c, to.endpoint, v); err != nil {
		return nil, err
	}
	if f.RoleARN != "" && !v.assumesRoles() {
		return nil, errors.New(needsRole)
	}
	if f.URL && !v.callsURLs() {
		return nil, errors.New(needsURL)
	}
	if to.socket != nil {
		var err error
		if c.TransportSocket, err = to.socket(); err != nil {
			return nil, err
		}
	}
	chain, err := filters(f, to.host, v)
	if err != nil {
		return nil, err
	}
	options := httpOptions(to.tls)
	options.HttpFilters = chain
	options.RetryPolicy = retryPolicy(f, v)
	packed, err := pack(options)
	if err != nil {
		return nil, err
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{protocolOptions: packed}
	if c.UpstreamConfig, err = httpOnly(); err != nil {
		return nil, err
	}
	if err := verify(c, name, f, to); err != nil {
		return nil, err
	}
	return c, nil
}

// httpOnly makes tcp_proxy refuse the cluster: it finds no pool for TCP there. Consul
// gives a listener tcp_proxy as long as it does not know that the service speaks
// HTTP, for a quarter of a second after the entry that says so; the cluster's
// filters do not run under it, and what the caller sent would reach AWS unsigned
// (1.40.0: seen without this, closed at once with it).
func httpOnly() (*corev3.TypedExtensionConfig, error) {
	packed, err := pack(&httppoolv3.HttpConnectionPoolProto{})
	if err != nil {
		return nil, err
	}
	return &corev3.TypedExtensionConfig{Name: "envoy.filters.connection_pools.http.http", TypedConfig: packed}, nil
}

// address sets the one endpoint. Its hostname is the name that the filter signs: a
// route's auto_host_rewrite runs after the filter when a connection has to be
// opened, and would else write another Host over the signed one.
func address(c *clusterv3.Cluster, to endpoint, v Version) error {
	at, ip := to.address()
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{
		ClusterName: c.GetName(),
		Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
					Hostname: to.host,
					Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
						Address:       at,
						PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: to.port},
					}}},
				}},
			}},
		}},
	}
	if !ip {
		return resolve(c, v)
	}
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	return nil
}

// httpOptions lets TLS choose between HTTP/2 and HTTP/1.1 (ALPN): AWS speaks both,
// an emulator perhaps one. Without TLS nothing is chosen, and each server speaks
// HTTP/1.1.
func httpOptions(tls bool) *httpv3.HttpProtocolOptions {
	options := &httpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(idleTimeout)},
	}
	if tls {
		options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_AutoConfig{
			AutoConfig: &httpv3.HttpProtocolOptions_AutoHttpConfig{
				HttpProtocolOptions:  &corev3.Http1ProtocolOptions{},
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
			},
		}
		return options
	}
	options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
				HttpProtocolOptions: &corev3.Http1ProtocolOptions{},
			},
		},
	}
	return options
}

// pack validates a message and encodes it, the same message always to the same
// bytes: the version that Envoy sees is made from them.
func pack(m proto.Message) (*anypb.Any, error) {
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			return nil, fmt.Errorf("validating %s: %w", m.ProtoReflect().Descriptor().Name(), err)
		}
	}
	packed := new(anypb.Any)
	if err := anypb.MarshalFrom(packed, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return packed, nil
}
