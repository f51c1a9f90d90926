package xds

// known is what the session knows of one resource. There is one for each resource
// of each Envoy: names and versions of everything, and no bytes but of clusters
// that are patched or might be.
type known struct {
	name string

	// Envoy's side: for the life of its stream.
	wanted  bool   // Envoy subscribes to it by name
	has     bool   // Envoy reported it or was sent it since
	version string // which one

	// in is the number of the last response that carried it, or took it away; of the
	// latter only until Envoy has answered.
	in uint64

	// needs says that its next delivery must reach Envoy although the version is the
	// one it has: it subscribed, or was sent its parent, since the last one.
	needs bool

	// repeat says that we made Consul send it once more.
	repeat bool

	// Clusters alone.
	subject string   // what of the Table it depends on; see Patcher.Subject
	cluster *cluster // nil: it is not patched, and no Table would have it patched

	// unread says that Envoy brought it along from an earlier stream and that its form
	// at Consul has not been seen; asked, that this generation asked for it.
	unread, asked bool
}

// blank reports whether there is nothing to know.
func (k *known) blank() bool {
	return !k.wanted && !k.has && k.in == 0 && !k.needs && !k.repeat && k.cluster == nil && !k.unread
}

// sent notes that Envoy is being sent a version, and gives back what it had; empty
// for nothing.
func (k *known) sent(version string, in uint64) (before string) {
	if k.has {
		before = k.version
	}
	k.has, k.version, k.in, k.needs = true, version, in, false
	return before
}

// forget notes that Envoy no longer has the resource.
func (k *known) forget() {
	k.has, k.version, k.in, k.needs, k.repeat = false, "", 0, false, false
}
