package patch

import (
	"crypto/sha256"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Endpoints is what is known of the endpoints that Consul lists for a cluster.
type Endpoints int

// Unhealthy endpoints count as endpoints.
const (
	EndpointsUnknown Endpoints = iota
	EndpointsNone
	EndpointsSome
)

// Verdict is what becomes of one cluster. The zero value lets it pass as it came.
type Verdict struct {
	// Patch replaces the cluster; nil lets it pass byte for byte.
	Patch *Patch

	// Watch names the endpoints resource on whose emptiness the verdict depends;
	// empty for none.
	Watch string

	// Linger says that a patch which Envoy has may stay for a moment before the
	// cluster passes as it came, or Patch replaces it: a gateway has begun to front the
	// service, and may not be ready before its callers are.
	Linger bool

	// Keep says that another Patcher, or more knowledge of the proxy, may decide
	// otherwise on this cluster.
	Keep bool

	// Unpatched, for people, says that the cluster should lead to a function, and why it
	// does not, where the name of the cluster alone does not tell (see Patcher.Unpatched);
	// it passes as it came. Nil: there is nothing to say.
	Unpatched *Unpatched
}

// The forms and paths of a Patch.
const (
	FormCluster  = "cluster"  // the Lambda filter is in the cluster
	FormListener = "listener" // it is in the listener
	PathGateway  = "gateway"
	PathDirect   = "direct"
)

// Patch is a resource in place of Consul's, of the same type and name.
type Patch struct {
	// Key tells what Make makes from what another does: equal keys, equal messages,
	// whatever Patcher they are of.
	Key Key

	// Make makes it.
	Make func() Made

	// Transit says that calls of other proxies pass through it: on a gateway.
	Transit bool

	// Behind says that listeners and routes that change with it go out first: in listener
	// mode, where a cluster that is an invocation must find the filter ready.
	Behind bool

	Service string // for people: the service it belongs to; empty if it is nobody's
	Path    string // for people: PathGateway or PathDirect
}

// Key is all that a cluster of ours is made from, or the digest of another message. It
// holds nothing secret.
type Key struct {
	encoded [sha256.Size]byte // of a listener or a route configuration; else zero

	name     string
	kept     string          // what stays of Consul's cluster, encoded
	reason   string          // why it is one without endpoints
	function lambda.Function // else: what it invokes,
	to       targetKey       // where,
	version  Version         // for which Envoy,
	form     string          // and how
}

// Made is what a Patch made: a cluster, or else.
type Made struct {
	Cluster *clusterv3.Cluster // shares messages with other clusters: not to be changed
	Encoded []byte             // a listener or a route configuration; nil for a cluster

	Form   string // for people: FormCluster, FormListener, or empty for a cluster without endpoints
	Reason string // for people: why it is a cluster without endpoints
}
