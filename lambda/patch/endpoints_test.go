package patch

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/lambda"
)

func TestEndpoints(t *testing.T) {
	lists := func(service string, ports ...uint32) []byte {
		a := &endpointv3.ClusterLoadAssignment{ClusterName: service + domain}
		for _, port := range ports {
			a.Endpoints = append(a.Endpoints, &endpointv3.LocalityLbEndpoints{LbEndpoints: []*endpointv3.LbEndpoint{{
				HealthStatus: corev3.HealthStatus_UNHEALTHY,
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
					Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
						Address: "10.0.0.7", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
					}}},
				}},
			}}})
		}
		raw, err := proto.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	name := func(s string) lambda.ServiceName { return lambda.NewServiceName(s, "", "") }
	table := lambda.NewTable(
		lambda.Service{Name: name("delisted"), State: lambda.StateOK, Delisted: true},
		lambda.Service{Name: name("never"), State: lambda.StateOK},
		lambda.Service{Name: name("fronted"), State: lambda.StateOK, Fronted: true, Delisted: true},
	).WithGateways("10.0.0.7:8443")
	p, err := New(table, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		assignment []byte
		want       Endpoints
	}{
		"none":                           {lists("never"), EndpointsNone},
		"one, though unhealthy":          {lists("never", 1), EndpointsSome},
		"unreadable":                     {[]byte{0xff}, EndpointsSome},
		"a gateway never known to front": {lists("never", 8443), EndpointsSome},
		"the gateway that fronts":        {lists("fronted", 8443), EndpointsSome},
		"the gateway that did":           {lists("delisted", 8443), EndpointsNone},
		"that gateway and another":       {lists("delisted", 8443, 1), EndpointsSome},
		"not ours":                       {lists("other", 8443), EndpointsSome},
	} {
		if got := p.Endpoints(test.assignment); got != test.want {
			t.Errorf("%s: %v, want %v", what, got, test.want)
		}
	}
}
