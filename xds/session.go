package xds

import (
	"cmp"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// session is the state machine between one Envoy and Consul. Its on... methods
// take one event each and leave what is to be sent in down and up, in order. It
// is used by one goroutine, knows no time and does no I/O.
//
// What it guarantees is in docs/relay.md; the tests' model holds it to it.
type session struct {
	// What stays for the life of Envoy's stream.
	node  *corev3.Node // without its extensions
	types map[string]*typeState
	order []string // the types in the order in which they were first seen

	// What decides on the patches, and what was made so far.
	patcher Patcher
	proxy   Proxy
	forms   *forms

	// asking is the cluster that the Patcher is being asked about, endpoints what it is
	// told of endpoints then.
	asking    *known
	endpoints func(name string) Endpoints

	// loose are origins of which what is kept is not small yet. See keeper.
	loose []loose

	// The endpoints that we subscribe to ourselves, by resource name; those that no
	// cluster depends on any more, that Consul has not been asked for yet, and that
	// Envoy may have to be sent.
	held               map[string]*heldEndpoints
	unwatched, unasked []string
	owing              map[*known]bool

	// What Envoy must still answer, by the nonce it was given.
	pending map[string]*pendingAnswer
	nonces  uint64

	// This generation, that is, this attachment to Consul.
	generation int
	attached   bool
	greeted    bool // the node has been sent

	// holding is Envoy's first clusters, kept back until the endpoints are known
	// that decide on the form of some of them.
	holding *response

	// parting are responses that wait a moment, whole and unanswered, by type; ways
	// are the server names by which a listener leads to clusters. See parts.
	parting map[string]*response
	ways    map[string]map[string]bool

	// relisted says that Envoy was sent a listener that Consul changed, in this stream.
	relisted bool

	// reread says that the Patcher wants a cluster changed that Envoy brought along and
	// that this generation has not asked for.
	reread bool

	// lingering are patches that are kept although Consul's form may replace them,
	// with the ticks that this has lasted. See Verdict.Linger.
	lingering map[*known]int

	// misled says that Consul is wrong about what Envoy has: it refused what this
	// generation had told Consul that it has, because it was on its way.
	misled bool

	// failures are for the log.
	failures []string

	// Outboxes.
	down []push
	up   []*discoveryv3.DeltaDiscoveryRequest
}

// push is a response for Envoy, and why it is sent: a label of a metric.
type push struct {
	*response
	cause cause
}

type cause string

// The causes of pushes.
const (
	causeConsul    cause = "consul"    // Consul sent it
	causeTable     cause = "table"     // another Patcher
	causeEndpoints cause = "endpoints" // Consul's endpoints came or went
	causeAnswer    cause = "answer"    // Envoy asked for what we hold
	causeContain   cause = "contain"   // Envoy refused a form of ours
)

// newSession makes the session of an Envoy that has just connected.
func newSession(node *corev3.Node, proxy Proxy, patcher Patcher, forms *forms) *session {
	s := &session{
		node:      node,
		types:     map[string]*typeState{},
		patcher:   patcher,
		proxy:     proxy,
		forms:     forms,
		held:      map[string]*heldEndpoints{},
		owing:     map[*known]bool{},
		pending:   map[string]*pendingAnswer{},
		parting:   map[string]*response{},
		ways:      map[string]map[string]bool{},
		lingering: map[*known]int{},
	}
	s.endpoints = s.endpointsOf
	return s
}

// onPatcher puts another Patcher in force. Only what it may decide otherwise is judged
// again: what the subjects concern, unless it is all.
func (s *session) onPatcher(p Patcher, subjects []string, all bool) {
	s.patcher = p
	affected := make(map[word]bool, len(subjects))
	for _, subject := range subjects {
		affected[newWord(subject)] = true
	}
	for _, url := range pushOrder {
		t := s.typed(url)
		for _, k := range t.known {
			// What an unread listener depends on is not known.
			if all || k.unread || k.concerns(affected) {
				t.touch(k, causeTable)
				s.wantRead(t, k)
			}
		}
	}
	s.settle()
}

// unread notes that Envoy has a resource whose form at Consul is not known.
func (s *session) unread(t *typeState, k *known) {
	if t.url != typeCluster && t.url != typeListener {
		return
	}
	k.unread, k.asked = true, false
	s.wantRead(t, k)
}

// wantRead notes whether the Patcher wants a resource changed whose form at Consul is
// not known. Route configurations are none: those Consul sends again at each attachment.
func (s *session) wantRead(t *typeState, k *known) {
	if k.unread && !k.asked && (isPatched(k.version.String()) || s.patcher.Candidate(t.url, k.name.String(), s.proxy)) {
		s.reread = true
	}
}

// onAttached begins a generation: a stream to Consul is open.
func (s *session) onAttached() {
	s.attached = true
	for _, url := range attachOrder {
		if t := s.types[url]; t != nil {
			s.open(t)
		}
	}
	for _, url := range s.order {
		s.open(s.types[url]) // those not opened yet
	}
}

// onLost ends the generation: the stream to Consul is gone, and with it all that
// it was still to be told.
func (s *session) onLost() {
	s.attached = false
	s.greeted = false
	s.generation++
	s.holding, s.parting = nil, map[string]*response{}
	s.misled, s.reread = false, false
	s.up = nil
	for _, t := range s.types {
		t.opened, t.answered, t.anew = false, false, nil
		s.answered(t)
	}
	for _, url := range pushOrder {
		for _, k := range s.typed(url).known {
			k.asked = false
		}
	}
}

// wantsReattach reports that only another attachment can mend what Consul or the
// session believes: about clusters whose form the session does not know although
// the Patcher may want them changed (Consul answers no subscription to a single
// cluster, 1.22.5: silence; in a first request they have an empty version), or
// about what Envoy has.
func (s *session) wantsReattach() bool {
	return s.misled || s.live() && s.reread
}

// typed is the state of a type, made at first sight.
func (s *session) typed(url string) *typeState {
	t := s.types[url]
	if t == nil {
		t = newTypeState(url)
		s.types[url] = t
		s.order = append(s.order, url)
	}
	return t
}

// know is what the session knows of a resource, made at first sight.
func (s *session) know(t *typeState, name string) *known {
	k := t.known[name]
	if k == nil {
		k = &known{name: newWord(name)}
		t.known[k.name.String()] = k
		if t.url == typeCluster {
			k.subject = newWord(s.patcher.Subject(name))
		}
	}
	return k
}

// tidy forgets a resource of which there is nothing to know.
func (s *session) tidy(t *typeState, k *known) {
	if name := k.name.String(); k.blank() && t.known[name] == k {
		delete(t.known, name)
	}
}

// open asks Consul for a type for the first time in this generation. Consul takes
// an empty list for "all of them" for the stream's life, so a type of which only
// names are wanted is not opened before there is one.
func (s *session) open(t *typeState) {
	if !s.attached || t.opened {
		return
	}
	names := t.wanted(s.heldNames(t.url))
	if !t.wildcard && len(names) == 0 {
		return
	}
	t.opened = true
	req := &discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:                 t.url,
		ResourceNamesSubscribe:  names,
		InitialResourceVersions: make(map[string]string, len(t.known)),
	}
	for name, k := range t.known {
		k.told, k.again = word{}, false
		if !k.has {
			continue
		}
		version := k.version
		// With an empty version Consul sends the resource again, or says that it is
		// gone. A name left out it would never mention.
		if isPatched(version.String()) || s.rereads(t, k) {
			version = word{}
			k.asked = k.unread
		}
		req.InitialResourceVersions[name] = version.String()
		k.told, k.again = cmp.Or(version, somehow), version == word{}
	}
	for _, name := range names {
		if k := t.known[name]; k != nil && k.has {
			k.repeat = true
		}
	}
	s.send(req)
}

// rereads reports whether Consul is to send a resource again because the Patcher may
// want it changed. A listener's name does not say so: it is read again only if it has
// not been seen.
func (s *session) rereads(t *typeState, k *known) bool {
	switch t.url {
	case typeCluster:
	case typeListener:
		if !k.unread {
			return false
		}
	default:
		return false
	}
	return s.patcher.Candidate(t.url, k.name.String(), s.proxy)
}

// send puts a request into the outbox; the generation's first carries the node.
func (s *session) send(req *discoveryv3.DeltaDiscoveryRequest) {
	if !s.attached {
		return
	}
	if !s.greeted {
		s.greeted = true
		req.Node = s.node
	}
	s.up = append(s.up, req)
}

// settle brings Envoy to where the Patcher and Consul's endpoints want it, as far
// as that may be done now. It ends every event.
func (s *session) settle() {
	s.release()
	s.pushAll()
	s.pushEndpoints()
	s.dropUnwatched()
	s.askAnew()
}

// askAnew asks Consul once more for what Envoy, or a cluster, still needs, but not while
// it has a response of the type unanswered: with the answer it takes all that was in that
// response for delivered, and forgets that it was asked for it meanwhile (1.22.5).
func (s *session) askAnew() {
	for _, url := range s.order {
		t := s.types[url]
		if len(t.anew) == 0 || !t.opened || s.waits(t) {
			continue
		}
		names := slices.DeleteFunc(t.anew, func(name string) bool { return !s.lacking(t, name) })
		t.anew = nil
		for _, name := range names {
			if k := t.known[name]; k != nil && k.has {
				k.repeat = true
			}
		}
		if slices.Sort(names); len(names) > 0 {
			s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResourceNamesSubscribe: slices.Compact(names)})
		}
	}
}

// lacking reports whether Consul has to send a resource that is asked for by name.
func (s *session) lacking(t *typeState, name string) bool {
	if s.holds(t.url, name) {
		return !s.held[name].told
	}
	k := t.known[name]
	return k != nil && k.wanted && k.needs
}

// waits reports whether Envoy has yet to answer a response of Consul's.
func (s *session) waits(t *typeState) bool {
	for _, p := range s.pending {
		if p.url == t.url && p.upstream != "" && p.generation == s.generation {
			return true
		}
	}
	return false
}

// live reports whether pushes of our own are allowed: only while Consul has
// answered for clusters in this generation, which it does for no revoked token.
func (s *session) live() bool {
	t := s.types[typeCluster]
	return s.attached && t != nil && t.answered && s.holding == nil
}
