package xds

import (
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// onRequest takes a request of Envoy's. It is split: the answer in it goes to
// Consul only if Consul is owed it in this generation; the subscriptions always
// do, in a request of their own where there is no answer to go with or where it
// is a refusal (Consul reads no further in one).
func (s *session) onRequest(req *request) {
	t := s.typed(req.typeURL)
	if req.refusal == nil {
		s.forgive()
	}
	if !t.asked {
		s.firstRequest(t, req)
		s.settle()
		return
	}
	subscribe, unsubscribe := s.subscriptions(t, req)
	if req.nonce != "" {
		if upstream := s.answer(req.nonce, req.refusal); upstream != "" {
			answer := &discoveryv3.DeltaDiscoveryRequest{
				TypeUrl:       t.url,
				ResponseNonce: upstream,
				ErrorDetail:   req.refusal,
			}
			if req.refusal == nil {
				answer.ResourceNamesSubscribe, subscribe = subscribe, nil
				answer.ResourceNamesUnsubscribe, unsubscribe = unsubscribe, nil
			}
			s.send(answer)
		}
	}
	if len(subscribe)+len(unsubscribe)+len(req.rest) > 0 {
		s.send(withRest(&discoveryv3.DeltaDiscoveryRequest{
			TypeUrl:                  t.url,
			ResourceNamesSubscribe:   subscribe,
			ResourceNamesUnsubscribe: unsubscribe,
		}, req.rest))
	}
	s.settle()
}

// forgive lets what Consul wrote and Envoy refused from us be sent once more, as
// Consul does at the next request. What we wrote stays refused.
func (s *session) forgive() {
	for url, t := range s.types {
		for name, r := range t.rejected {
			if r.ours() {
				continue
			}
			delete(t.rejected, name)
			if k := t.known[name]; k == nil {
				continue
			} else if url == typeEndpoint {
				s.owe(k)
			} else {
				t.touch(k, causeConsul)
			}
		}
	}
}

// firstRequest takes the first request of a type in Envoy's stream: what it wants
// and what it has.
func (s *session) firstRequest(t *typeState, req *request) {
	t.asked = true
	for _, had := range req.initial {
		k := s.know(t, had.name)
		k.has, k.version = true, k.version.to(had.version)
	}
	names := req.subscribe
	if len(names) == 0 || slices.Contains(names, "*") {
		t.wildcard = true
	}
	var subscribe []string
	if !t.wildcard {
		for _, name := range names {
			k := s.know(t, name)
			k.wanted = true
			// Endpoints of a cluster that is warming are needed whatever version
			// Envoy remembers, and routes of a listener that has come before them; of
			// all else the version says what it has.
			if t.url == typeEndpoint || t.url == typeRoute && s.relisted || !k.has {
				s.need(t, k)
			}
			if !s.holds(t.url, name) {
				subscribe = append(subscribe, name)
			}
		}
	}
	switch t.url {
	case typeCluster:
		for _, k := range t.known {
			k.unread = k.has
		}
		app := t.known[localApp]
		s.proxy.LocalApp = app != nil && app.has
	case typeListener:
		for _, k := range t.known {
			k.unread = k.has
		}
		s.typed(typeCluster).touchAll(causeEndpoints) // see push
	}
	if !t.opened {
		s.open(t)
	} else if len(subscribe) > 0 {
		s.send(withRest(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.url, ResourceNamesSubscribe: subscribe}, req.rest))
	}
}

// subscriptions takes what Envoy adds and drops, and returns what of it Consul
// must hear: a name that we hold is answered from our copy, and one that we still
// want stays subscribed.
func (s *session) subscriptions(t *typeState, req *request) (subscribe, unsubscribe []string) {
	for _, name := range req.unsubscribe {
		if k := t.known[name]; k != nil {
			k.wanted = false
			if !t.wildcard {
				k.forget()
				s.drop(t, k)
				delete(t.rejected, name)
			}
			s.tidy(t, k)
		}
		if !s.holds(t.url, name) {
			unsubscribe = append(unsubscribe, name)
		}
	}
	for _, name := range req.subscribe {
		k := s.know(t, name)
		k.wanted = true
		s.need(t, k)
		if !s.holds(t.url, name) {
			subscribe = append(subscribe, name)
			t.defers(k)
		}
	}
	if !t.opened && len(t.names()) > 0 {
		s.open(t) // the first names of this generation: all of them go in one request
		return nil, nil
	}
	return subscribe, unsubscribe
}
