package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/redact"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/lambda/patch"
)

// newest is the newest Envoy that lambdamesh is tried with.
var newest = patch.Version{Major: 1, Minor: 40}

// made is the cluster that the entry of a service alone leads to, as a terminating gateway
// gets it whose own cluster sets nothing: the invocation is the same with each proxy, but
// for what stays of Consul's cluster (timeouts, circuit breakers, outlier detection).
func made(ctx context.Context, client *consul.Client, table *lambda.Table, options patch.Options, name lambda.ServiceName) (admin.Resource, error) {
	trustDomain, err := client.TrustDomain(ctx)
	if err != nil {
		return admin.Resource{}, err
	}
	datacenter := client.Datacenter(ctx)
	patcher, err := patch.New(table, options)
	if err != nil {
		return admin.Resource{}, fmt.Errorf("making the patch: %w", err)
	}
	sni := patch.SNI(name.Folded(), cmp.Or(datacenter, "unknown"), trustDomain)
	raw, err := proto.Marshal(&clusterv3.Cluster{
		Name: sni, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: sni},
	})
	if err != nil {
		return admin.Resource{}, fmt.Errorf("making the patch: %w", err)
	}
	gateway := patch.Proxy{Kind: "terminating-gateway", Version: newest, Datacenter: datacenter}
	verdict := patcher.Cluster(sni, raw, gateway, func(string) patch.Endpoints { return patch.EndpointsUnknown })
	if verdict.Patch == nil {
		return admin.Resource{}, errors.New("making the patch: there is none")
	}
	form := verdict.Patch.Make()
	one := admin.Resource{
		Proxies: []string{}, Kind: gateway.Kind, EnvoyVersion: fmt.Sprintf("%d.%d", newest.Major, newest.Minor), Type: "cluster", Name: sni,
		Note: "no Envoy's: made of the entry and of this command's flags, for a terminating gateway whose cluster sets nothing of its own; what Consul makes is known to a running lambdamesh alone",
	}
	if form.Reason != "" {
		one.Note += "; without endpoints, for " + form.Reason
	}
	one.After, err = redact.JSON(form.Cluster)
	return one, err
}
