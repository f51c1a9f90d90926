package xds

import "slices"

// lingerTicks is how many ticks a patch lingers at most; at least one less.
const lingerTicks = 2

// localApp is the cluster that Consul gives to sidecars alone.
const localApp = "local_app"

// cluster is a cluster of Consul's that is patched, or might be with another
// Patcher or other endpoints.
type cluster struct {
	consul  kept // Consul's form
	version word // and its version
	watch   word // the endpoints resource it depends on; empty: none

	final final // what Envoy is to have
	taken final // the last form of ours that Envoy took; its form is nil for none

	patched  bool // a patch stands in its place now; else Consul's form
	transit  bool // see Patch.Transit
	standsIn bool // final stands in for a form in quarantine, or that the Patcher failed to make

	service, path word // of its Patch

	unpatched *Unpatched // what Verdict.Unpatched said

	// quarantine are the forms of ours that Envoy refused, by hash.
	quarantine map[string]bool
}

// final is the form in which Envoy is to have a cluster.
type final struct {
	version word
	form    *form // nil: Consul's own
}

// in is a form of ours, with the version that it has in this cluster's place.
func (c *cluster) in(made *form) final {
	return final{newWord(patchedVersion(c.version.String(), made.hash)), made}
}

// finally is the cluster of Consul's in its final form.
func (c *cluster) finally(name word) resource {
	if c.final.form == nil {
		return c.consul.resource()
	}
	return newResource(name.String(), c.final.version.String(), c.final.form.body)
}

// onClusters takes clusters of Consul's.
func (s *session) onClusters(resp *response) {
	t := s.typed(typeCluster)
	for i := range resp.resources {
		if resp.resources[i].name == localApp {
			s.proxy.LocalApp = true
		}
	}
	for _, name := range resp.removed {
		if k := t.known[name]; k != nil {
			s.dropCluster(k)
			k.unread = false
		}
	}
	for i := range resp.resources {
		res := &resp.resources[i]
		res.known.unread = false
		s.judge(res.known, res, true)
	}
	s.watch()
	if !t.served && s.fresh(t) && s.undecided() {
		s.holding = resp
		for i := range resp.resources {
			resp.resources[i].known = nil // may be another by then
		}
		return
	}
	s.deliverClusters(resp)
}

// fresh reports whether Envoy has nothing of a type.
func (s *session) fresh(t *typeState) bool {
	for _, k := range t.known {
		if k.has {
			return false
		}
	}
	return true
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
	t := s.typed(typeCluster)
	for i := range resp.resources {
		if k := t.known[resp.resources[i].name]; k != nil && k.cluster != nil {
			s.judge(k, &resp.resources[i], true)
		}
	}
	s.watch()
	s.deliverClusters(resp)
}

// judge asks the Patcher about a cluster of Consul's, and remembers it if another
// answer is possible later. news says that Consul has just sent it.
func (s *session) judge(k *known, res *resource, news bool) {
	verdict, made, ok := s.ask(k, res)
	c := k.cluster
	if ok && verdict == (Verdict{}) && (c == nil || !c.patched) {
		s.dropCluster(k)
		return
	}
	if c == nil {
		c = &cluster{}
		k.cluster = c
	}
	if news && !c.consul.is(res.raw()) {
		c.consul = whole(res.raw())
		s.loose = append(s.loose, loose{c, c.consul})
	}
	c.version, c.unpatched = k.told.to(res.version), verdict.Unpatched
	if !ok {
		s.setPatch(c, nil)
		s.standIn(k)
		s.rewatch(k, c.watch.String())
		return
	}
	if !verdict.Linger {
		delete(s.lingering, k)
	} else if c.patched && s.lingers(k) {
		return
	}
	s.set(k, verdict.Patch, made)
	s.rewatch(k, verdict.Watch)
}

// dropCluster forgets a cluster that cannot be patched, or is gone.
func (s *session) dropCluster(k *known) {
	if k.cluster != nil {
		s.rewatch(k, "")
		s.setPatch(k.cluster, nil)
		k.cluster = nil
		delete(s.lingering, k)
		delete(s.stale, k)
		delete(s.suspects, k)
	}
}

// set puts a patch, or Consul's own form, in force; for a form in quarantine,
// something else.
func (s *session) set(k *known, patch *Patch, made *form) {
	c := k.cluster
	s.setPatch(c, patch)
	c.standsIn = false
	c.final = final{version: c.version}
	if patch != nil {
		c.final = c.in(made)
		if c.quarantine[made.hash] {
			s.standIn(k)
			return
		}
	}
	// A form that is another now ends the quarantine.
	c.quarantine = nil
	t := s.typed(typeCluster)
	if r, ok := t.rejected[k.name.String()]; ok && r.ours() {
		delete(t.rejected, k.name.String())
	}
}

// setPatch notes which patch stands in a cluster's place; nil for none. Of it only what
// is needed later is kept.
func (s *session) setPatch(c *cluster, patch *Patch) {
	if c.patched {
		s.patched--
	}
	c.patched, c.transit = false, false
	if patch != nil {
		s.patched++
		c.patched, c.transit, c.service, c.path = true, patch.Transit, c.service.to(patch.Service), c.path.to(patch.Path)
	}
}

// deliverClusters sends Envoy the clusters of a response of Consul's in the form
// it is to have them, leaving out what it has already.
func (s *session) deliverClusters(resp *response) {
	t := s.typed(typeCluster)
	left := *resp
	left.resources = resp.resources[:0]
	for i := range resp.resources {
		res := &resp.resources[i]
		k := res.known
		if k == nil {
			k = s.know(t, res.name)
		}
		if c := k.cluster; c == nil {
			if k.has && k.version.String() == res.version {
				continue
			}
		} else if k.has && k.version == c.final.version {
			continue
		} else if c.final.version != c.version {
			*res = c.finally(k.name)
		}
		res.known = k
		left.resources = append(left.resources, *res)
	}
	s.pass(resp, &left)
}

// pushClusters sends Envoy the clusters whose form changed without a word from
// Consul. Not before Envoy has asked for listeners: until then what it was given
// first stays, because an Envoy that starts with one form and is given the other
// at once never finishes its initialization (1.40.0).
func (s *session) pushClusters() {
	t := s.typed(typeCluster)
	if len(s.stale) == 0 || !s.live() || t.pushing != "" || !s.listening() {
		return
	}
	why := s.why
	out := &response{typeURL: typeCluster}
	for _, k := range s.takeStale() {
		c := k.cluster
		if c == nil {
			continue
		}
		res := c.consul.resource()
		s.judge(k, &res, false)
		if c = k.cluster; c == nil || !k.has || c.final.form == nil && !isPatched(k.version.String()) {
			continue // Consul's alone to send
		}
		if t.lacks(k, c.final.version) {
			out.resources = append(out.resources, c.finally(k.name))
		}
	}
	s.watch()
	if len(out.resources) > 0 {
		s.forward(out, "", why)
	}
}

// touch notes that the form of a cluster may have changed, or that Envoy may not
// have it.
func (s *session) touch(k *known, why cause) {
	if k.cluster == nil {
		return
	}
	if len(s.stale) == 0 {
		s.why, s.stale = why, map[*known]bool{}
	}
	s.stale[k] = true
}

// touchAll is touch for all clusters.
func (s *session) touchAll(why cause) {
	for _, k := range s.typed(typeCluster).known {
		s.touch(k, why)
	}
}

// takeStale are the clusters that were touched, sorted by name; none is afterwards.
func (s *session) takeStale() []*known {
	touched := make([]*known, 0, len(s.stale))
	for k := range s.stale {
		touched = append(touched, k)
	}
	s.stale = nil
	slices.SortFunc(touched, byName)
	return touched
}

// lingers reports whether a patch that may go is kept a while longer, because it is
// what Envoy has, and it serves calls.
func (s *session) lingers(k *known) bool {
	c := k.cluster
	if c.taken.form != nil && k.version == c.taken.version {
		c.final = c.taken // and not what has come to be wanted since
	}
	if !k.has || k.version != c.final.version || c.final.form == nil {
		delete(s.lingering, k)
		return false
	}
	ticks := s.lingering[k]
	s.lingering[k] = ticks
	return ticks < lingerTicks
}

// onTick counts how long patches have lingered. Ticks are needed only while some
// do.
func (s *session) onTick() {
	for k := range s.lingering {
		s.lingering[k]++
		s.touch(k, causeTable)
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
