package main

import (
	"encoding/json"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/internal/redact"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/xds"
)

// resources are those of a service that Envoys have. Secrets are taken out of them here,
// before anything else sees them.
func (s *server) resources(service string) ([]admin.Resource, error) {
	var shown []admin.Resource
	for _, state := range s.xds.Resources(lambda.ParseServiceName(service).Folded().String()) {
		one := admin.Resource{
			Proxies: state.Proxies, Kind: state.Kind, EnvoyVersion: state.Version.String(), Type: state.Type, Name: state.Name,
		}
		var err error
		if one.Before, err = readable(state, state.Consul); err != nil {
			return nil, err
		}
		if state.Ours != nil {
			if one.After, err = readable(state, state.Ours); err != nil {
				return nil, err
			}
		}
		shown = append(shown, one)
	}
	return shown, nil
}

// readable decodes a resource and takes its secrets out. The error does not quote it.
func readable(state xds.ResourceState, encoded []byte) (json.RawMessage, error) {
	var m proto.Message
	switch state.Type {
	case "cluster":
		m = &clusterv3.Cluster{}
	case "listener":
		m = &listenerv3.Listener{}
	case "route":
		m = &routev3.RouteConfiguration{}
	}
	if m == nil || proto.Unmarshal(encoded, m) != nil {
		return nil, fmt.Errorf("%s %s cannot be read", state.Type, state.Name)
	}
	return redact.JSON(m)
}
