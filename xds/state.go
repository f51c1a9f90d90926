package xds

import (
	"cmp"
	"slices"
	"time"
)

// ProxyState is one connected Envoy, for people.
type ProxyState struct {
	ID       string
	Kind     string
	Version  Version
	Patched  []PatchedState  // sorted by service
	Rejected []RejectedState // sorted by resource

	Unpatched []UnpatchedState // sorted by service

	LastRefusal *Refusal // nil: it has refused nothing on this stream
}

// Refusal is a response that an Envoy refused, one with nothing of ours in it included.
// What came of it is in Rejected as long as it stands.
type Refusal struct {
	At    time.Time
	Type  string // short: "cluster", "listener"
	Ours  bool   // something of ours was in it
	Error string // Envoy's own words, cut before anything that could be a key
}

// PatchedState is one cluster that an Envoy has in a form of ours.
type PatchedState struct {
	Cluster string
	Service string
	Form    string
	Path    string
	Reason  string
}

// UnpatchedState is a cluster that should lead to a service of the Patcher's and does
// not.
type UnpatchedState struct {
	Cluster string
	Unpatched
}

// RejectedState is a resource that an Envoy refused, in Envoy's own words.
type RejectedState struct {
	Resource string
	Error    string
	Subjects []string // what of the Patcher's it concerns; see Patcher.Subjects
}

// state describes the session for people.
func (s *session) state() ProxyState {
	state := ProxyState{ID: s.proxy.ID, Kind: s.proxy.Kind, Version: s.proxy.Version}
	for name, k := range s.typed(typeCluster).known {
		if k.origin == nil || !k.origin.now().patched {
			if why := s.whyUnpatched(name, k); why != nil {
				state.Unpatched = append(state.Unpatched, UnpatchedState{name, *why})
			}
			continue
		}
		now := k.origin.now()
		p := PatchedState{Cluster: name, Service: now.service.String(), Path: now.path.String()}
		if made := now.form; made != nil {
			p.Form, p.Reason = made.kind, made.reason
		}
		if now.standsIn {
			p.Reason = "envoy refused its form, another stands in"
		}
		state.Patched = append(state.Patched, p)
	}
	slices.SortFunc(state.Patched, func(a, b PatchedState) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Cluster, b.Cluster))
	})
	slices.SortFunc(state.Unpatched, func(a, b UnpatchedState) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Cluster, b.Cluster))
	})
	for _, url := range s.order {
		t := s.types[url]
		for _, name := range sortedKeys(t.rejected) {
			state.Rejected = append(state.Rejected, RejectedState{name, t.rejected[name].text, subjectsOf(t.known[name])})
		}
	}
	return state
}

// whyUnpatched says why a cluster that passes as it came does not lead to a service of the
// Patcher's; nil if there is nothing to say.
func (s *session) whyUnpatched(name string, k *known) *Unpatched {
	if k.origin != nil && k.origin.unpatched != nil {
		return k.origin.unpatched
	}
	if !k.has {
		return nil
	}
	return s.patcher.Unpatched(name, s.proxy)
}

// subjectsOf are what of the Patcher's a resource concerns; none if nothing is known of it.
func subjectsOf(k *known) []string {
	if k == nil {
		return nil
	}
	var subjects []string
	if k.subject != (word{}) {
		subjects = append(subjects, k.subject.String())
	}
	if k.origin != nil {
		for _, subject := range k.origin.subjects {
			subjects = append(subjects, subject.String())
		}
	}
	return subjects
}
