package xds

// The types whose resources depend on one another; all others only pass.
const (
	typeCluster  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	typeEndpoint = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	typeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
	typeRoute    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// attachOrder is the order in which a stream that is attached again asks Consul:
// parents before what depends on them, as Envoy does. Other types follow.
var attachOrder = []string{typeCluster, typeEndpoint, typeListener, typeRoute}

// pushOrder is the order in which what follows from one event is sent: a cluster
// before what leads to it.
var pushOrder = []string{typeCluster, typeListener, typeRoute}

// shortType is the type for labels of metrics and for logs: bounded, whatever a
// peer sends.
func shortType(url string) string {
	switch url {
	case typeCluster:
		return "cluster"
	case typeEndpoint:
		return "endpoint"
	case typeListener:
		return "listener"
	case typeRoute:
		return "route"
	}
	return "other"
}
