package xds

import (
	"cmp"
	"slices"
)

// known is what the session knows of one resource. There is one for each resource
// of each Envoy: names and versions of everything, and no bytes but of clusters
// that are patched or might be.
type known struct {
	name word

	// version is what Envoy reported to have, or was sent since; see has.
	version word

	// in is the number of the last response that carried it, or took it away; of the
	// latter only until Envoy has answered.
	in uint64

	// told is the version that Consul takes Envoy to have once it has been answered,
	// empty for none, somehow if it only knows that Envoy has one; toldBefore is what it took
	// it for before that answer. For this generation, and of types of which Envoy wants
	// all.
	told, toldBefore word

	// origin is Consul's form; nil if it is not patched, and no Table would have it
	// patched.
	origin *origin

	// Clusters alone.
	subject word // what of the Table it depends on; see Patcher.Subject

	// Envoy's side: for the life of its stream.
	wanted bool // Envoy subscribes to it by name
	has    bool // Envoy reported it or was sent it since

	// again says that Consul will send the resource whatever Envoy has, if there is
	// one; see told.
	again bool

	// unanswered says that Consul has sent it in a response that it has no answer to yet.
	unanswered bool

	// needs says that its next delivery must reach Envoy although the version is the
	// one it has: it subscribed, or was sent its parent, since the last one.
	needs bool

	// repeat says that we made Consul send it once more.
	repeat bool

	// unread says that Envoy brought a cluster or a listener along from an earlier stream
	// and that its form at Consul has not been seen; asked, that this generation asked for
	// it.
	unread, asked bool
}

// concerns reports whether one of these subjects may decide on the resource.
func (k *known) concerns(subjects map[word]bool) bool {
	if k.origin != nil && slices.ContainsFunc(k.origin.subjects, func(w word) bool { return subjects[w] }) {
		return true
	}
	return subjects[k.subject]
}

// blank reports whether there is nothing to know.
func (k *known) blank() bool {
	return !k.wanted && !k.has && k.in == 0 && !k.unanswered && !k.needs && !k.repeat && k.origin == nil && !k.unread
}

// sent notes that Envoy is being sent a version, and gives back what it had; empty
// for nothing.
func (k *known) sent(version word, in uint64) (before word) {
	if k.has {
		before = k.version
	}
	k.has, k.version, k.in, k.needs = true, version, in, false
	return before
}

// somehow is the version of what Consul knows Envoy to have in some version.
var somehow = newWord("?")

// hear notes what Consul will take Envoy to have when it has been answered.
func (k *known) hear(version string) {
	k.told, k.toldBefore, k.again, k.unanswered = k.version.to(version), k.told, false, true
}

// unhear notes that the answer was a refusal.
func (k *known) unhear() { k.told, k.again = k.toldBefore, true }

// misleads reports whether Consul is wrong about what Envoy has, and would never
// mend it.
func (k *known) misleads() bool {
	has := ""
	if k.has {
		has = consulsVersion(k.version.String())
	}
	if k.again {
		return has != "" && k.told == word{}
	}
	return has != k.told.String()
}

// forget notes that Envoy no longer has the resource.
func (k *known) forget() {
	k.has, k.version, k.in, k.needs, k.repeat = false, word{}, 0, false, false
}

func byName(a, b *known) int { return cmp.Compare(a.name.String(), b.name.String()) }
