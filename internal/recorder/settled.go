package recorder

import (
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// Settled says what an open stream still owes. At rest that is nothing; in the
// middle of an exchange, or when a stream was cut off, something rightly is.
//
//	unanswered  every response was accepted or refused
//	endpoints   the last version of each EDS cluster, if the client is subscribed
//	            to its endpoints, was followed by them after both the cluster and
//	            the subscription. Without that a cluster never ends its warming.
func Settled(entries []Entry) []Violation {
	return apply([]rule{
		{"unanswered", checkUnanswered},
		{"endpoints", checkEndpoints},
	}, entries)
}

func checkUnanswered(entries []Entry, broken reporter) {
	sent := unanswered{}
	for _, e := range entries {
		if e.Response != nil {
			sent[e.Response.GetNonce()] = e.Response
		}
		sent.answer(e.Request)
	}
	for i, e := range entries {
		if e.Response != nil && sent[e.Response.GetNonce()] == e.Response {
			broken(i, "the response with nonce %q (%s) has no answer", e.Response.GetNonce(), e.Response.GetTypeUrl())
		}
	}
}

// edsCluster is the last version of a cluster that takes its endpoints by EDS.
type edsCluster struct {
	sent      int    // index of the entry
	endpoints string // the name of its assignment
}

func checkEndpoints(entries []Entry, broken reporter) {
	clusters := map[string]edsCluster{}
	subscribed := map[string]int{} // assignment -> index of the subscription
	delivered := map[string]int{}  // assignment -> index of its last response
	sent := unanswered{}
	at := map[*discoveryv3.DeltaDiscoveryResponse]int{} // indexes of clusters responses
	for i, e := range entries {
		switch {
		case e.Response.GetTypeUrl() == ClusterType:
			sent[e.Response.GetNonce()], at[e.Response] = e.Response, i
			for _, r := range e.Response.GetResources() {
				delete(clusters, r.GetName())
				if name, ok := assignment(r); ok {
					clusters[r.GetName()] = edsCluster{sent: i, endpoints: name}
				}
			}
			for _, name := range e.Response.GetRemovedResources() {
				delete(clusters, name)
			}
		case e.Response.GetTypeUrl() == EndpointType:
			for _, r := range e.Response.GetResources() {
				delivered[r.GetName()] = i
			}
		case e.Request.GetTypeUrl() == ClusterType:
			// A refused cluster does not warm.
			if resp := sent.refused(e.Request); resp != nil {
				maps.DeleteFunc(clusters, func(_ string, c edsCluster) bool { return c.sent == at[resp] })
			}
		case e.Request.GetTypeUrl() == EndpointType:
			for _, name := range e.Request.GetResourceNamesSubscribe() {
				subscribed[name] = i
			}
			for _, name := range e.Request.GetResourceNamesUnsubscribe() {
				delete(subscribed, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		c := clusters[name]
		since, ok := subscribed[c.endpoints]
		if !ok {
			continue
		}
		since = max(since, c.sent)
		if got, ok := delivered[c.endpoints]; !ok || got < since {
			broken(since, "the endpoints %q of cluster %q were not sent after this", c.endpoints, name)
		}
	}
}

// assignment is the name under which a packed EDS cluster asks for its endpoints.
func assignment(r *discoveryv3.Resource) (string, bool) {
	c := &clusterv3.Cluster{}
	if r.GetResource().UnmarshalTo(c) != nil || c.GetType() != clusterv3.Cluster_EDS {
		return "", false
	}
	if name := c.GetEdsClusterConfig().GetServiceName(); name != "" {
		return name, true
	}
	return c.GetName(), true
}
