package xds

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// modelConsul is Consul's end of a delta ADS stream, with the habits that were
// measured on 1.22.5: see design of the session's rules and docs/architecture.md.
type modelConsul struct {
	// The mesh; it outlives streams.
	mesh map[string]map[string]resource // by type and name

	// One stream.
	types  map[string]*modelConsulType
	nonces int
	out    []*response // what is on its way to the relay
	errs   []string
}

type modelConsulType struct {
	wildcard   bool
	subscribed map[string]bool
	has        map[string]string
	again      map[string]bool // to be sent whatever version it has: asked for by name,
	child      map[string]bool // or because its parent was sent
	answered   bool
	refused    bool // nothing more before the next request of any type

	pending  string // nonce of the response that is not answered yet
	sent     map[string]string
	sentGone []string
}

func newModelConsul() *modelConsul {
	m := &modelConsul{mesh: map[string]map[string]resource{}}
	for _, url := range attachOrder {
		m.mesh[url] = map[string]resource{}
	}
	m.reset()
	return m
}

// reset begins a stream.
func (m *modelConsul) reset() {
	m.types = map[string]*modelConsulType{}
	m.nonces = 0
	m.out = nil
}

func (m *modelConsul) recv(req *discoveryv3.DeltaDiscoveryRequest) {
	for _, t := range m.types {
		t.refused = false
	}
	if len(m.types) == 0 && req.GetNode() == nil {
		m.errs = append(m.errs, "the stream's first request has no node")
	}
	url := req.GetTypeUrl()
	t := m.types[url]
	if t == nil {
		t = &modelConsulType{
			wildcard:   len(req.GetResourceNamesSubscribe()) == 0,
			subscribed: map[string]bool{},
			has:        maps.Clone(req.GetInitialResourceVersions()),
			again:      map[string]bool{},
			child:      map[string]bool{},
		}
		if t.has == nil {
			t.has = map[string]string{}
		}
		if t.wildcard && (url == typeEndpoint || url == typeRoute) {
			m.errs = append(m.errs, "named type opened as a wildcard: "+shortType(url))
		}
		m.types[url] = t
	}
	if nonce := req.GetResponseNonce(); nonce != "" {
		if nonce != t.pending {
			m.errs = append(m.errs, fmt.Sprintf("answer to %q of %s, pending is %q", nonce, shortType(url), t.pending))
			return
		}
		t.pending = ""
		if req.GetErrorDetail() != nil {
			t.refused = true
			for name := range t.sent {
				t.again[name] = true
			}
			if len(req.GetResourceNamesSubscribe())+len(req.GetResourceNamesUnsubscribe()) > 0 {
				m.errs = append(m.errs, "subscriptions in a refusal are not read")
			}
			m.work()
			return
		}
		maps.Copy(t.has, t.sent)
		for name := range t.sent {
			delete(t.again, name) // it forgets what it was asked for meanwhile
		}
		for _, name := range t.sentGone {
			delete(t.has, name)
		}
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		delete(t.subscribed, name)
		delete(t.has, name)
		delete(t.again, name)
		delete(t.child, name)
	}
	for _, name := range req.GetResourceNamesSubscribe() {
		if t.wildcard {
			continue // silence
		}
		t.subscribed[name] = true
		t.again[name] = true
	}
	m.work()
}

// childrenAgain: when a cluster is sent its endpoints are sent again, when a
// listener is its routes, at the version they have, and without waiting for the
// answer.
func (m *modelConsul) childrenAgain(url string, sent map[string]string) {
	switch url {
	case typeCluster:
		if t := m.types[typeEndpoint]; t != nil {
			for name := range sent {
				if t.subscribed[name] {
					t.child[name] = true
				}
			}
		}
	case typeListener:
		if t := m.types[typeRoute]; t != nil && len(sent) > 0 {
			for name := range t.subscribed {
				t.child[name] = true
			}
		}
	}
}

// work sends what is due.
func (m *modelConsul) work() {
	for _, url := range attachOrder {
		t := m.types[url]
		if t == nil || t.pending != "" || t.refused {
			continue
		}
		if url == typeListener || url == typeRoute {
			if c := m.types[typeCluster]; c != nil && c.pending != "" {
				continue
			}
			if e := m.types[typeEndpoint]; e != nil && e.pending != "" {
				continue
			}
		}
		m.answer(url, t)
	}
}

func (m *modelConsul) answer(url string, t *modelConsulType) {
	resp := &response{typeURL: url}
	t.sent, t.sentGone = map[string]string{}, nil
	for _, name := range slices.Sorted(maps.Keys(m.mesh[url])) {
		res := m.mesh[url][name]
		if (t.wildcard || t.subscribed[name]) && (t.again[name] || t.child[name] || t.has[name] != res.version) {
			delete(t.again, name)
			delete(t.child, name)
			resp.resources = append(resp.resources, res)
			t.sent[name] = res.version
		}
	}
	if t.wildcard && len(resp.resources) == 0 && t.answered {
		for _, name := range slices.Sorted(maps.Keys(t.has)) {
			if _, ok := m.mesh[url][name]; !ok {
				resp.removed = append(resp.removed, name)
			}
		}
		t.sentGone = resp.removed
	}
	if len(resp.resources)+len(resp.removed) == 0 && (t.answered || !t.wildcard) {
		return
	}
	t.answered = true
	m.nonces++
	resp.nonce = fmt.Sprintf("%08d", m.nonces)
	t.pending = resp.nonce
	m.out = append(m.out, resp)
	m.childrenAgain(url, t.sent)
}

// set puts a resource into the mesh; an empty body removes it.
func (m *modelConsul) set(url, name string, body []byte) {
	if body == nil {
		delete(m.mesh[url], name)
	} else {
		m.mesh[url][name] = newResource(name, "v"+strconv.Itoa(hash(body)), body)
	}
	m.work()
}

func hash(b []byte) int {
	h := 17
	for _, c := range b {
		h = (h*31 + int(c)) % 1_000_003
	}
	return h
}
