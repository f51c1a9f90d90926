package xds

// onResponse takes a response of Consul's. It is answered exactly once: by us if
// nothing of it concerns Envoy, else when Envoy answers.
func (s *session) onResponse(resp *response) {
	s.typed(resp.typeURL).answered = true
	if s.parts(resp) {
		s.parting[resp.typeURL] = resp
		return
	}
	s.take(resp)
	s.settle()
}

// take sends Envoy what of a response concerns it.
func (s *session) take(resp *response) {
	t := s.typed(resp.typeURL)
	s.hear(t, resp)
	switch resp.typeURL {
	case typeCluster:
		s.onClusters(resp)
	case typeEndpoint:
		s.onEndpoints(resp)
	case typeListener, typeRoute:
		s.onOther(t, resp)
	default:
		s.pass(resp, resp.only(t.due))
	}
}

// hear notes what is in a response of Consul's, and what Consul will take Envoy to have
// when it is answered.
func (s *session) hear(t *typeState, resp *response) {
	t.heard = make([]*known, 0, len(resp.resources)+len(resp.removed))
	for i := range resp.resources {
		res := &resp.resources[i]
		res.known = s.know(t, res.name)
		res.known.hear(res.version)
		t.heard = append(t.heard, res.known)
	}
	for _, name := range resp.removed {
		k := s.know(t, name)
		k.hear("")
		t.heard = append(t.heard, k)
	}
}

// answered notes that Consul has its answer.
func (s *session) answered(t *typeState) {
	for _, k := range t.heard {
		k.unanswered = false
		s.tidy(t, k)
	}
	t.heard = nil
}

// only is the response with those of its resources that are to stay, in the same
// memory.
func (r *response) only(stays func(*resource) bool) *response {
	left := *r
	left.resources = r.resources[:0]
	for i := range r.resources {
		if res := &r.resources[i]; stays(res) {
			left.resources = append(left.resources, *res)
		}
	}
	return &left
}

// due reports whether Envoy is to get a resource of Consul's. Consul sends an
// unchanged version on purpose where Envoy needs it to warm its parent, so such a
// repeat is kept back only if we caused it and Envoy does not need it.
func (t *typeState) due(res *resource) bool {
	k := res.known
	if !t.subscribed(k) {
		return false
	}
	unchanged := k.has && k.version.String() == res.version
	if t.wildcard {
		return !unchanged
	}
	repeat := k.repeat
	k.repeat = false
	return !unchanged || !repeat || k.needs
}

// pass sends Envoy what is left of a response of Consul's. If nothing is left, or
// Consul only says once more that it has nothing, we acknowledge it ourselves.
func (s *session) pass(resp, left *response) {
	t := s.typed(resp.typeURL)
	if len(left.resources)+len(left.removed) == 0 && (len(resp.resources) > 0 || t.served || !t.asked) {
		s.acknowledge(resp)
		return
	}
	s.forward(left, resp.nonce, causeConsul)
}
