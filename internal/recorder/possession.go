package recorder

import (
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// The rules here follow what the client has and what it has asked for.

func wildcard(typeURL string) bool { return typeURL == ClusterType || typeURL == ListenerType }

func named(typeURL string) bool { return typeURL == EndpointType || typeURL == RouteType }

// key is a resource of a type.
type key struct{ typeURL, name string }

// refused is the response that a request refuses, nil if it refuses none.
func refused(sent map[string]*discoveryv3.DeltaDiscoveryResponse, req *discoveryv3.DeltaDiscoveryRequest) *discoveryv3.DeltaDiscoveryResponse {
	if req.GetErrorDetail() == nil {
		return nil
	}
	return sent[req.GetResponseNonce()]
}

// checkRepeats keeps the version that the client certainly has of each resource:
// what it reported and what was sent since, less what was removed. Three things
// make it uncertain, and the next version of that resource may be any: a NACK of
// a response with it, a subscription by name, and a report with an empty version.
func checkRepeats(entries []Entry, broken reporter) {
	has := map[key]string{}
	asked := map[string]bool{}
	sent := map[string]*discoveryv3.DeltaDiscoveryResponse{}
	for i, e := range entries {
		if req := e.Request; req != nil && wildcard(req.GetTypeUrl()) {
			if !asked[req.GetTypeUrl()] {
				asked[req.GetTypeUrl()] = true
				for name, version := range req.GetInitialResourceVersions() {
					if version != "" {
						has[key{req.GetTypeUrl(), name}] = version
					}
				}
			}
			for _, r := range refused(sent, req).GetResources() {
				delete(has, key{req.GetTypeUrl(), r.GetName()})
			}
			for _, name := range req.GetResourceNamesSubscribe() {
				delete(has, key{req.GetTypeUrl(), name})
			}
		}
		if resp := e.Response; resp != nil && wildcard(resp.GetTypeUrl()) {
			sent[resp.GetNonce()] = resp
			for _, r := range resp.GetResources() {
				k := key{resp.GetTypeUrl(), r.GetName()}
				if version, ok := has[k]; ok && version == r.GetVersion() {
					broken(i, "%q is sent with version %q, which the client has", r.GetName(), version)
				}
				has[k] = r.GetVersion()
			}
			for _, name := range resp.GetRemovedResources() {
				delete(has, key{resp.GetTypeUrl(), name})
			}
		}
	}
}

// checkRemovals keeps the names that the client may have: those it reported or
// asked for, those that were sent, and those whose removal it refused.
func checkRemovals(entries []Entry, broken reporter) {
	may := map[key]bool{}
	asked := map[string]bool{}
	sent := map[string]*discoveryv3.DeltaDiscoveryResponse{}
	for i, e := range entries {
		if req := e.Request; req != nil && wildcard(req.GetTypeUrl()) {
			if !asked[req.GetTypeUrl()] {
				asked[req.GetTypeUrl()] = true
				for name := range req.GetInitialResourceVersions() {
					may[key{req.GetTypeUrl(), name}] = true
				}
			}
			for _, name := range refused(sent, req).GetRemovedResources() {
				may[key{req.GetTypeUrl(), name}] = true
			}
			for _, name := range req.GetResourceNamesSubscribe() {
				may[key{req.GetTypeUrl(), name}] = true
			}
		}
		if resp := e.Response; resp != nil && wildcard(resp.GetTypeUrl()) {
			sent[resp.GetNonce()] = resp
			for _, r := range resp.GetResources() {
				may[key{resp.GetTypeUrl(), r.GetName()}] = true
			}
			for _, name := range resp.GetRemovedResources() {
				if !may[key{resp.GetTypeUrl(), name}] {
					broken(i, "%q is removed, which the client does not have", name)
				}
			}
			for _, name := range resp.GetRemovedResources() {
				delete(may, key{resp.GetTypeUrl(), name})
			}
		}
	}
}

// checkSubscriptions allows two things beside what is subscribed to:
//   - a name that the client has unsubscribed from and has answered no response
//     of the type since: the two may have crossed on the way. The server has one
//     unanswered response of a type on the way, so what it sends after an answer
//     it sends knowing all that the client said before it;
//   - everything, if the type's first request named nothing: Consul then takes
//     the type as wildcard for the life of the stream.
func checkSubscriptions(entries []Entry, broken reporter) {
	asked := map[string]bool{}
	everything := map[string]bool{}
	subscribed := map[key]bool{}
	crossing := map[key]bool{}
	for i, e := range entries {
		if req := e.Request; req != nil && named(req.GetTypeUrl()) {
			url := req.GetTypeUrl()
			if !asked[url] {
				asked[url] = true
				everything[url] = len(req.GetResourceNamesSubscribe()) == 0
			}
			if req.GetResponseNonce() != "" {
				for k := range crossing {
					if k.typeURL == url {
						delete(crossing, k)
					}
				}
			}
			for _, name := range req.GetResourceNamesSubscribe() {
				subscribed[key{url, name}] = true
			}
			for _, name := range req.GetResourceNamesUnsubscribe() {
				k := key{url, name}
				crossing[k] = crossing[k] || subscribed[k]
				delete(subscribed, k)
			}
		}
		resp := e.Response
		if resp == nil || !named(resp.GetTypeUrl()) || everything[resp.GetTypeUrl()] {
			continue
		}
		for _, r := range resp.GetResources() {
			if k := (key{resp.GetTypeUrl(), r.GetName()}); !subscribed[k] && !crossing[k] {
				broken(i, "%q is sent, to which the client is not subscribed", r.GetName())
			}
		}
		for _, name := range resp.GetRemovedResources() {
			broken(i, "%q is removed, of a type of which nothing ever is", name)
		}
	}
}
