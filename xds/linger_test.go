package xds_test

import (
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/lambdamesh/lambdamesh/xds"
)

// yielding patches a cluster, in this form, until Consul's own leads to a gateway.
type yielding string

const gatewayStat = "gateway"

func (yielding) Subject(name string) string { return name }

func (yielding) Since(xds.Patcher) ([]string, bool) { return nil, true }

func (yielding) Candidate(string, string, xds.Proxy) bool { return true }

func (yielding) Subjects(string, []byte) []string { return nil }

func (yielding) Unpatched(string, xds.Proxy) *xds.Unpatched { return nil }

func (yielding) Other(string, []byte, xds.Proxy) *xds.Patch { return nil }

func (yielding) Endpoints([]byte) xds.Endpoints { return xds.EndpointsSome }

func (form yielding) Cluster(name string, raw []byte, _ xds.Proxy, _ func(string) xds.Endpoints) xds.Verdict {
	var c clusterv3.Cluster
	if proto.Unmarshal(raw, &c) == nil && c.GetAltStatName() == gatewayStat {
		return xds.Verdict{Keep: true, Linger: true}
	}
	return xds.Verdict{Keep: true, Patch: &xds.Patch{Key: string(form), Service: name, Make: func() xds.Made {
		return xds.Made{Cluster: &clusterv3.Cluster{Name: name, AltStatName: "ours"}, Form: string(form)}
	}}}
}

// TestOnlyWhatServesLingers: an invocation stays for a moment when a gateway comes. A
// cluster without endpoints serves nobody, so nobody waits for it to go.
func TestOnlyWhatServesLingers(t *testing.T) {
	for form, lingers := range map[string]bool{"cluster": true, "": false} {
		inBubble(t, 1, xds.Config{}, func(t *testing.T, b *bubble) {
			b.server.SetPatcher(yielding(form))
			envoy := b.connect(t.Context(), "vm")
			up, _ := b.servers[0].upstream(t)
			must(t, up.Send(clusters(t, "c1", "fn")))
			envoy.takes(t, "fn")
			up.next(t)
			must(t, envoy.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: listenerType}))
			up.next(t)
			body, err := anypb.New(&clusterv3.Cluster{Name: "fn", AltStatName: gatewayStat})
			must(t, err)
			began := time.Now()
			must(t, up.Send(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: clusterType, Nonce: "c2", Resources: []*discoveryv3.Resource{
				{Name: "fn", Version: "v2", Resource: body},
			}}))
			envoy.takes(t, "fn")
			if waited := time.Since(began); waited > 0 != lingers || envoy.versions["fn"] != "v2" {
				t.Errorf("form %q: Envoy has version %s after %s", form, envoy.versions["fn"], waited)
			}
		})
	}
}
