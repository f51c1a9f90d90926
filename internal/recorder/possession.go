package recorder

import (
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// The rules here follow what the client has and what it has asked for.

func wildcard(typeURL string) bool { return typeURL == ClusterType || typeURL == ListenerType }

func named(typeURL string) bool { return typeURL == EndpointType || typeURL == RouteType }

// key is a resource of a type.
type key struct{ typeURL, name string }

// unanswered are the responses that a client has not answered, by nonce.
type unanswered map[string]*discoveryv3.DeltaDiscoveryResponse

// answer takes out the response that a request answers, nil if it answers none. A nonce
// that was answered before, or is that of another type, is stale: it means nothing.
func (u unanswered) answer(req *discoveryv3.DeltaDiscoveryRequest) *discoveryv3.DeltaDiscoveryResponse {
	resp := u[req.GetResponseNonce()]
	if resp == nil || resp.GetTypeUrl() != req.GetTypeUrl() {
		return nil
	}
	delete(u, req.GetResponseNonce())
	return resp
}

// refused is answer for refusals: nil if the request accepts what it answers.
func (u unanswered) refused(req *discoveryv3.DeltaDiscoveryRequest) *discoveryv3.DeltaDiscoveryResponse {
	resp := u.answer(req)
	if req.GetErrorDetail() == nil {
		return nil
	}
	return resp
}

// checkRepeats keeps the version that the client certainly has of each resource:
// what it reported and what was sent since, less what was removed. Three things
// make it uncertain, and the next version of that resource may be any: a NACK of
// a response with it, a subscription by name, and a report with an empty version.
func checkRepeats(entries []Entry, broken reporter) {
	has := map[key]string{}
	asked := map[string]bool{}
	sent := unanswered{}
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
			for _, r := range sent.refused(req).GetResources() {
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
	sent := unanswered{}
	for i, e := range entries {
		if req := e.Request; req != nil && wildcard(req.GetTypeUrl()) {
			if !asked[req.GetTypeUrl()] {
				asked[req.GetTypeUrl()] = true
				for name := range req.GetInitialResourceVersions() {
					may[key{req.GetTypeUrl(), name}] = true
				}
			}
			for _, name := range sent.refused(req).GetRemovedResources() {
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
	sent := unanswered{}
	for i, e := range entries {
		if req := e.Request; req != nil && named(req.GetTypeUrl()) {
			url := req.GetTypeUrl()
			if !asked[url] {
				asked[url] = true
				everything[url] = len(req.GetResourceNamesSubscribe()) == 0
			}
			if sent.answer(req) != nil {
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
		if resp == nil || !named(resp.GetTypeUrl()) {
			continue
		}
		sent[resp.GetNonce()] = resp
		if everything[resp.GetTypeUrl()] {
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
