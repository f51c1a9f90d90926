package patch

// The kinds of proxies, in Consul's words. Any other, and none, is unknown.
const (
	kindSidecar            = "connect-proxy"
	kindAPIGateway         = "api-gateway"
	kindIngressGateway     = "ingress-gateway"
	kindTerminatingGateway = "terminating-gateway"
	kindMeshGateway        = "mesh-gateway"
)

// Proxy is what is known of the Envoy that gets a cluster.
type Proxy struct {
	Version    Version
	Kind       string // Consul's kind of service; empty if unknown
	Datacenter string // empty if unknown

	// Service is whose sidecar the proxy is, in lambda.ServiceName's form; empty if it is
	// none, or unknown.
	Service string

	// LocalApp says that the proxy has a cluster named local_app, which Consul
	// gives to sidecars alone.
	LocalApp bool
}

// Version is an Envoy's.
type Version struct{ Major, Minor, Patch uint32 }

// atLeast compares with a release, whatever its patch level.
func (v Version) atLeast(major, minor uint32) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// form is how an Envoy of this version invokes functions: FormCluster, FormListener, or
// empty if it cannot. The filter as an upstream filter came between Envoy 1.30 and 1.31
// (envoyproxy/envoy#32146), host_rewrite, without which Host is not the endpoint's, in
// 1.30. Consul 1.22.5 sends an Envoy before 1.33 away itself ("Envoy 1.29.0 is too old"): those
// are of meshes with an older Consul.
func (o Options) form(v Version) string {
	switch {
	case o.Mode != ModeListener && v.atLeast(1, 31):
		return FormCluster
	case o.Mode != ModeCluster && v.atLeast(1, 30):
		return FormListener
	}
	return ""
}

// tooOld is why an Envoy cannot invoke functions.
func (o Options) tooOld() string {
	needed := "1.30"
	if o.Mode == ModeCluster {
		needed = "1.31"
	}
	return "this Envoy cannot invoke functions: " + needed + " or later is needed"
}

// gateway says that a DNS cluster with an empty address may be changed. It is
// safe where the kind is unknown, since no Envoy accepts such a cluster.
func (p Proxy) gateway() bool {
	switch p.Kind {
	case kindSidecar, kindAPIGateway, kindIngressGateway, kindMeshGateway:
		return false
	}
	return true
}

// mayBeDirect says that the proxy is, or may turn out to be, one that invokes a
// function by itself.
func (p Proxy) mayBeDirect() bool {
	return p.Kind != kindTerminatingGateway && p.Kind != kindMeshGateway
}

// direct says that the proxy is one that invokes a function by itself. Where the
// kind is unknown, local_app tells a sidecar from a mesh gateway, which has
// clusters of the same names.
func (p Proxy) direct() bool {
	switch p.Kind {
	case kindSidecar, kindAPIGateway, kindIngressGateway:
		return true
	case kindTerminatingGateway, kindMeshGateway:
		return false
	}
	return p.LocalApp
}
