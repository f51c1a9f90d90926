package xds

import "slices"

// typeState is what the session knows of one type of resources.
type typeState struct {
	url string

	// Envoy's side: for the life of its stream.
	asked    bool              // Envoy has asked for the type
	served   bool              // Envoy has been sent a response of the type
	wildcard bool              // Envoy's first request named nothing: it wants all
	names    map[string]bool   // what Envoy subscribes to by name
	has      map[string]string // versions that Envoy reported or was sent since

	// sentIn is the nonce of the last response that carried a resource, or took it away.
	sentIn map[string]string

	// needs are names whose next delivery must reach Envoy although the version is
	// the one it has: it subscribed, or was sent their parent, since the last one.
	needs map[string]bool

	// repeats are names that we made Consul send once more.
	repeats map[string]bool

	// rejected are versions of ours that Envoy refused; they are not pushed again.
	rejected map[string]rejection

	// pushing is the nonce of our own push that Envoy has not answered; one at a
	// time, what comes up meanwhile waits and is then computed afresh.
	pushing string

	// Consul's side: for this generation.
	opened   bool // Consul has been asked
	answered bool // Consul has answered
}

func newTypeState(url string) *typeState {
	return &typeState{
		url:     url,
		names:   map[string]bool{},
		has:     map[string]string{},
		sentIn:  map[string]string{},
		needs:   map[string]bool{},
		repeats: map[string]bool{},

		rejected: map[string]rejection{},
	}
}

// rejection is a version that Envoy refused, and why, in its words.
type rejection struct {
	version string
	text    string
}

// lacks reports whether Envoy has another version of a resource, or none, and has
// not refused this one.
func (t *typeState) lacks(res resource) bool {
	return t.has[res.name] != res.version && t.rejected[res.name].version != res.version
}

// subscribed reports whether Envoy wants the resource.
func (t *typeState) subscribed(name string) bool {
	return t.asked && (t.wildcard || t.names[name])
}

// wanted lists what Consul is to be asked for by name: Envoy's names and ours,
// sorted. It is empty for a wildcard.
func (t *typeState) wanted(ours []string) []string {
	if t.wildcard {
		return nil
	}
	names := slices.Clone(ours)
	for name := range t.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// sent notes that Envoy is being sent a version, and gives back what it had.
func (t *typeState) sent(name, version, nonce string) (before string) {
	before = t.has[name]
	t.has[name] = version
	t.sentIn[name] = nonce
	delete(t.needs, name)
	return before
}

// forget notes that Envoy no longer has the resource.
func (t *typeState) forget(name string) {
	delete(t.has, name)
	delete(t.sentIn, name)
	delete(t.needs, name)
	delete(t.repeats, name)
	delete(t.rejected, name)
}
