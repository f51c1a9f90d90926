package recorder

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// Violation is one breach of the protocol. It names resources and never shows
// what is in them: a cluster holds private keys.
type Violation struct {
	Entry  int    // index of the entry that broke the rule
	Rule   string // short and stable, for tests to compare
	Reason string
}

// String is for a test's message.
func (v Violation) String() string {
	return fmt.Sprintf("entry %d: %s: %s", v.Entry, v.Rule, v.Reason)
}

// reporter notes that the entry at an index broke the rule being checked.
type reporter func(entry int, format string, args ...any)

// rule is one invariant. check sees the whole stream and keeps its own state.
type rule struct {
	name  string
	check func(entries []Entry, broken reporter)
}

func apply(rules []rule, entries []Entry) []Violation {
	var found []Violation
	for _, r := range rules {
		r.check(entries, func(entry int, format string, args ...any) {
			found = append(found, Violation{Entry: entry, Rule: r.name, Reason: fmt.Sprintf(format, args...)})
		})
	}
	return found
}

// Check says where one stream broke the protocol. It holds for every prefix of a
// stream, so it may be asked while the stream is open. The result is grouped by
// rule.
//
//	decodable         every message can be decoded
//	types             every message has a type_url
//	node              the first request of the stream carries the Node
//	nonces            a response's nonce is not empty and new on the stream
//	answers           a request answers nothing or, once, a response of its type
//	initial-versions  initial_resource_versions stand in a type's first request only
//	names             a response names a resource once
//	own-names         a resource is of the response's type and bears its own name
//	repeats           of a wildcard type nothing is sent that the client has
//	removals          of a wildcard type nothing is removed that the client lacks
//	subscriptions     of a named type only what is subscribed to is sent, and
//	                  nothing is removed
//
// The wildcard types are clusters and listeners, the named types endpoints and
// routes.
func Check(entries []Entry) []Violation {
	return apply([]rule{
		{"decodable", checkDecodable},
		{"types", checkTypes},
		{"node", checkNode},
		{"nonces", checkNonces},
		{"answers", checkAnswers},
		{"initial-versions", checkInitialVersions},
		{"names", checkNames},
		{"own-names", checkOwnNames},
		{"repeats", checkRepeats},
		{"removals", checkRemovals},
		{"subscriptions", checkSubscriptions},
	}, entries)
}

func checkDecodable(entries []Entry, broken reporter) {
	for i, e := range entries {
		if e.Garbled != nil {
			broken(i, "%v", e.Garbled)
		}
	}
}

func checkTypes(entries []Entry, broken reporter) {
	for i, e := range entries {
		if e.Request != nil && e.Request.GetTypeUrl() == "" {
			broken(i, "request without type_url")
		}
		if e.Response != nil && e.Response.GetTypeUrl() == "" {
			broken(i, "response without type_url")
		}
	}
}

func checkNode(entries []Entry, broken reporter) {
	for i, e := range entries {
		if e.Request == nil {
			continue
		}
		if e.Request.GetNode() == nil {
			broken(i, "the first request has no Node")
		}
		return
	}
}

func checkNonces(entries []Entry, broken reporter) {
	seen := map[string]int{}
	for i, e := range entries {
		if e.Response == nil {
			continue
		}
		nonce := e.Response.GetNonce()
		if nonce == "" {
			broken(i, "response without nonce")
			continue
		}
		if first, dup := seen[nonce]; dup {
			broken(i, "nonce %q was that of entry %d", nonce, first)
			continue
		}
		seen[nonce] = i
	}
}

func checkAnswers(entries []Entry, broken reporter) {
	typeOf := map[string]string{}
	answered := map[string]int{}
	for i, e := range entries {
		if e.Response != nil {
			typeOf[e.Response.GetNonce()] = e.Response.GetTypeUrl()
		}
		if e.Request == nil {
			continue
		}
		nonce := e.Request.GetResponseNonce()
		if nonce == "" {
			if e.Request.GetErrorDetail() != nil {
				broken(i, "error_detail without response_nonce: it refuses nothing")
			}
			continue
		}
		sent, known := typeOf[nonce]
		first, again := answered[nonce]
		switch {
		case !known:
			broken(i, "response_nonce %q was not sent on this stream", nonce)
		case sent != e.Request.GetTypeUrl():
			broken(i, "response_nonce %q is that of a response of type %s, the request is of %s", nonce, sent, e.Request.GetTypeUrl())
		case again:
			broken(i, "nonce %q was answered by entry %d", nonce, first)
		default:
			answered[nonce] = i
		}
	}
}

// checkInitialVersions: Consul reads them in the first request of a type alone,
// so later ones would be lost without a word.
func checkInitialVersions(entries []Entry, broken reporter) {
	asked := map[string]bool{}
	for i, e := range entries {
		if e.Request == nil {
			continue
		}
		if asked[e.Request.GetTypeUrl()] && len(e.Request.GetInitialResourceVersions()) > 0 {
			broken(i, "initial_resource_versions after the first request of %s", e.Request.GetTypeUrl())
		}
		asked[e.Request.GetTypeUrl()] = true
	}
}

func checkNames(entries []Entry, broken reporter) {
	for i, e := range entries {
		resources := map[string]bool{}
		for _, r := range e.Response.GetResources() {
			if resources[r.GetName()] {
				broken(i, "%q stands twice in resources", r.GetName())
			}
			resources[r.GetName()] = true
		}
		removed := map[string]bool{}
		for _, name := range e.Response.GetRemovedResources() {
			if removed[name] {
				broken(i, "%q stands twice in removed_resources", name)
			}
			if resources[name] {
				broken(i, "%q stands in resources and in removed_resources", name)
			}
			removed[name] = true
		}
	}
}

func checkOwnNames(entries []Entry, broken reporter) {
	for i, e := range entries {
		for _, r := range e.Response.GetResources() {
			if r.GetResource() == nil {
				continue
			}
			if got, want := r.GetResource().GetTypeUrl(), e.Response.GetTypeUrl(); got != want {
				broken(i, "%q is of type %s in a response of type %s", r.GetName(), got, want)
				continue
			}
			if own, ok := ownName(r.GetResource()); ok && own != r.GetName() {
				broken(i, "%q calls itself %q", r.GetName(), own)
			}
		}
	}
}

// ownName is the name inside a packed resource of the four types.
func ownName(packed *anypb.Any) (string, bool) {
	switch packed.GetTypeUrl() {
	case ClusterType:
		m := &clusterv3.Cluster{}
		return unpacked(packed.UnmarshalTo(m), m.GetName)
	case EndpointType:
		m := &endpointv3.ClusterLoadAssignment{}
		return unpacked(packed.UnmarshalTo(m), m.GetClusterName)
	case ListenerType:
		m := &listenerv3.Listener{}
		return unpacked(packed.UnmarshalTo(m), m.GetName)
	case RouteType:
		m := &routev3.RouteConfiguration{}
		return unpacked(packed.UnmarshalTo(m), m.GetName)
	}
	return "", false
}

// unpacked is the name of a message that was decoded with err.
func unpacked(err error, name func() string) (string, bool) {
	if err != nil {
		return "", false
	}
	return name(), true
}
