package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// session is the state machine between one Envoy and Consul. Its on... methods
// take one event each and leave what is to be sent in down and up, in order. It
// is used by one goroutine, knows no time and does no I/O.
//
// What it guarantees is in docs/architecture.md; the tests' model holds it to it.
type session struct {
	// What stays for the life of Envoy's stream.
	node  *corev3.Node // without its extensions
	types map[string]*typeState
	order []string // the types in the order in which they were first seen

	// What decides on the patches.
	patcher Patcher
	proxy   Proxy

	// The clusters that are patched, or might be.
	clusters map[string]*cluster

	// The endpoints that we subscribe to ourselves, by resource name.
	held map[string]*heldEndpoints

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

	// dirty says why the form of a cluster may have changed; empty when Envoy has
	// been sent all that follows from it.
	dirty cause

	// unread are clusters that Envoy brought along from an earlier stream and whose
	// form at Consul this session has not seen; true: asked for in this generation.
	unread map[string]bool

	// lingering are patches that are kept although Consul's form may replace them,
	// with the ticks that this has lasted. See Verdict.Linger.
	lingering map[string]int

	// misled says that Consul is wrong about what Envoy has: it refused a response of
	// an earlier generation after this one told Consul that it has what was in it, or
	// one on top of which we sent a form of ours.
	misled bool

	// unasked are held endpoints that Consul has not been asked for yet.
	unasked []string

	// quarantine are the forms of ours that Envoy refused, by cluster and patchHash.
	quarantine map[string]map[string]bool

	// changed says that state() would answer something new; failures are for the log.
	changed  bool
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
func newSession(node *corev3.Node, proxy Proxy, patcher Patcher) *session {
	slim := &corev3.Node{}
	if node != nil {
		slim = proto.CloneOf(node)
		slim.Extensions = nil
	}
	return &session{
		node:     slim,
		types:    map[string]*typeState{},
		patcher:  patcher,
		proxy:    proxy,
		clusters: map[string]*cluster{},
		held:     map[string]*heldEndpoints{},
		pending:  map[string]*pendingAnswer{},
		unread:   map[string]bool{},

		lingering: map[string]int{},
		parting:   map[string]*response{},
		ways:      map[string]map[string]bool{},

		quarantine: map[string]map[string]bool{},
	}
}

// onPatcher puts another Patcher in force.
func (s *session) onPatcher(p Patcher) {
	s.patcher = p
	s.dirty = causeTable
	s.settle()
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
	s.misled = false
	s.up = nil
	for _, t := range s.types {
		t.opened, t.answered = false, false
	}
	for name := range s.unread {
		s.unread[name] = false
	}
}

// wantsReattach reports that only another attachment can mend what Consul or the
// session believes: about clusters whose form the session does not know although
// the Patcher may want them changed (Consul answers no subscription to a single
// cluster, 1.22.5: silence; in a first request they have an empty version), or
// about what Envoy has.
func (s *session) wantsReattach() bool {
	if !s.live() || s.misled {
		return s.misled
	}
	for name, asked := range s.unread {
		if !asked && s.patcher.Candidate(name, s.proxy) {
			return true
		}
	}
	return false
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
		InitialResourceVersions: map[string]string{},
	}
	for name, version := range t.has {
		// With an empty version Consul sends the resource again, or says that it is
		// gone. A name left out it would never mention.
		if isPatched(version) || t.url == typeCluster && s.patcher.Candidate(name, s.proxy) {
			version = ""
			if _, ok := s.unread[name]; ok && t.url == typeCluster {
				s.unread[name] = true
			}
		}
		req.InitialResourceVersions[name] = version
	}
	for _, name := range names {
		if _, ok := t.has[name]; ok {
			t.repeats[name] = true
		}
	}
	s.send(req)
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
	s.pushClusters()
	s.pushEndpoints()
	s.dropUnwatched()
}

// live reports whether pushes of our own are allowed: only while Consul has
// answered for clusters in this generation, which it does for no revoked token.
func (s *session) live() bool {
	t := s.types[typeCluster]
	return s.attached && t != nil && t.answered && s.holding == nil
}
