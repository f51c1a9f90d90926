package xds

import (
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// heldEndpoints are endpoints that we subscribe to because the form of a cluster
// depends on them: an Envoy that has our form of the cluster does not ask for
// them. While we hold them, Envoy gets them from this copy alone.
type heldEndpoints struct {
	copy     resource        // its raw is nil until Consul has sent it
	watchers map[string]bool // clusters that depend on it; true: in a form of ours
}

// onEndpoints takes endpoints of Consul's. A cluster whose form follows from them
// goes to Envoy before they do: the other way round calls are lost in between
// (measured: 3 to 5 of a steady stream).
func (s *session) onEndpoints(resp *response) {
	t := s.typed(typeEndpoint)
	out := &response{typeURL: resp.typeURL, removed: resp.removed, rest: resp.rest}
	for _, res := range resp.resources {
		if h := s.held[res.name]; h != nil {
			if h.copy.raw == nil || h.copy.version != res.version {
				s.touch(causeEndpoints)
			}
			h.copy = res.clone()
			continue
		}
		if t.due(res) {
			out.resources = append(out.resources, res)
		}
	}
	s.release()
	s.pushClusters()
	s.pass(resp, out)
}

// endpoints tells the Patcher what is known of an endpoints resource on which the
// form of a cluster depends. Until Consul has told, and until Envoy has asked for
// listeners, a cluster keeps the form in which Envoy has it.
func (s *session) endpoints(name, cluster string) Endpoints {
	had, has := s.typed(typeCluster).has[cluster]
	if h := s.held[name]; h != nil && h.copy.raw != nil && (!has || s.listening()) {
		return s.patcher.Endpoints(h.copy.body)
	}
	switch {
	case !has:
		return EndpointsUnknown
	case isPatched(had):
		return EndpointsNone
	}
	return EndpointsSome
}

// hold makes room for endpoints that a cluster watches; nil for none.
func (s *session) hold(name string) *heldEndpoints {
	if name == "" {
		return nil
	}
	h := s.held[name]
	if h == nil {
		h = &heldEndpoints{watchers: map[string]bool{}}
		s.held[name] = h
		s.unasked = append(s.unasked, name)
	}
	return h
}

// watch asks Consul for the endpoints that have come to be held. Consul is asked
// again for those that Envoy subscribes to already: it then repeats them.
func (s *session) watch() {
	names := s.unasked
	s.unasked = nil
	if t := s.typed(typeEndpoint); !t.opened {
		s.open(t)
	} else if len(names) > 0 {
		s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesSubscribe: names})
	}
}

func (s *session) unwatch(cluster, name string) {
	if h := s.held[name]; h != nil {
		delete(h.watchers, cluster)
	}
}

// undecided reports whether the form of a cluster depends on endpoints that
// Consul has not told yet.
func (s *session) undecided() bool {
	for _, h := range s.held {
		if h.copy.raw == nil && len(h.watchers) > 0 {
			return true
		}
	}
	return false
}

// pushEndpoints sends Envoy, from our copies, the endpoints that it subscribes to
// and lacks. Not those of a cluster that is patched: Envoy is about to drop them,
// and emptied at once they would fail its last calls.
func (s *session) pushEndpoints() {
	t := s.typed(typeEndpoint)
	if !s.live() || t.pushing != "" {
		return
	}
	out := &response{typeURL: typeEndpoint}
	for _, name := range sortedKeys(s.held) {
		if h := s.held[name]; h.needed() && t.rejected[name].version != h.copy.version && t.owed(h.copy, name) {
			out.resources = append(out.resources, h.copy)
		}
	}
	if len(out.resources) > 0 {
		s.forward(out, "", causeAnswer)
	}
}

// owed reports whether Envoy subscribes to a resource of which we have a copy, and
// lacks it.
func (t *typeState) owed(copy resource, name string) bool {
	return copy.raw != nil && t.subscribed(name) && (t.needs[name] || t.has[name] != copy.version)
}

// needed reports whether a cluster uses the endpoints.
func (h *heldEndpoints) needed() bool {
	for _, patched := range h.watchers {
		if !patched {
			return true
		}
	}
	return false
}

// dropUnwatched gives up endpoints that no cluster depends on any more. Consul
// serves Envoy from then on, and is asked once more for what Envoy is owed.
func (s *session) dropUnwatched() {
	t := s.typed(typeEndpoint)
	for _, name := range sortedKeys(s.held) {
		h := s.held[name]
		if len(h.watchers) > 0 {
			continue
		}
		delete(s.held, name)
		switch {
		case !t.opened:
		case !t.subscribed(name):
			s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesUnsubscribe: []string{name}})
		case t.owed(h.copy, name):
			s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesSubscribe: []string{name}})
		}
	}
}

// holds reports whether Consul sends us a resource whether or not Envoy wants it.
func (s *session) holds(url, name string) bool {
	return url == typeEndpoint && s.held[name] != nil
}

func (s *session) heldNames(url string) []string {
	if url != typeEndpoint {
		return nil
	}
	return sortedKeys(s.held)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
