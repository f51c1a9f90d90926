package xds

import discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

// onRequest takes a request of Envoy's. It is split: the answer in it goes to
// Consul only if Consul is owed it in this generation; the subscriptions always
// do, in a request of their own where there is no answer to go with or where it
// is a refusal (Consul reads no further in one).
func (s *session) onRequest(req *discoveryv3.DeltaDiscoveryRequest) {
	t := s.typed(req.GetTypeUrl())
	if req.GetErrorDetail() == nil {
		s.forgive()
	}
	if !t.asked {
		s.firstRequest(t, req)
		s.settle()
		return
	}
	subscribe, unsubscribe := s.subscriptions(t, req)
	if req.GetResponseNonce() != "" {
		if upstream := s.answer(req.GetResponseNonce(), req.GetErrorDetail()); upstream != "" {
			answer := &discoveryv3.DeltaDiscoveryRequest{
				TypeUrl:       t.url,
				ResponseNonce: upstream,
				ErrorDetail:   req.GetErrorDetail(),
			}
			if req.GetErrorDetail() == nil {
				answer.ResourceNamesSubscribe, subscribe = subscribe, nil
				answer.ResourceNamesUnsubscribe, unsubscribe = unsubscribe, nil
			}
			s.send(answer)
		}
	}
	if len(subscribe)+len(unsubscribe) > 0 {
		s.send(&discoveryv3.DeltaDiscoveryRequest{
			TypeUrl:                  t.url,
			ResourceNamesSubscribe:   subscribe,
			ResourceNamesUnsubscribe: unsubscribe,
		})
	}
	s.settle()
}

// forgive lets what Consul wrote and Envoy refused from us be sent once more, as
// Consul does at the next request. What we wrote stays refused.
func (s *session) forgive() {
	for _, t := range s.types {
		for name, r := range t.rejected {
			if r.version != "" && !isPatched(r.version) {
				delete(t.rejected, name)
				s.touch(causeConsul)
			}
		}
	}
}

// firstRequest takes the first request of a type in Envoy's stream: what it wants
// and what it has.
func (s *session) firstRequest(t *typeState, req *discoveryv3.DeltaDiscoveryRequest) {
	t.asked = true
	for name, version := range req.GetInitialResourceVersions() {
		t.has[name] = version
	}
	names := req.GetResourceNamesSubscribe()
	if len(names) == 0 || len(names) == 1 && names[0] == "*" {
		t.wildcard = true
	}
	var subscribe []string
	if !t.wildcard {
		for _, name := range names {
			t.names[name] = true
			_, has := t.has[name]
			// Endpoints of a cluster that is warming are needed whatever version
			// Envoy remembers; of all else the version says what it has.
			if t.url == typeEndpoint || !has {
				t.needs[name] = true
			}
			if !s.holds(t.url, name) {
				subscribe = append(subscribe, name)
			}
		}
	}
	switch t.url {
	case typeCluster:
		_, s.proxy.LocalApp = t.has[localApp]
		for name := range t.has {
			s.unread[name] = false
		}
	case typeListener:
		s.touch(causeEndpoints) // see pushClusters
	}
	if !t.opened {
		s.open(t)
	} else if len(subscribe) > 0 {
		s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.url, ResourceNamesSubscribe: subscribe})
	}
}

// subscriptions takes what Envoy adds and drops, and returns what of it Consul
// must hear: a name that we hold is answered from our copy, and one that we still
// want stays subscribed.
func (s *session) subscriptions(t *typeState, req *discoveryv3.DeltaDiscoveryRequest) (subscribe, unsubscribe []string) {
	for _, name := range req.GetResourceNamesUnsubscribe() {
		delete(t.names, name)
		if !t.wildcard {
			t.forget(name)
		}
		if !s.holds(t.url, name) {
			unsubscribe = append(unsubscribe, name)
		}
	}
	for _, name := range req.GetResourceNamesSubscribe() {
		t.names[name] = true
		t.needs[name] = true
		if !s.holds(t.url, name) {
			subscribe = append(subscribe, name)
		}
	}
	if !t.opened && len(t.names) > 0 {
		s.open(t) // the first names of this generation: all of them go in one request
		return nil, nil
	}
	return subscribe, unsubscribe
}
