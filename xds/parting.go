package xds

// parts reports whether a response takes away a way through this Envoy that others
// call through: a cluster, or the server name by which a listener leads to it.
// Consul tells a gateway and its callers at the same time, in no order between
// clusters and listeners (1.22.5), so a caller that was slower would lose calls.
func (s *session) parts(resp *response) bool {
	switch resp.typeURL {
	case typeCluster:
		for _, name := range resp.removed {
			if s.transits(name) {
				return true
			}
		}
	case typeListener:
		for _, name := range resp.removed {
			if s.leaves(name, nil) {
				return true
			}
		}
		for _, res := range resp.resources {
			if s.leaves(res.name, s.serverNames(res.body)) {
				return true
			}
		}
	}
	return false
}

func (s *session) transits(cluster string) bool {
	k := s.typed(typeCluster).known[cluster]
	return k != nil && k.origin != nil && k.origin.now().transit
}

// leaves reports whether a listener no longer has a server name that leads to a
// cluster in transit.
func (s *session) leaves(listener string, names map[string]bool) bool {
	for name := range s.ways[listener] {
		if !names[name] && s.transits(name) {
			return true
		}
	}
	return false
}

// onParted ends the wait of responses that take a way away. Clusters go first, as
// they do with Consul.
func (s *session) onParted() {
	for _, url := range attachOrder {
		if resp := s.parting[url]; resp != nil {
			delete(s.parting, url)
			s.take(resp)
			s.askChildren(resp) // Consul has not waited with them
		}
	}
	s.settle()
}

// serverNames are the server names (SNI) of a listener's filter chains that are
// names of clusters which may be patched, as on Consul's terminating gateways.
func (s *session) serverNames(listener []byte) map[string]bool {
	const (
		listenerChains = 3  // Listener.filter_chains
		chainMatch     = 1  // FilterChain.filter_chain_match
		matchNames     = 11 // FilterChainMatch.server_names
	)
	clusters := s.typed(typeCluster).known
	var names map[string]bool
	// What cannot be read leads nowhere: it is passed on as it came.
	for chain := (fields{rest: listener}); chain.next(); {
		if !chain.is(listenerChains) {
			continue
		}
		for match := (fields{rest: chain.value}); match.next(); {
			if !match.is(chainMatch) {
				continue
			}
			for name := (fields{rest: match.value}); name.next(); {
				if !name.is(matchNames) {
					continue
				}
				if k := clusters[string(name.value)]; k != nil && k.origin != nil {
					if names == nil {
						names = map[string]bool{}
					}
					names[k.name.String()] = true
				}
			}
		}
	}
	return names
}
