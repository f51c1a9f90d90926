package xds

import (
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
)

// pendingAnswer is a response that Envoy has been given and not answered.
type pendingAnswer struct {
	url        string
	generation int
	upstream   string            // Consul's nonce; empty for a push of our own
	versions   map[string]string // what Envoy was sent; empty: removed
	before     map[string]string // what it had of these; empty: nothing

	// For contain; only of a response with something of ours.
	plain   map[string]resource
	removed []string
	rest    []byte
}

// forward sends a response to Envoy under a nonce of ours and notes what it
// carries. upstream is Consul's nonce, empty for a push of our own.
func (s *session) forward(resp *response, upstream string, why cause) {
	s.nonces++
	resp.nonce = "lm-" + strconv.FormatUint(s.nonces, 10)
	t := s.typed(resp.typeURL)
	t.served = true
	p := &pendingAnswer{
		url:        resp.typeURL,
		generation: s.generation,
		upstream:   upstream,
		versions:   make(map[string]string, len(resp.resources)),
		before:     make(map[string]string, len(resp.resources)),
	}
	for _, res := range resp.resources {
		p.versions[res.name] = res.version
		p.before[res.name] = t.sent(res.name, res.version, resp.nonce)
	}
	for _, name := range resp.removed {
		p.versions[name], p.before[name] = "", t.has[name]
		t.forget(name)
		t.sentIn[name] = resp.nonce
	}
	if resp.typeURL == typeCluster && upstream != "" {
		p.keepPlain(resp, s.clusters)
	}
	s.pending[resp.nonce] = p
	if upstream == "" {
		t.pushing = resp.nonce
	}
	s.noteParents(resp)
	s.down = append(s.down, push{resp, why})
}

// acknowledge answers Consul for Envoy: nothing of the response concerns it.
func (s *session) acknowledge(resp *response) {
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
	for name, version := range p.versions {
		last := t.sentIn[name] == nonce
		if last && version == "" {
			delete(t.sentIn, name)
		}
		if refusal != nil {
			s.correct(p.url, name, version, p.before[name])
		}
		switch {
		case refusal == nil:
			if t.rejected[name].version == version {
				delete(t.rejected, name)
			}
			if c := s.clusters[name]; c != nil && p.url == typeCluster && isPatched(version) && c.final.version == version {
				c.taken = c.final
			}
		case last:
			// Refused as a whole: Envoy still has what it had.
			if p.before[name] == "" {
				delete(t.has, name)
			} else {
				t.has[name] = p.before[name]
			}
			if version == "" && p.url == typeCluster {
				s.unread[name] = false // forgotten when Consul removed it
			}
			if !t.wildcard && version != "" {
				t.needs[name] = true
				if p.upstream == "" && !s.holds(p.url, name) {
					// Our copy is gone, and Consul does not know of the refusal.
					s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: p.url, ResourceNamesSubscribe: []string{name}})
					continue
				}
			}
			if p.upstream == "" && !isPatched(version) {
				s.changed = true
				t.rejected[name] = rejection{version: version, text: safeText(refusal.GetMessage())}
			}
		case p.upstream != "":
			s.misled = s.attached // we sent another form since, and Envoy may well take that
		}
	}
	if refusal != nil && s.contain(p, refusal.GetMessage()) {
		return ""
	}
	if p.generation != s.generation || !s.attached {
		s.misled = s.misled || s.attached && refusal != nil && p.upstream != ""
		return ""
	}
	return p.upstream
}

// correct rewrites what later responses, sent on top of one that Envoy refused, take
// for what it had.
func (s *session) correct(url, name, refused, had string) {
	for _, later := range s.pending {
		if before, ok := later.before[name]; ok && later.url == url && before == refused {
			later.before[name] = had
		}
	}
}

// noteParents notes which resources Envoy needs again because it is being sent
// what refers to them: it warms a changed cluster with new endpoints, a changed
// listener with new routes, also if their version is the one it has.
func (s *session) noteParents(resp *response) {
	switch resp.typeURL {
	case typeCluster:
		endpoints := s.typed(typeEndpoint)
		for _, res := range resp.resources {
			if endpoints.subscribed(res.name) {
				endpoints.needs[res.name] = true
			}
		}
	case typeListener:
		for _, res := range resp.resources {
			s.ways[res.name] = s.serverNames(res.body)
		}
		for _, name := range resp.removed {
			delete(s.ways, name)
		}
		routes := s.typed(typeRoute)
		if len(resp.resources) > 0 {
			for name := range routes.names {
				routes.needs[name] = true
			}
		}
	}
}

// isOurs reports whether a response that Envoy has not answered holds anything of
// ours.
func (s *session) isOurs(nonce string) bool {
	p := s.pending[nonce]
	if p == nil {
		return false
	}
	for _, version := range p.versions {
		if isPatched(version) {
			return true
		}
	}
	return p.upstream == ""
}
