package xds

// lingerTicks is how many ticks a patch lingers at most; at least one less.
const lingerTicks = 2

// localApp is the cluster that Consul gives to sidecars alone.
const localApp = "local_app"

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
			s.drop(t, k)
			k.unread = false
		}
	}
	for i := range resp.resources {
		res := &resp.resources[i]
		res.known.unread = false
		s.judge(t, res.known, res, true)
	}
	s.watch()
	if !t.served && s.fresh(t) && s.undecided() {
		s.holding = resp
		for i := range resp.resources {
			resp.resources[i].known = nil // may be another by then
		}
		return
	}
	s.deliver(t, resp)
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
		s.deliver(s.typed(typeCluster), resp)
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
		if k := t.known[resp.resources[i].name]; k != nil && k.origin != nil {
			s.judge(t, k, &resp.resources[i], true)
		}
	}
	s.watch()
	s.deliver(t, resp)
}

// lingers reports whether a patch that may go is kept a while longer, because it is
// what Envoy has, and it serves calls.
func (s *session) lingers(k *known) bool {
	o := k.origin
	if taken := o.now().taken; taken.form != nil && k.version == taken.version {
		o.setFinal(taken) // and not what has come to be wanted since
	}
	if f := o.final(); !k.has || k.version != f.version || f.form == nil || !f.form.serves() {
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
		s.typed(typeCluster).touch(k, causeTable)
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
