package xds

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// contain keeps a mistake of ours to the service that it concerns. Consul answers a
// refusal by sending the same again, with which Envoy would refuse it again, and all
// that comes after; so a refusal of something of ours does not go up. The forms that
// Envoy names in its text, or all of ours if it names none (the text is cut off when
// it is long), are quarantined, something else stands in for them, and the whole
// response is sent again: Envoy noted none of its versions. It reports whether it did
// so; each time leaves fewer of ours to refuse.
func (s *session) contain(p *pendingAnswer, text string) bool {
	if p.url != typeCluster {
		return false
	}
	var named, unnamed, standIns []string
	for name, version := range p.versions {
		switch c := s.clusters[name]; {
		case !isPatched(version):
		case strings.Contains(text, name):
			named = append(named, name)
		case c != nil && c.standsIn && c.final.version == version:
			standIns = append(standIns, name) // the last to be suspected
		default:
			unnamed = append(unnamed, name)
		}
	}
	if len(named) == 0 {
		named = unnamed
	}
	if len(named) == 0 {
		named = standIns
	}
	t := s.typed(typeCluster)
	for _, name := range named {
		version := p.versions[name]
		if s.quarantine[name] == nil {
			s.quarantine[name] = map[string]bool{}
		}
		s.quarantine[name][patchHash(version)] = true
		t.rejected[name] = rejection{version: version, text: safeText(text)}
		s.changed = true
	}
	if len(named) == 0 {
		return false
	}
	s.touch(causeContain)
	if p.upstream == "" || p.generation != s.generation || !s.attached {
		return false // what is left to do is for pushClusters, or for a new attachment
	}
	again := &response{typeURL: p.url, nonce: p.upstream, removed: p.removed, rest: p.rest}
	for _, name := range sortedKeys(p.versions) {
		switch c := s.clusters[name]; {
		case c != nil:
			again.resources = append(again.resources, c.consul)
			s.judge(c.consul) // which may forget the cluster
		case p.plain[name].raw != nil:
			again.resources = append(again.resources, p.plain[name])
		}
	}
	s.watch()
	s.deliverClusters(again)
	s.askChildren(again)
	return true
}

// askChildren has Consul send the endpoints once more of clusters that Envoy gets
// again: what it sent with the refused response may have come before there was a
// cluster to take them.
func (s *session) askChildren(clusters *response) {
	t := s.typed(typeEndpoint)
	var names []string
	for _, res := range clusters.resources {
		if t.subscribed(res.name) && t.needs[res.name] && !s.holds(typeEndpoint, res.name) {
			names = append(names, res.name)
		}
	}
	if t.opened && len(names) > 0 {
		s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesSubscribe: names})
	}
}

// standIn is what Envoy gets instead of a form in quarantine: the last of ours that
// it took; else Consul's own if that is an EDS cluster, which Envoy takes; else the
// cluster without endpoints.
func (s *session) standIn(c *cluster) resource {
	c.standsIn = true
	barred := s.quarantine[c.consul.name]
	if c.taken.raw != nil && !barred[patchHash(c.taken.version)] {
		return c.taken
	}
	if !isEDS(c.consul.body) {
		if empty := withoutEndpoints(c.consul); !barred[patchHash(empty.version)] {
			return empty
		}
	}
	return c.consul
}

// withoutEndpoints is a cluster that answers 503.
func withoutEndpoints(consul resource) resource {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&clusterv3.Cluster{
		Name:                 consul.name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:       &endpointv3.ClusterLoadAssignment{ClusterName: consul.name},
	})
	if err != nil { // only a name that is no UTF-8, which no response can hold
		return consul
	}
	return newResource(typeCluster, consul.name, patchedVersion(consul.version, body), body)
}

func isEDS(cluster []byte) bool {
	const clusterType, eds = 2, 3 // Cluster.type, DiscoveryType.EDS
	found := false
	_ = scan(cluster, func(num protowire.Number, typ protowire.Type, _, field []byte) error {
		if num == clusterType && typ == protowire.VarintType {
			_, n := protowire.ConsumeVarint(field)
			value, _ := protowire.ConsumeVarint(field[n:])
			found = value == eds
		}
		return nil
	})
	return found
}

// ask asks the Patcher. One that panics is a refused form like any other: ok is
// false, and what happened waits in failures to be logged.
func (s *session) ask(res resource) (verdict Verdict, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			verdict, ok = Verdict{}, false
			failure := fmt.Sprintf("the patch of %s failed: %v", res.name, p)
			if s.typed(typeCluster).rejected[res.name].text != failure {
				s.typed(typeCluster).rejected[res.name] = rejection{text: failure}
				s.failures = append(s.failures, failure+"\n"+string(debug.Stack()))
				s.changed = true
			}
		}
	}()
	return s.patcher.Cluster(res.name, res.body, s.proxy, func(name string) Endpoints {
		return s.endpoints(name, res.name)
	}), true
}

// keepPlain notes what of a response may have to be sent once more and stands nowhere
// else: Consul's clusters beside ours.
func (p *pendingAnswer) keepPlain(resp *response, remembered map[string]*cluster) {
	if !slices.ContainsFunc(resp.resources, func(r resource) bool { return isPatched(r.version) }) {
		return
	}
	p.removed, p.rest, p.plain = resp.removed, resp.rest, map[string]resource{}
	for _, res := range resp.resources {
		if remembered[res.name] == nil {
			p.plain[res.name] = res
		}
	}
}
