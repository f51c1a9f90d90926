package xds

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// ResourceState is a resource that concerns a subject of the Patcher's, as Consul made it
// and in the form that stands in its place, for people. Several Envoys that are alike and
// have the same form share one: then Consul's is that of the first of them, and the
// others' differs from it in certificates at most.
type ResourceState struct {
	Proxies []string // their IDs, sorted
	Kind    string   // of the proxies
	Version Version  // of the Envoys
	Type    string   // cluster, listener, route
	Name    string

	// Consul is its encoding, which may hold private keys: whoever shows it to anybody has
	// to take them out.
	Consul []byte

	// Ours is the encoding of what stands in its place; nil if nothing does.
	Ours []byte
}

// alike is what Envoys have in common that share a ResourceState.
type alike struct {
	kind    string
	version Version
	url     string
	name    word
	form    *form
}

// Resources are those that concern a subject (see Patcher.Subject) and that this server
// remembers: what is patched, or might be. They are sorted by type, name and proxy.
func (s *Server) Resources(subject string) []ResourceState {
	found := map[alike]*ResourceState{}
	streams := s.all()
	slices.SortFunc(streams, func(a, b *stream) int { return cmp.Compare(a.session.proxy.ID, b.session.proxy.ID) })
	for _, st := range streams {
		st.resources(newWord(subject), found)
	}
	states := make([]ResourceState, 0, len(found))
	for state := range maps.Values(found) {
		state.Proxies = slices.Compact(state.Proxies) // a hot restart has two streams of one ID
		states = append(states, *state)
	}
	slices.SortFunc(states, func(a, b ResourceState) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), strings.Compare(a.Proxies[0], b.Proxies[0]))
	})
	return states
}

func (s *stream) resources(subject word, found map[alike]*ResourceState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session.resources(subject, found)
}

// resources adds what concerns a subject.
func (s *session) resources(subject word, found map[alike]*ResourceState) {
	concerned := map[word]bool{subject: true}
	for _, url := range pushOrder {
		for _, k := range s.typed(url).known {
			if k.origin == nil || !k.has || !k.concerns(concerned) {
				continue
			}
			made := k.origin.final().form
			key := alike{kind: s.proxy.Kind, version: s.proxy.Version, url: url, name: k.name, form: made}
			if state := found[key]; state != nil {
				state.Proxies = append(state.Proxies, s.proxy.ID)
				continue
			}
			state := &ResourceState{
				Proxies: []string{s.proxy.ID}, Kind: s.proxy.Kind, Version: s.proxy.Version,
				Type: shortType(url), Name: k.name.String(), Consul: k.origin.consul.resource().body,
			}
			if made != nil {
				state.Ours = slices.Clone(made.body)
			}
			found[key] = state
		}
	}
}
