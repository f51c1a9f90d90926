package xds

import (
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
)

// pendingAnswer is a response that Envoy has been given and not answered.
type pendingAnswer struct {
	number     uint64 // its nonce's
	url        string
	generation int
	upstream   string // Consul's nonce; empty for a push of our own
	sent       []sentResource

	// response is what was sent, for contain: only of Consul's with something of ours.
	response *response
}

// sentResource is one resource of a response, or one that it took away.
type sentResource struct {
	*known
	gone    bool
	version word
	before  word // the version that Envoy had; empty: none
}

// ours reports whether it is in a form of ours.
func (r sentResource) ours() bool { return !r.gone && isPatched(r.version.String()) }

// news reports whether Envoy had another form of Consul's, or none.
func (r sentResource) news() bool {
	return !r.gone && consulsVersion(r.version.String()) != consulsVersion(r.before.String())
}

// last reports whether no later response carried the resource, or took it away.
func (p *pendingAnswer) last(r *sentResource) bool { return r.in == p.number }

// forward sends a response to Envoy under a nonce of ours and notes what it
// carries. upstream is Consul's nonce, empty for a push of our own.
func (s *session) forward(resp *response, upstream string, why cause) {
	s.nonces++
	resp.nonce = "lm-" + strconv.FormatUint(s.nonces, 10)
	t := s.typed(resp.typeURL)
	t.served = true
	p := &pendingAnswer{
		number:     s.nonces,
		url:        resp.typeURL,
		generation: s.generation,
		upstream:   upstream,
		sent:       make([]sentResource, 0, len(resp.resources)+len(resp.removed)),
	}
	for i := range resp.resources {
		res := &resp.resources[i]
		k := res.known
		if k == nil {
			k = s.know(t, res.name)
		}
		version := k.told.to(res.version)
		p.sent = append(p.sent, sentResource{known: k, version: version, before: k.sent(version, p.number)})
	}
	for _, name := range resp.removed {
		k := s.know(t, name)
		p.sent = append(p.sent, sentResource{known: k, gone: true, before: k.version})
		delete(t.rejected, name)
		k.forget()
		k.in = p.number
	}
	if upstream != "" && slices.ContainsFunc(p.sent, sentResource.ours) {
		p.response = resp
	}
	s.pending[resp.nonce] = p
	if upstream == "" {
		t.pushing = resp.nonce
	}
	s.noteParents(resp, p)
	s.down = append(s.down, push{resp, why})
}

// acknowledge answers Consul for Envoy: nothing of the response concerns it.
func (s *session) acknowledge(resp *response) {
	s.answered(s.typed(resp.typeURL))
	s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.typeURL, ResponseNonce: resp.nonce})
}

// answer takes Envoy's answer to a response. It returns the nonce under which
// Consul is to get it: empty if Consul is not owed one.
func (s *session) answer(nonce string, refusal *status.Status) (upstream string) {
	p := s.pending[nonce]
	if p == nil {
		return ""
	}
	delete(s.pending, nonce)
	t := s.typed(p.url)
	if t.pushing == nonce {
		t.pushing = ""
	}
	for i := range p.sent {
		r := &p.sent[i]
		if refusal == nil {
			s.taken(t, r)
		} else {
			s.refused(t, p, r, refusal)
		}
	}
	contained := refusal != nil && s.contain(p, refusal.GetMessage())
	if !contained && p.generation == s.generation && s.attached {
		upstream = p.upstream
	}
	if upstream != "" {
		if refusal != nil {
			s.unhear(t)
		}
		s.answered(t)
	}
	for i := range p.sent {
		r := &p.sent[i]
		if !contained && p.last(r) {
			s.mislead(t, r.known)
		}
		if p.last(r) && r.gone {
			r.in = 0
		}
		s.tidy(t, r.known)
	}
	return upstream
}

// unhear notes that Consul's response is refused: Consul will send what was in it again,
// if it is still there.
func (s *session) unhear(t *typeState) {
	for _, k := range t.heard {
		k.unhear()
		s.mislead(t, k)
	}
}

// mislead notes whether Consul is wrong about what Envoy has.
func (s *session) mislead(t *typeState, k *known) {
	if s.attached && t.opened && t.wildcard && k.misleads() {
		s.misled = true
	}
}

// taken notes that Envoy took a resource.
func (s *session) taken(t *typeState, r *sentResource) {
	version := r.version
	if t.rejected[r.name.String()].version == version {
		delete(t.rejected, r.name.String())
	}
	if o := r.origin; o != nil && r.ours() && o.final().version == version {
		o.place().taken = o.final()
	}
}

// refused notes that Envoy refused a response, of which this is one resource.
func (s *session) refused(t *typeState, p *pendingAnswer, r *sentResource, refusal *status.Status) {
	if s.correct(p, r) && t.url == typeListener {
		routes := s.typed(typeRoute)
		routes.anew = append(routes.anew, s.needRoutes()...)
	}
	if r.origin != nil {
		t.touch(r.known, causeContain)
	}
	if p.last(r) {
		s.restore(t, p, r, refusal)
	}
}

// restore notes that Envoy still has what it had of a resource: it refused the last
// response that carried it, and a response is refused as a whole.
func (s *session) restore(t *typeState, p *pendingAnswer, r *sentResource, refusal *status.Status) {
	r.has, r.known.version = r.before != word{}, r.before
	switch {
	case r.gone && t.wildcard:
		s.unread(t, r.known) // it was forgotten when Consul removed it
	case t.url == typeListener:
		r.unread, r.asked = r.has, false // what is remembered is what it refused
	}
	if !t.wildcard && !r.gone {
		s.need(t, r.known)
		if (p.upstream == "" || p.generation != s.generation) && !s.holds(p.url, r.name.String()) {
			// We have no copy, and Consul does not know of the refusal.
			t.anew = append(t.anew, r.name.String())
			return
		}
	}
	if p.upstream == "" && !r.ours() {
		t.rejected[r.name.String()] = rejection{version: r.version, text: safeText(refusal.GetMessage())}
	}
}

// correct rewrites what later responses, sent on top of one that Envoy refused, take
// for what it had. It reports whether there is one.
func (s *session) correct(p *pendingAnswer, refused *sentResource) (corrected bool) {
	for _, later := range s.pending {
		if later.url != p.url {
			continue
		}
		for i := range later.sent {
			if r := &later.sent[i]; r.known == refused.known && r.before == refused.version {
				r.before, corrected = refused.before, true
			}
		}
	}
	return corrected
}

// noteParents notes which resources Envoy needs again because it is being sent
// what refers to them: it warms a changed cluster with new endpoints, a changed
// listener with new routes, also if their version is the one it has. What we change on a
// listener ourselves lets it keep the routes that it has.
func (s *session) noteParents(resp *response, p *pendingAnswer) {
	switch resp.typeURL {
	case typeCluster:
		endpoints := s.typed(typeEndpoint)
		for i := range resp.resources {
			if k := endpoints.known[resp.resources[i].name]; endpoints.subscribed(k) {
				s.need(endpoints, k)
			}
		}
	case typeListener:
		for _, res := range resp.resources {
			if names := s.serverNames(res.body); len(names) > 0 {
				s.ways[res.name] = names
			} else {
				delete(s.ways, res.name)
			}
		}
		for _, name := range resp.removed {
			delete(s.ways, name)
		}
		if slices.ContainsFunc(p.sent, sentResource.news) {
			s.relisted = true
			routes := s.typed(typeRoute)
			if names := s.needRoutes(); p.upstream == "" { // Envoy refused it from Consul
				routes.anew = append(routes.anew, names...)
			}
		}
	}
}

// needRoutes notes that Envoy needs all its routes again.
func (s *session) needRoutes() (names []string) {
	t := s.typed(typeRoute)
	for name, k := range t.known {
		if k.wanted {
			s.need(t, k)
			names = append(names, name)
		}
	}
	return names
}

// isOurs reports whether a response that Envoy has not answered holds anything of
// ours.
func (s *session) isOurs(nonce string) bool {
	p := s.pending[nonce]
	return p != nil && (p.upstream == "" || slices.ContainsFunc(p.sent, sentResource.ours))
}
