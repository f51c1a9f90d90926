package xds

import clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

// Proxy is what is known of the Envoy at the end of a stream.
type Proxy struct {
	ID       string  // Node.id: the proxy's service ID in Consul
	NodeName string  // metadata.node_name; empty where the bootstrap names none
	Version  Version // Node.user_agent_build_version

	Kind       string // Consul's kind of service (connect-proxy, terminating-gateway, ...); empty if unknown
	Datacenter string // where the catalog has it; empty if unknown
	Service    string // whose sidecar it is, by the catalog; empty if it is none, or unknown

	// LocalApp says that the stream has carried a cluster named local_app, which
	// Consul gives to sidecars alone.
	LocalApp bool
}

// Version is an Envoy's.
type Version struct{ Major, Minor, Patch uint32 }

// AtLeast compares with a release, whatever its patch level.
func (v Version) AtLeast(major, minor uint32) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// Endpoints is what is known of the endpoints that Consul lists for a cluster.
type Endpoints int

// Unhealthy endpoints count as endpoints.
const (
	EndpointsUnknown Endpoints = iota
	EndpointsNone
	EndpointsSome
)

// Patcher decides what becomes of Consul's clusters, listeners and route
// configurations. A Patcher is immutable and its methods are pure: the same arguments
// give the same answer. When what it decides from changes, the server is given a new one
// (Server.SetPatcher).
type Patcher interface {
	// Subject is what of all that a Patcher decides from concerns a cluster of this
	// name, or empty if nothing does. Every Patcher says the same of a name.
	Subject(name string) string

	// Since tells for which subjects the answers may be other ones than those of an
	// earlier Patcher; all, that it cannot tell.
	Since(earlier Patcher) (subjects []string, all bool)

	// Candidate reports whether a cluster or a listener of this name may be patched
	// for the proxy, or reported on, as things stand, judged by the name alone.
	Candidate(typeURL, name string, proxy Proxy) bool

	// Endpoints tells what an encoded ClusterLoadAssignment amounts to: EndpointsNone
	// or EndpointsSome.
	Endpoints(assignment []byte) Endpoints

	// Cluster decides on one cluster. raw is Consul's encoding of it, not to be
	// changed or kept. endpoints tells what is known of an endpoints resource.
	Cluster(name string, raw []byte, proxy Proxy, endpoints func(name string) Endpoints) Verdict

	// Unpatched says, for people, why a cluster of this name, which passes as it came,
	// does not lead to a service of the Patcher's, as far as the name tells; nil if there
	// is nothing to say.
	Unpatched(name string, proxy Proxy) *Unpatched

	// Subjects are what of all that a Patcher decides from concerns this listener or
	// route configuration, of which raw is Consul's encoding. One without subjects is
	// decided on once, and remembered only if it is patched. Every Patcher says the same.
	Subjects(typeURL string, raw []byte) []string

	// Other decides on a listener or a route configuration; nil lets it pass byte for
	// byte.
	Other(typeURL string, raw []byte, proxy Proxy) *Patch
}

// Verdict is what becomes of one cluster. The zero value lets it pass as it came.
type Verdict struct {
	// Patch replaces the cluster; nil lets it pass byte for byte.
	Patch *Patch

	// Watch names the endpoints resource on whose emptiness the verdict depends;
	// empty for none. The relay sees to it that they are known.
	Watch string

	// Linger says that the cluster is to pass as it came, or to be as Patch says, but that
	// a patch which Envoy has goes on serving calls: it is kept for a moment
	// (Config.Linger), until what Consul's form leads to is ready.
	Linger bool

	// Keep says that another Patcher may decide otherwise on this cluster, so that
	// Consul's form of it has to be remembered.
	Keep bool

	// Unpatched, for people, says that the cluster should lead to a service of the
	// Patcher's, and why it does not, where its name alone does not tell (see
	// Patcher.Unpatched); it passes as it came. Nil: there is nothing to say.
	Unpatched *Unpatched
}

// Unpatched is a service that a cluster should lead to, and why it does not.
type Unpatched struct{ Service, Reason string }

// Patch is a resource in place of Consul's, of the same type and name.
type Patch struct {
	// Key tells what Make makes from what another does: equal keys, equal messages. It
	// must be comparable, and hold nothing secret: other streams are given the same.
	Key any

	// Make makes it. It is not called where a stream of this process has it.
	Make func() Made

	// Transit says that calls of other proxies pass through the cluster, by a server
	// name that is its own. When Consul takes the cluster or that name away, it goes a
	// moment later (half of Config.Linger), when those have been told as well.
	Transit bool

	// Behind says that the cluster is to go out behind the listeners and routes that
	// change with it; one that ceases to be patched so goes out before them.
	Behind bool

	Service string // for people: the service it belongs to; empty if it is nobody's
	Path    string // for people: gateway, direct
}

// Made is what a Patch made: a cluster, or else.
type Made struct {
	Cluster *clusterv3.Cluster
	Encoded []byte // a listener or a route configuration; nil for a cluster

	Form   string // cluster, listener, or empty for a cluster without endpoints, which never lingers
	Reason string // for people: why it is a cluster without endpoints
}
