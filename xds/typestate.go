package xds

import "slices"

// typeState is what the session knows of one type of resources.
type typeState struct {
	url   string
	known map[string]*known

	// Envoy's side: for the life of its stream.
	asked    bool // Envoy has asked for the type
	served   bool // Envoy has been sent a response of the type
	wildcard bool // Envoy's first request named nothing: it wants all

	// rejected are versions of ours that Envoy refused; they are not pushed again.
	// There are few at any time.
	rejected map[string]rejection

	// pushing is the nonce of our own push that Envoy has not answered; one at a
	// time, what comes up meanwhile waits and is then computed afresh.
	pushing string

	// stale are resources whose form may have changed, or of which Envoy may lack it,
	// and why; suspects those whose form Envoy may have refused for another one's sake.
	// Both nil for none.
	stale    map[*known]bool
	why      cause
	suspects map[*known]bool

	patched int // of how many resources a patch is in force

	// Consul's side: for this generation.
	opened   bool     // Consul has been asked
	answered bool     // Consul has answered
	heard    []*known // what was in the response that Consul has no answer to yet; see known.told
	anew     []string // what Consul is to be asked for once more
}

func newTypeState(url string) *typeState {
	return &typeState{url: url, known: map[string]*known{}, rejected: map[string]rejection{}}
}

// rejection is a version that Envoy refused, and why, in its words.
type rejection struct {
	version word
	text    string
}

// ours reports whether what Envoy refused was made here, or failed to be made.
func (r rejection) ours() bool { return r.version == word{} || isPatched(r.version.String()) }

// lacks reports whether Envoy has another version of a resource, or none, and has
// not refused this one.
func (t *typeState) lacks(k *known, version word) bool {
	return (!k.has || k.version != version) && t.rejected[k.name.String()].version != version
}

// subscribed reports whether Envoy wants the resource; k is nil for one that nothing
// is known of.
func (t *typeState) subscribed(k *known) bool {
	return t.asked && (t.wildcard || k != nil && k.wanted)
}

// names lists what Envoy subscribes to by name.
func (t *typeState) names() []string {
	var names []string
	for name, k := range t.known {
		if k.wanted {
			names = append(names, name)
		}
	}
	return names
}

// wanted lists what Consul is to be asked for by name: Envoy's names and ours,
// sorted. It is empty for a wildcard.
func (t *typeState) wanted(ours []string) []string {
	if t.wildcard {
		return nil
	}
	names := append(t.names(), ours...)
	slices.Sort(names)
	return slices.Compact(names)
}

// defers reports whether it is no use to ask Consul for a resource by name now, and notes
// that it is to be asked later; k is nil for one that nothing is known of.
func (t *typeState) defers(k *known) bool {
	if k == nil || !k.unanswered {
		return false
	}
	t.anew = append(t.anew, k.name.String())
	return true
}
