package xds

import "google.golang.org/protobuf/proto"

// lingerTicks is how many ticks a patch lingers at most; at least one less.
const lingerTicks = 2

// localApp is the cluster that Consul gives to sidecars alone.
const localApp = "local_app"

// cluster is a cluster of Consul's that is patched, or might be with another
// Patcher or other endpoints.
type cluster struct {
	consul resource // Consul's form
	watch  string   // the endpoints resource it depends on; empty: none
	patch  *Patch   // what stands in its place now; nil: Consul's form
	final  resource // what Envoy is to have
	taken  resource // the last form of ours that Envoy took; raw is nil for none

	standsIn bool // final stands in for a form in quarantine, or that the Patcher failed to make
}

// onClusters takes clusters of Consul's.
func (s *session) onClusters(resp *response) {
	t := s.typed(typeCluster)
	for _, res := range resp.resources {
		if res.name == localApp {
			s.proxy.LocalApp = true
		}
	}
	for _, name := range resp.removed {
		s.dropCluster(name)
		delete(s.unread, name)
	}
	for _, res := range resp.resources {
		delete(s.unread, res.name)
		s.judge(res)
	}
	s.watch()
	if !t.served && len(t.has) == 0 && s.undecided() {
		s.holding = resp
		return
	}
	s.deliverClusters(resp)
}

// onHoldExpired ends the wait for the endpoints of Envoy's first clusters. They
// go as Consul sent them, and stay so until Envoy has asked for listeners.
func (s *session) onHoldExpired() {
	if resp := s.holding; resp != nil {
		s.holding = nil
		s.deliverClusters(resp)
		s.settle()
	}
}

// release ends the wait if the endpoints are known.
func (s *session) release() {
	if s.holding == nil || s.undecided() {
		return
	}
	resp := s.holding
	s.holding = nil
	for _, name := range sortedKeys(s.clusters) {
		s.judge(s.clusters[name].consul)
	}
	s.watch()
	s.deliverClusters(resp)
}

// judge asks the Patcher about a cluster of Consul's, and remembers it if another
// answer is possible later.
func (s *session) judge(res resource) {
	verdict, ok := s.ask(res)
	c := s.clusters[res.name]
	if ok && verdict == (Verdict{}) && (c == nil || c.patch == nil) {
		s.dropCluster(res.name)
		return
	}
	if c == nil {
		c = &cluster{}
		s.clusters[res.name] = c
	}
	if c.consul.raw == nil || &c.consul.raw[0] != &res.raw[0] {
		c.consul = res.clone()
	}
	if !ok {
		c.patch, c.final = nil, s.standIn(c)
		if h := s.held[c.watch]; h != nil {
			h.watchers[res.name] = isPatched(c.final.version)
		}
		return
	}
	if !verdict.Linger {
		delete(s.lingering, res.name)
	} else if c.patch != nil && s.lingers(res.name) {
		return
	}
	if c.patch != nil || verdict.Patch != nil {
		s.changed = true
	}
	s.set(c, verdict.Patch)
	s.unwatch(res.name, c.watch)
	c.watch = verdict.Watch
	if h := s.hold(c.watch); h != nil {
		h.watchers[res.name] = isPatched(c.final.version)
	}
}

// dropCluster forgets a cluster that cannot be patched, or is gone.
func (s *session) dropCluster(name string) {
	if c := s.clusters[name]; c != nil {
		s.unwatch(name, c.watch)
		delete(s.clusters, name)
		delete(s.lingering, name)
		delete(s.quarantine, name)
		s.changed = true
	}
}

// set puts a patch, or Consul's own form, in force; for a form in quarantine,
// something else.
func (s *session) set(c *cluster, patch *Patch) {
	c.patch, c.final, c.standsIn = nil, c.consul, false
	if patch == nil {
		s.acquit(c)
		return
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(patch.Cluster)
	if err != nil {
		return // a valid cluster, as the Patcher promises, can be encoded
	}
	c.patch = patch
	c.final = newResource(typeCluster, c.consul.name, patchedVersion(c.consul.version, body), body)
	if s.quarantine[c.consul.name][patchHash(c.final.version)] {
		c.final = s.standIn(c)
		return
	}
	s.acquit(c)
}

// acquit ends the quarantine of a cluster whose form is another now.
func (s *session) acquit(c *cluster) {
	name := c.consul.name
	delete(s.quarantine, name)
	if t := s.typed(typeCluster); isPatched(t.rejected[name].version) || t.rejected[name].version == "" {
		delete(t.rejected, name)
	}
}

// deliverClusters sends Envoy the clusters of a response of Consul's in the form
// it is to have them, leaving out what it has already.
func (s *session) deliverClusters(resp *response) {
	t := s.typed(typeCluster)
	out := &response{typeURL: resp.typeURL, removed: resp.removed, rest: resp.rest}
	for _, res := range resp.resources {
		if c := s.clusters[res.name]; c != nil {
			res = c.final
		}
		if t.has[res.name] != res.version {
			out.resources = append(out.resources, res)
		}
	}
	s.pass(resp, out)
}

// pushClusters sends Envoy the clusters whose form changed without a word from
// Consul. Not before Envoy has asked for listeners: until then what it was given
// first stays, because an Envoy that starts with one form and is given the other
// at once never finishes its initialization (1.40.0).
func (s *session) pushClusters() {
	t := s.typed(typeCluster)
	if s.dirty == "" || !s.live() || t.pushing != "" || !s.listening() {
		return
	}
	why := s.dirty
	s.dirty = ""
	out := &response{typeURL: typeCluster}
	for _, name := range sortedKeys(s.clusters) {
		c := s.clusters[name]
		s.judge(c.consul)
		had, has := t.has[name]
		if !has || c.patch == nil && !isPatched(had) {
			continue // Consul's alone to send
		}
		if t.lacks(c.final) {
			out.resources = append(out.resources, c.final)
		}
	}
	s.watch()
	if len(out.resources) > 0 {
		s.forward(out, "", why)
	}
}

// touch notes that the form of a cluster may have changed.
func (s *session) touch(why cause) {
	if s.dirty == "" {
		s.dirty = why
	}
}

// lingers reports whether a patch that may go is kept a while longer, because
// Envoy has it and it serves calls.
func (s *session) lingers(name string) bool {
	if !isPatched(s.typed(typeCluster).has[name]) {
		delete(s.lingering, name)
		return false
	}
	ticks := s.lingering[name]
	s.lingering[name] = ticks
	return ticks < lingerTicks
}

// onTick counts how long patches have lingered. Ticks are needed only while some
// do.
func (s *session) onTick() {
	for name := range s.lingering {
		s.lingering[name]++
		s.touch(causeTable)
	}
	s.settle()
}

// wantsTicks reports whether a patch lingers.
func (s *session) wantsTicks() bool {
	for _, ticks := range s.lingering {
		if ticks < lingerTicks {
			return true
		}
	}
	return false
}

// listening reports whether Envoy has asked for listeners: then the clusters that
// it was given first are initialized.
func (s *session) listening() bool {
	t := s.types[typeListener]
	return t != nil && t.asked
}
