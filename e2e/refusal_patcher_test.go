package e2e

import (
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lambdamesh/lambdamesh/lambda/patch"
	"github.com/lambdamesh/lambdamesh/xds"
)

// flaw is a mistake in what the Patcher makes of a cluster.
type flaw struct {
	name  string
	spoil func(*clusterv3.Cluster)      // what Envoy refuses; may panic
	panic bool                          // the Patcher fails before it makes anything
	when  func(*clusterv3.Cluster) bool // only of such a cluster of Consul's; nil: of any
}

// The flaws that Envoy refuses, each in other words.
var (
	// Envoy says which cluster it is.
	unknownExtension = flaw{name: "an extension that it does not have", spoil: extension("no.such.extension")}

	// Envoy prints the cluster, the name first.
	invalidWeight = flaw{name: "a weight of 0", spoil: func(c *clusterv3.Cluster) {
		c.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].LoadBalancingWeight = wrapperspb.UInt32(0)
	}}

	// Envoy says what is wrong, not where, and takes nothing of the response.
	negativeTimeout = flaw{name: "a negative timeout", spoil: func(c *clusterv3.Cluster) {
		c.ConnectTimeout = durationpb.New(-time.Second)
	}}

	// Envoy keeps 4,096 bytes of what it says, and names no other cluster after this.
	longWinded = flaw{name: "an extension with a long name", spoil: extension(strings.Repeat("x", 5000))}

	// With --reject-unknown-dynamic-fields, the same.
	unknownField = flaw{name: "an unknown field", spoil: func(c *clusterv3.Cluster) {
		c.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 60000, protowire.VarintType), 1))
	}}

	panics      = flaw{name: "a panic", panic: true}
	panicsLater = flaw{name: "a panic in the making", spoil: func(*clusterv3.Cluster) { panic("a bug in the making") }}
)

func extension(name string) func(*clusterv3.Cluster) {
	return func(c *clusterv3.Cluster) {
		config, err := anypb.New(&structpb.Struct{})
		if err != nil {
			panic(err) // an empty message can be packed
		}
		c.TransportSocket = &corev3.TransportSocket{Name: name, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config}}
	}
}

// flawed is lambdamesh's Patcher with flaws in what it makes of some services.
type flawed struct {
	*patch.Patcher
	flaws map[string]flaw // by service
}

// flawedKey tells a spoiled cluster from a good one.
type flawedKey struct {
	patch.Key
	flaw string
}

// Since is part of xds.Patcher.
func (p flawed) Since(xds.Patcher) (subjects []string, all bool) { return nil, true }

// Candidate is part of xds.Patcher.
func (p flawed) Candidate(_, name string, proxy xds.Proxy) bool {
	return p.Patcher.Candidate(name, patchProxy(proxy))
}

// Unpatched is part of xds.Patcher.
func (p flawed) Unpatched(string, xds.Proxy) *xds.Unpatched { return nil }

// Other is part of xds.Patcher.
func (p flawed) Other(string, []byte, xds.Proxy) *xds.Patch { return nil }

// Endpoints is part of xds.Patcher.
func (p flawed) Endpoints(assignment []byte) xds.Endpoints {
	return xds.Endpoints(p.Patcher.Endpoints(assignment))
}

// Cluster is part of xds.Patcher.
func (p flawed) Cluster(name string, raw []byte, proxy xds.Proxy, endpoints func(string) xds.Endpoints) xds.Verdict {
	verdict := p.Patcher.Cluster(name, raw, patchProxy(proxy), func(name string) patch.Endpoints {
		return patch.Endpoints(endpoints(name))
	})
	out := xds.Verdict{Watch: verdict.Watch, Linger: verdict.Linger, Keep: verdict.Keep}
	if verdict.Patch == nil {
		return out
	}
	out.Patch = &xds.Patch{
		Key: verdict.Patch.Key, Make: func() xds.Made { return xds.Made(verdict.Patch.Make()) },
		Transit: verdict.Patch.Transit, Service: verdict.Patch.Service, Path: verdict.Patch.Path,
	}
	service, _, _ := strings.Cut(name, ".")
	if f, ok := p.flaws[service]; ok && f.applies(raw) {
		if f.panic {
			panic("a bug")
		}
		out.Patch.Key = flawedKey{verdict.Patch.Key, f.name}
		out.Patch.Make = func() xds.Made {
			made := xds.Made(verdict.Patch.Make())
			made.Cluster = proto.CloneOf(made.Cluster)
			f.spoil(made.Cluster)
			return made
		}
	}
	return out
}

func (f flaw) applies(raw []byte) bool {
	var consuls clusterv3.Cluster
	return f.when == nil || proto.Unmarshal(raw, &consuls) == nil && f.when(&consuls)
}

func patchProxy(p xds.Proxy) patch.Proxy {
	return patch.Proxy{Version: patch.Version(p.Version), Kind: p.Kind, Datacenter: p.Datacenter, Service: p.Service, LocalApp: p.LocalApp}
}
