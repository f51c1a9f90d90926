package xds_test

import (
	"slices"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/xds"
)

// TestResources: Consul's form and ours of what concerns a service, once for Envoys that
// are alike.
func TestResources(t *testing.T) {
	r := newRig(t, xds.Config{})
	r.server.SetPatcher(namePatcher("one"))
	for _, id := range []string{"web-2", "web-1", "web-1"} { // the last of a hot restart
		envoy, err := r.envoy.DeltaAggregatedResources(t.Context())
		must(t, err)
		must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: id}, TypeUrl: clusterType}))
		up := r.upstream()
		up.next(t)
		must(t, up.Send(clusters(t, "c1", "fn-a", "fn-b", "left")))
		resp, err := envoy.Recv()
		must(t, err)
		must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, ResponseNonce: resp.GetNonce()}))
	}
	got := r.server.Resources("fn-a")
	if len(got) != 1 || !slices.Equal(got[0].Proxies, []string{"web-1", "web-2"}) || got[0].Type != "cluster" || got[0].Name != "fn-a" {
		t.Fatalf("%+v", got)
	}
	var consuls, ours clusterv3.Cluster
	must(t, proto.Unmarshal(got[0].Consul, &consuls))
	must(t, proto.Unmarshal(got[0].Ours, &ours))
	if consuls.GetName() != "fn-a" || consuls.GetAltStatName() != "" || ours.GetAltStatName() != "one" {
		t.Errorf("consul's is %v, ours %v", &consuls, &ours)
	}
	if left := r.server.Resources("left"); len(left) != 1 || left[0].Ours != nil || left[0].Consul == nil {
		t.Errorf("of what is not patched: %+v", left)
	}
	if none := r.server.Resources("nobody"); len(none) != 0 {
		t.Errorf("of what nobody has: %+v", none)
	}
}
