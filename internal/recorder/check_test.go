package recorder

import (
	"errors"
	"io"
	"slices"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// pack makes a resource of a type that calls itself name.
func pack(typeURL, name, version string) *discoveryv3.Resource {
	var m proto.Message
	switch typeURL {
	case ClusterType:
		m = &clusterv3.Cluster{Name: name, ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}}
	case EndpointType:
		m = &endpointv3.ClusterLoadAssignment{ClusterName: name}
	case ListenerType:
		m = &listenerv3.Listener{Name: name}
	case RouteType:
		m = &routev3.RouteConfiguration{Name: name}
	default:
		panic("no such type: " + typeURL)
	}
	packed, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return &discoveryv3.Resource{Name: name, Version: version, Resource: packed}
}

// resp is a response; resources are given as name, version pairs.
func resp(typeURL, nonce string, pairs ...string) *discoveryv3.DeltaDiscoveryResponse {
	r := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, Nonce: nonce}
	for i := 0; i < len(pairs); i += 2 {
		r.Resources = append(r.Resources, pack(typeURL, pairs[i], pairs[i+1]))
	}
	return r
}

func gone(typeURL, nonce string, names ...string) *discoveryv3.DeltaDiscoveryResponse {
	return &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, Nonce: nonce, RemovedResources: names}
}

func ack(typeURL, nonce string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResponseNonce: nonce}
}

func nack(typeURL, nonce string) *discoveryv3.DeltaDiscoveryRequest {
	req := ack(typeURL, nonce)
	req.ErrorDetail = &rpcstatus.Status{Message: "no"}
	return req
}

func sub(typeURL string, names ...string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: names}
}

func unsub(typeURL string, names ...string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesUnsubscribe: names}
}

// initial is a type's first request, from a client that reports name, version
// pairs.
func initial(typeURL string, pairs ...string) *discoveryv3.DeltaDiscoveryRequest {
	req := &discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:                 typeURL,
		Node:                    &corev3.Node{Id: "gateway"},
		InitialResourceVersions: map[string]string{},
	}
	for i := 0; i < len(pairs); i += 2 {
		req.InitialResourceVersions[pairs[i]] = pairs[i+1]
	}
	return req
}

// stream is the record of requests and responses.
func stream(messages ...any) []Entry {
	c := NewConversation()
	for _, m := range messages {
		switch m := m.(type) {
		case *discoveryv3.DeltaDiscoveryRequest:
			c.AddRequest(m)
		case *discoveryv3.DeltaDiscoveryResponse:
			c.AddResponse(m)
		case error:
			c.add(Entry{Garbled: m})
		default:
			panic("neither request nor response")
		}
	}
	return c.Snapshot()
}

// with changes a message in place, for the one thing that a row breaks.
func with[M any](m M, change func(M)) M {
	change(m)
	return m
}

// good is a stream with every turn that the rules must allow.
func good() []any {
	return []any{
		initial(ClusterType, "kept", "1", "renewed", "1", "lambda", ""),
		resp(ClusterType, "a", "renewed", "2", "lambda", "1", "new", "1"),
		sub(EndpointType, "new", "old"),
		resp(EndpointType, "b", "new", "1", "old", "1"),
		ack(EndpointType, "b"),
		ack(ClusterType, "a"),
		gone(ClusterType, "c", "kept"),
		ack(ClusterType, "c"),
		initial(ListenerType),
		resp(ListenerType, "d", "in", "1", "out", "1"),
		nack(ListenerType, "d"),
		// The refused response once more, with another version of one of them.
		resp(ListenerType, "e", "in", "2", "out", "1"),
		ack(ListenerType, "e"),
		sub(RouteType, "in"),
		resp(RouteType, "f", "in", "1"),
		ack(RouteType, "f"),
		// The cluster changes, so its endpoints come again with the same version.
		resp(ClusterType, "g", "new", "2"),
		resp(EndpointType, "h", "new", "1"),
		ack(EndpointType, "h"),
		ack(ClusterType, "g"),
		// A subscription that ends while a response is on its way.
		unsub(EndpointType, "old"),
		resp(EndpointType, "i", "old", "2"),
		ack(EndpointType, "i"),
		// A type without rules of its own.
		sub("type.googleapis.com/other", "x"),
		&discoveryv3.DeltaDiscoveryResponse{TypeUrl: "type.googleapis.com/other", Nonce: "j", RemovedResources: []string{"x"}},
		ack("type.googleapis.com/other", "j"),
	}
}

func TestGoodConversation(t *testing.T) {
	entries := stream(good()...)
	for n := range entries {
		for _, v := range Check(entries[:n+1]) {
			t.Errorf("after %d entries: %s", n+1, v)
		}
	}
	for _, v := range Settled(entries) {
		t.Error(v)
	}
}

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		messages []any // after a first clusters request that reports kept=1
		rule     string
		entry    int
	}{
		"undecodable message":                 {[]any{errors.New("decoding a response: no")}, "decodable", 1},
		"request without type":                {[]any{sub("")}, "types", 1},
		"response without type":               {[]any{&discoveryv3.DeltaDiscoveryResponse{Nonce: "a"}}, "types", 1},
		"empty nonce":                         {[]any{resp(ClusterType, "", "c", "1")}, "nonces", 1},
		"nonce twice":                         {[]any{resp(ClusterType, "a", "c", "1"), resp(ListenerType, "a", "l", "1")}, "nonces", 2},
		"answer to what was not sent":         {[]any{ack(ClusterType, "a")}, "answers", 1},
		"answer before the response":          {[]any{ack(ClusterType, "a"), resp(ClusterType, "a", "c", "1")}, "answers", 1},
		"answer of another type":              {[]any{resp(ClusterType, "a", "c", "1"), ack(ListenerType, "a")}, "answers", 2},
		"two answers":                         {[]any{resp(ClusterType, "a", "c", "1"), ack(ClusterType, "a"), nack(ClusterType, "a")}, "answers", 3},
		"refusal of nothing":                  {[]any{nack(ClusterType, "")}, "answers", 1},
		"late initial versions":               {[]any{initial(ClusterType, "c", "1")}, "initial-versions", 1},
		"resource twice":                      {[]any{resp(ClusterType, "a", "c", "1", "c", "2")}, "names", 1},
		"removed twice":                       {[]any{gone(ClusterType, "a", "kept", "kept")}, "names", 1},
		"sent and removed":                    {[]any{with(resp(ClusterType, "a", "c", "1"), func(r *discoveryv3.DeltaDiscoveryResponse) { r.RemovedResources = []string{"c"} })}, "names", 1},
		"cluster with another name":           {[]any{renamed(ClusterType)}, "own-names", 1},
		"listener with another name":          {[]any{renamed(ListenerType)}, "own-names", 1},
		"endpoints with another name":         {[]any{sub(EndpointType, "outer"), renamed(EndpointType)}, "own-names", 2},
		"route with another name":             {[]any{sub(RouteType, "outer"), renamed(RouteType)}, "own-names", 2},
		"resource of another type":            {[]any{with(resp(ClusterType, "a", "c", "1"), func(r *discoveryv3.DeltaDiscoveryResponse) { r.TypeUrl = ListenerType })}, "own-names", 1},
		"reported version again":              {[]any{resp(ClusterType, "a", "kept", "1")}, "repeats", 1},
		"sent version again":                  {[]any{resp(ListenerType, "a", "l", "1"), ack(ListenerType, "a"), resp(ListenerType, "b", "l", "1")}, "repeats", 3},
		"sent version again, unanswered":      {[]any{resp(ClusterType, "a", "c", "1"), resp(ClusterType, "b", "c", "1")}, "repeats", 2},
		"version again after another's NACK":  {[]any{resp(ClusterType, "a", "c", "1"), nack(ClusterType, "a"), resp(ClusterType, "b", "kept", "1")}, "repeats", 3},
		"removal of the unknown":              {[]any{gone(ClusterType, "a", "c")}, "removals", 1},
		"removal of what is removed":          {[]any{gone(ClusterType, "a", "kept"), ack(ClusterType, "a"), gone(ClusterType, "b", "kept")}, "removals", 3},
		"removal of another type's":           {[]any{initial(ListenerType), gone(ListenerType, "a", "kept")}, "removals", 2},
		"endpoints nobody asked for":          {[]any{sub(EndpointType, "x"), resp(EndpointType, "a", "y", "1")}, "subscriptions", 2},
		"endpoints before any request":        {[]any{resp(EndpointType, "a", "y", "1")}, "subscriptions", 1},
		"routes for endpoints' name":          {[]any{sub(EndpointType, "x"), sub(RouteType, "y"), resp(RouteType, "a", "x", "1")}, "subscriptions", 3},
		"endpoints long after unsubscription": {[]any{sub(EndpointType, "x"), unsub(EndpointType, "x"), resp(EndpointType, "a", "x", "1"), ack(EndpointType, "a"), resp(EndpointType, "b", "x", "2")}, "subscriptions", 5},
		"unsubscription from nothing":         {[]any{sub(EndpointType, "x"), unsub(EndpointType, "y"), resp(EndpointType, "a", "y", "1")}, "subscriptions", 3},
		"endpoints removed":                   {[]any{sub(EndpointType, "x"), gone(EndpointType, "a", "x")}, "subscriptions", 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			messages := append([]any{initial(ClusterType, "kept", "1")}, test.messages...)
			expect(t, Check(stream(messages...)), test.rule, test.entry)
		})
	}
	t.Run("first request without node", func(t *testing.T) {
		expect(t, Check(stream(sub(ClusterType), initial(ListenerType))), "node", 0)
	})
}

// TestStaleNonces: an answer to what was answered before, or is of another type, is the
// client's fault; that it has an effect is the server's.
func TestStaleNonces(t *testing.T) {
	tests := map[string]struct {
		messages []any // after a first clusters request that reports kept=1
		answers  int   // the stale entry
		rule     string
		entry    int // the effect
	}{
		"sent again for a second answer":         {[]any{resp(ClusterType, "a", "c", "1"), ack(ClusterType, "a"), nack(ClusterType, "a"), resp(ClusterType, "b", "c", "1")}, 3, "repeats", 4},
		"sent again for another type's refusal":  {[]any{resp(ClusterType, "a", "c", "1"), nack(ListenerType, "a"), resp(ClusterType, "b", "c", "1")}, 2, "repeats", 3},
		"sent again for an unknown nonce":        {[]any{resp(ClusterType, "a", "c", "1"), nack(ClusterType, "z"), resp(ClusterType, "b", "c", "1")}, 2, "repeats", 3},
		"removed again for a second answer":      {[]any{gone(ClusterType, "a", "kept"), ack(ClusterType, "a"), nack(ClusterType, "a"), gone(ClusterType, "b", "kept")}, 3, "removals", 4},
		"removed again for another type's nonce": {[]any{gone(ClusterType, "a", "kept"), nack(ListenerType, "a"), gone(ClusterType, "b", "kept")}, 2, "removals", 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Check(stream(append([]any{initial(ClusterType, "kept", "1")}, test.messages...)...))
			if len(got) != 2 {
				t.Fatalf("got %v, want two violations", got)
			}
			expect(t, got[:1], "answers", test.answers)
			expect(t, got[1:], test.rule, test.entry)
		})
	}
}

// renamed is a response with a resource whose own name is not the outer one.
func renamed(typeURL string) *discoveryv3.DeltaDiscoveryResponse {
	return with(resp(typeURL, "a", "inner", "1"), func(r *discoveryv3.DeltaDiscoveryResponse) { r.Resources[0].Name = "outer" })
}

// expect holds that exactly one rule was broken, by one entry.
func expect(t *testing.T, got []Violation, rule string, entry int) {
	t.Helper()
	if len(got) != 1 || got[0].Rule != rule || got[0].Entry != entry || got[0].Reason == "" {
		t.Errorf("got %v, want one violation of %q by entry %d", got, rule, entry)
	}
}

// TestCheckAllows holds what good does not show: turns in which a rule steps back.
func TestCheckAllows(t *testing.T) {
	tests := map[string][]any{
		"version again after its NACK":      {resp(ClusterType, "a", "c", "1"), nack(ClusterType, "a"), resp(ClusterType, "b", "c", "1")},
		"version again after its removal":   {gone(ClusterType, "a", "kept"), resp(ClusterType, "b", "kept", "1")},
		"version again after subscription":  {sub(ClusterType, "kept"), resp(ClusterType, "a", "kept", "1")},
		"removal again after its NACK":      {gone(ClusterType, "a", "kept"), nack(ClusterType, "a"), gone(ClusterType, "b", "kept")},
		"removal of what was asked for":     {sub(ClusterType, "c"), gone(ClusterType, "a", "c")},
		"wildcard endpoints":                {initial(EndpointType), resp(EndpointType, "a", "x", "1")},
		"unsubscription with the answer":    {sub(EndpointType, "x"), resp(EndpointType, "a", "x", "1"), with(ack(EndpointType, "a"), func(r *discoveryv3.DeltaDiscoveryRequest) { r.ResourceNamesUnsubscribe = []string{"x"} }), resp(EndpointType, "b", "x", "2")},
		"resource that cannot be decoded":   {with(resp(ClusterType, "a", "c", "1"), func(r *discoveryv3.DeltaDiscoveryResponse) { r.Resources[0].Resource.Value = []byte{0xff} })},
		"resource with neither body nor id": {with(resp(ClusterType, "a", "c", "1"), func(r *discoveryv3.DeltaDiscoveryResponse) { r.Resources[0].Resource = nil })},
	}
	for name, messages := range tests {
		t.Run(name, func(t *testing.T) {
			for _, v := range Check(stream(append([]any{initial(ClusterType, "kept", "1")}, messages...)...)) {
				t.Error(v)
			}
		})
	}
}

func TestSettled(t *testing.T) {
	clusters := func(nonce, version string) []any {
		return []any{resp(ClusterType, nonce, "c", version), ack(ClusterType, nonce)}
	}
	endpoints := func(nonce string) []any {
		return []any{resp(EndpointType, nonce, "c", "1"), ack(EndpointType, nonce)}
	}
	first := []any{initial(ClusterType)}
	subscribe := []any{sub(EndpointType, "c")}
	tests := map[string]struct {
		messages []any
		rule     string // empty: settled
		entry    int
	}{
		"all delivered":                         {slices.Concat(first, clusters("a", "1"), subscribe, endpoints("b")), "", 0},
		"response without answer":               {slices.Concat(first, clusters("a", "1"), []any{resp(ListenerType, "b", "l", "1")}), "unanswered", 3},
		"NACK is an answer":                     {[]any{initial(ClusterType), resp(ClusterType, "a", "c", "1"), nack(ClusterType, "a")}, "", 0},
		"no endpoints":                          {slices.Concat(first, clusters("a", "1"), subscribe), "endpoints", 3},
		"no endpoints after the change":         {slices.Concat(first, clusters("a", "1"), subscribe, endpoints("b"), clusters("d", "2")), "endpoints", 6},
		"no endpoints after subscribing again":  {slices.Concat(first, clusters("a", "1"), subscribe, endpoints("b"), subscribe), "endpoints", 6},
		"endpoints after the newest alone":      {slices.Concat(first, clusters("a", "1"), subscribe, clusters("d", "2"), endpoints("b")), "", 0},
		"nobody subscribed":                     {slices.Concat(first, clusters("a", "1")), "", 0},
		"unsubscribed":                          {slices.Concat(first, clusters("a", "1"), subscribe, []any{unsub(EndpointType, "c")}), "", 0},
		"removed":                               {slices.Concat(first, clusters("a", "1"), subscribe, []any{gone(ClusterType, "b", "c"), ack(ClusterType, "b")}), "", 0},
		"refused":                               {slices.Concat(first, subscribe, []any{resp(ClusterType, "a", "c", "1"), nack(ClusterType, "a")}), "", 0},
		"refused, but a newer one was accepted": {slices.Concat(first, subscribe, []any{resp(ClusterType, "a", "c", "1"), resp(ClusterType, "b", "c", "2"), nack(ClusterType, "a"), ack(ClusterType, "b")}), "endpoints", 3},
		"a stale refusal excuses nothing":       {slices.Concat(first, subscribe, clusters("a", "1"), []any{nack(ClusterType, "a")}), "endpoints", 2},
		"answer before the response":            {[]any{initial(ListenerType), ack(ListenerType, "a"), resp(ListenerType, "a", "l", "1")}, "unanswered", 2},
		"answer of another type":                {[]any{initial(ListenerType), resp(ListenerType, "a", "l", "1"), ack(ClusterType, "a")}, "unanswered", 1},
		"now static": {slices.Concat(first, clusters("a", "1"), subscribe, []any{with(resp(ClusterType, "b"), func(r *discoveryv3.DeltaDiscoveryResponse) {
			r.Resources = []*discoveryv3.Resource{packCluster(&clusterv3.Cluster{Name: "c"})}
		}), ack(ClusterType, "b")}), "", 0},
		"endpoints under another name": {slices.Concat(first, []any{with(resp(ClusterType, "a"), func(r *discoveryv3.DeltaDiscoveryResponse) {
			r.Resources = []*discoveryv3.Resource{packCluster(&clusterv3.Cluster{
				Name:                 "c",
				ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
				EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{ServiceName: "other"},
			})}
		}), ack(ClusterType, "a"), sub(EndpointType, "other", "c")}, endpoints("b")), "endpoints", 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Settled(stream(test.messages...))
			if test.rule != "" {
				expect(t, got, test.rule, test.entry)
			} else if len(got) > 0 {
				t.Errorf("got %v, want none", got)
			}
		})
	}
}

func packCluster(c *clusterv3.Cluster) *discoveryv3.Resource {
	packed, err := anypb.New(c)
	if err != nil {
		panic(err)
	}
	return &discoveryv3.Resource{Name: c.GetName(), Version: "2", Resource: packed}
}

func TestConversation(t *testing.T) {
	c := NewConversation("x-consul-token", "content-type")
	first := initial(ClusterType)
	c.AddRequest(first)
	c.AddResponse(resp(ClusterType, "a", "c", "1", "d", "1"))
	c.AddRequest(ack(ClusterType, "a"))
	c.AddResponse(resp(ListenerType, "b", "l", "1"))
	c.AddResponse(resp(ClusterType, "d", "c", "2"))
	if c.Ended() != nil {
		t.Errorf("ended with %v while it is open", c.Ended())
	}
	c.End(nil)
	c.AddRequest(ack(ClusterType, "d")) // too late
	c.End(errors.New("again"))

	if got, want := c.MetadataKeys(), []string{"content-type", "x-consul-token"}; !slices.Equal(got, want) {
		t.Errorf("metadata keys %v, want %v", got, want)
	}
	if diff := cmp.Diff([]Sent{{"c", "1"}, {"d", "1"}, {"c", "2"}}, c.Resources(ClusterType)); diff != "" {
		t.Errorf("clusters: %s", diff)
	}
	if c.FirstRequest(ClusterType) != first || c.FirstRequest(RouteType) != nil {
		t.Error("the first request is not the one that was made")
	}
	if got := len(c.Requests(ClusterType)); got != 2 {
		t.Errorf("%d requests for clusters, want 2", got)
	}
	if got := len(c.Responses(ListenerType)); got != 1 {
		t.Errorf("%d responses with listeners, want 1", got)
	}
	entries := c.Snapshot()
	if len(entries) != 6 || !errors.Is(entries[5].End, io.EOF) || !errors.Is(c.Ended(), io.EOF) {
		t.Errorf("%d entries, ended with %v, want 6 and EOF", len(entries), c.Ended())
	}
}
