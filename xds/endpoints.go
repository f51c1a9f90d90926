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
	copy     kept
	version  word
	told     bool     // Consul has sent it
	watchers []*known // clusters that depend on it
}

// body is the encoded ClusterLoadAssignment.
func (h *heldEndpoints) body() []byte { return h.copy.resource().body }

// onEndpoints takes endpoints of Consul's. A cluster whose form follows from them
// goes to Envoy before they do: the other way round calls are lost in between
// (measured: 3 to 5 of a steady stream).
func (s *session) onEndpoints(resp *response) {
	t := s.typed(typeEndpoint)
	left := resp.only(func(res *resource) bool {
		h := s.held[res.name]
		if h == nil {
			return t.due(res)
		}
		s.copied(h, res)
		return false
	})
	s.release()
	s.pushAll()
	s.pass(resp, left)
}

// copied takes endpoints that we hold.
func (s *session) copied(h *heldEndpoints, res *resource) {
	version := h.version.to(res.version)
	changed := !h.told || h.version != version
	h.copy, h.version, h.told = keepAll(res.raw()), version, true
	if changed {
		clusters := s.typed(typeCluster)
		for _, k := range h.watchers {
			clusters.touch(k, causeEndpoints)
		}
	}
	s.owe(s.typed(typeEndpoint).known[res.name])
}

// endpointsOf tells the Patcher what is known of an endpoints resource on which the
// form depends of the cluster that it is asked about. Until Consul has told, and until Envoy has asked for
// listeners, a cluster keeps the form in which Envoy has it.
func (s *session) endpointsOf(name string) Endpoints {
	k := s.asking
	if h := s.held[name]; h != nil && h.told && (!k.has || s.listening()) {
		return s.patcher.Endpoints(h.body())
	}
	switch {
	case !k.has:
		return EndpointsUnknown
	case isPatched(k.version.String()):
		return EndpointsNone
	}
	return EndpointsSome
}

// rewatch notes on which endpoints a cluster depends now; empty for none.
func (s *session) rewatch(k *known, name string) {
	o := k.origin
	if was := o.watch.String(); was != name {
		if h := s.held[was]; h != nil {
			h.watchers = slices.DeleteFunc(h.watchers, func(other *known) bool { return other == k })
			if len(h.watchers) == 0 {
				s.unwatched = append(s.unwatched, was)
			}
		}
		o.watch = newWord(name)
		if h := s.hold(name); h != nil {
			h.watchers = append(h.watchers, k)
		}
	}
	s.owe(s.typed(typeEndpoint).known[name])
}

// hold makes room for endpoints that a cluster watches; nil for none.
func (s *session) hold(name string) *heldEndpoints {
	if name == "" {
		return nil
	}
	h := s.held[name]
	if h == nil {
		h = &heldEndpoints{}
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
	if len(names) == 0 {
		return
	}
	t := s.typed(typeEndpoint)
	if !t.opened {
		s.open(t)
		return
	}
	now := slices.DeleteFunc(names, func(name string) bool { return t.defers(t.known[name]) })
	if slices.Sort(now); len(now) > 0 {
		s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesSubscribe: now})
	}
}

// undecided reports whether the form of a cluster depends on endpoints that
// Consul has not told yet.
func (s *session) undecided() bool {
	for _, h := range s.held {
		if !h.told && len(h.watchers) > 0 {
			return true
		}
	}
	return false
}

// need notes that Envoy needs a resource's next delivery whatever its version.
func (s *session) need(t *typeState, k *known) {
	k.needs = true
	if t.url == typeEndpoint {
		s.owe(k)
	}
}

// owe notes that Envoy may have to be sent endpoints from our copy.
func (s *session) owe(k *known) {
	if k != nil && s.held[k.name.String()] != nil {
		s.owing[k] = true
	}
}

// pushEndpoints sends Envoy, from our copies, the endpoints that it subscribes to
// and lacks. Not those of a cluster that is patched: Envoy is about to drop them,
// and emptied at once they would fail its last calls.
func (s *session) pushEndpoints() {
	t := s.typed(typeEndpoint)
	if len(s.owing) == 0 || !s.live() || t.pushing != "" {
		return
	}
	owing := slices.SortedFunc(maps.Keys(s.owing), byName)
	clear(s.owing)
	out := &response{typeURL: typeEndpoint}
	for _, k := range owing {
		h := s.held[k.name.String()]
		if h != nil && h.needed() && t.rejected[k.name.String()].version != h.version && t.owed(h, k) {
			out.resources = append(out.resources, h.copy.resource())
		}
	}
	if len(out.resources) > 0 {
		s.forward(out, "", causeAnswer)
	}
}

// owed reports whether Envoy subscribes to a resource of which we have a copy, and
// lacks it.
func (t *typeState) owed(h *heldEndpoints, k *known) bool {
	return h.told && t.subscribed(k) && (k.needs || !k.has || k.version != h.version)
}

// needed reports whether a cluster uses the endpoints.
func (h *heldEndpoints) needed() bool {
	return slices.ContainsFunc(h.watchers, func(k *known) bool { return k.origin.final().form == nil })
}

// dropUnwatched gives up endpoints that no cluster depends on any more. Consul
// serves Envoy from then on, and is asked once more for what Envoy is owed.
func (s *session) dropUnwatched() {
	names := s.unwatched
	s.unwatched = nil
	slices.Sort(names)
	t := s.typed(typeEndpoint)
	for _, name := range slices.Compact(names) {
		h := s.held[name]
		if h == nil || len(h.watchers) > 0 {
			continue
		}
		delete(s.held, name)
		k := t.known[name]
		switch {
		case !t.opened:
		case !t.subscribed(k):
			s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesUnsubscribe: []string{name}})
		case k != nil && t.owed(h, k):
			k.needs = true // perhaps only for a newer version, which Consul has told us already
			t.anew = append(t.anew, name)
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
	return slices.Collect(maps.Keys(s.held))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
