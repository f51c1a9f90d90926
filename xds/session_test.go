package xds

import (
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// played is a session of which a test plays both peers, message by message: for the
// histories that the model seldom or never comes upon.
type played struct {
	*session
	t *testing.T
}

// play begins with an attached session, whose Envoy has asked for nothing yet.
func play(t *testing.T, p Patcher) *played {
	s := newSession(&corev3.Node{Id: "played"}, Proxy{}, p, newForms(prometheus.NewCounter(prometheus.CounterOpts{})))
	s.onAttached()
	return &played{s, t}
}

// functions is a Patcher by which these clusters are functions.
func functions(arn string, names ...string) testPatcher {
	p := testPatcher{table: map[string]string{}}
	for _, name := range names {
		p.table[name] = arn
	}
	return p
}

// asks takes a request of Envoy's, and returns what goes to Consul for it.
func (p *played) asks(req *discoveryv3.DeltaDiscoveryRequest) []string {
	p.t.Helper()
	parsed, err := parseRequest(mustMarshal(req))
	if err != nil {
		p.t.Fatal(err)
	}
	p.onRequest(parsed)
	return p.up()
}

// acks is Envoy's answer to a response.
func (p *played) acks(resp *response) []string {
	p.t.Helper()
	return p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.typeURL, ResponseNonce: resp.nonce})
}

// sends takes a response of Consul's, at the version that its content has.
func (p *played) sends(url, nonce string, bodies map[string][]byte) {
	p.t.Helper()
	resp := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, Nonce: nonce}
	for name, body := range bodies {
		resp.Resources = append(resp.Resources, &discoveryv3.Resource{
			Name: name, Version: "v" + string(rune('a'+hash(body)%26)), Resource: &anypb.Any{TypeUrl: url, Value: body},
		})
	}
	p.sendsFrame(mustMarshal(resp))
}

func (p *played) sendsFrame(frame []byte) {
	p.t.Helper()
	parsed, err := parseResponse(frame)
	if err != nil {
		p.t.Fatal(err)
	}
	p.onResponse(parsed)
}

// up is what has come to go to Consul, a line each.
func (p *played) up() (lines []string) {
	for _, req := range p.session.up {
		line := shortType(req.GetTypeUrl())
		if req.GetResponseNonce() != "" && req.GetErrorDetail() != nil {
			line += " refuses " + req.GetResponseNonce()
		} else if req.GetResponseNonce() != "" {
			line += " takes " + req.GetResponseNonce()
		}
		for _, name := range req.GetResourceNamesSubscribe() {
			line += " +" + name
		}
		for _, name := range req.GetResourceNamesUnsubscribe() {
			line += " -" + name
		}
		lines = append(lines, line)
	}
	p.session.up = nil
	return lines
}

// gets is the one response that has come to go to Envoy, and brings these resources.
func (p *played) gets(url string, names ...string) *response {
	p.t.Helper()
	if len(p.down) != 1 {
		p.t.Fatalf("%d responses go to envoy, want one of %s %v", len(p.down), shortType(url), names)
	}
	resp := p.down[0].response
	p.down = nil
	var got []string
	for _, res := range resp.resources {
		got = append(got, res.name)
	}
	slices.Sort(got)
	if resp.typeURL != url || !slices.Equal(got, names) {
		p.t.Fatalf("to envoy goes %s, want %s %v", brief(resp), shortType(url), names)
	}
	return resp
}

func (p *played) getsNothing() {
	p.t.Helper()
	for _, down := range p.down {
		p.t.Errorf("to envoy goes %s, want nothing", brief(down.response))
	}
}

// wants compares what goes to Consul.
func wants(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("to consul go\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}

// listening brings a session to where its Envoy has these clusters, with so many
// endpoints each, and has asked for listeners.
func (p *played) listening(endpoints int, names ...string) {
	p.t.Helper()
	clusters, assignments := map[string][]byte{}, map[string][]byte{}
	for _, name := range names {
		clusters[name], assignments[name] = modelCluster(name, 0), assignment(name, endpoints)
	}
	p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster})
	p.sends(typeCluster, "c1", clusters)
	p.sends(typeEndpoint, "e1", assignments)
	first := p.gets(typeCluster, names...)
	if endpoints > 0 {
		p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesSubscribe: names})
		p.acks(p.gets(typeEndpoint, names...))
	}
	p.acks(first)
	p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeListener})
	p.getsNothing()
}

// TestRefusalGoesUpAlone: what Envoy asks for in the request by which it refuses a
// response goes up in another, since Consul reads no further in a refusal.
func TestRefusalGoesUpAlone(t *testing.T) {
	p := play(t, functions(""))
	p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesSubscribe: []string{"a", "b"}})
	p.sends(typeEndpoint, "e1", map[string][]byte{"a": assignment("a", 1), "b": assignment("b", 1)})
	wants(t, p.asks(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: typeEndpoint, ResponseNonce: p.gets(typeEndpoint, "a", "b").nonce, ErrorDetail: &status.Status{Code: 13},
		ResourceNamesSubscribe: []string{"c"}, ResourceNamesUnsubscribe: []string{"b"},
	}), "endpoint refuses e1", "endpoint +c -b")
}

// TestAnswersOutOfTurn: an answer to our own push, one that is given twice and one to a
// nonce that never was are nobody's; what is asked for in them goes up all the same. The
// answer to Consul's own response counts however late it comes.
func TestAnswersOutOfTurn(t *testing.T) {
	p := play(t, functions("arn-1", "fn-a"))
	p.listening(0, "fn-a")
	p.up()
	p.sends(typeCluster, "c2", map[string][]byte{"fn-a": modelCluster("fn-a", 1)})
	consuls := p.gets(typeCluster, "fn-a")
	p.onPatcher(functions("arn-2", "fn-a"), []string{"fn-a"}, false)
	ours := p.gets(typeCluster, "fn-a")
	wants(t, p.acks(ours))
	wants(t, p.acks(ours))
	wants(t, p.acks(consuls), "cluster takes c2")
	wants(t, p.acks(consuls))
	wants(t, p.asks(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: typeCluster, ResponseNonce: "c2", ResourceNamesSubscribe: []string{"more"},
	}), "cluster +more")
	p.getsNothing()
}

// TestOnePushAtATime: while Envoy has not answered a push of ours, what changes waits,
// and goes as it is in the end.
func TestOnePushAtATime(t *testing.T) {
	p := play(t, functions("arn-1", "fn-a"))
	p.listening(0, "fn-a")
	p.onPatcher(functions("arn-2", "fn-a"), []string{"fn-a"}, false)
	second := p.gets(typeCluster, "fn-a")
	for _, arn := range []string{"arn-3", "arn-4"} {
		p.onPatcher(functions(arn, "fn-a"), []string{"fn-a"}, false)
		p.getsNothing()
	}
	p.acks(second)
	last := p.gets(typeCluster, "fn-a")
	if !strings.Contains(string(last.resources[0].body), "arn-4") {
		t.Errorf("what goes is not the last: %q", last.resources[0].body)
	}
	p.acks(last)
	p.getsNothing()
}

// TestHeldEndpointsStaySubscribed: an Envoy that was given the function's form drops the
// endpoints of the cluster. We do not: they decide when it is to have Consul's form again.
func TestHeldEndpointsStaySubscribed(t *testing.T) {
	p := play(t, functions("arn", "fn-a"))
	p.listening(1, "fn-a")
	p.sends(typeEndpoint, "e2", map[string][]byte{"fn-a": assignment("fn-a", 0)})
	swap := p.gets(typeCluster, "fn-a")
	if !isPatched(swap.resources[0].version) {
		t.Fatalf("without endpoints envoy gets %s", brief(swap))
	}
	p.up()
	wants(t, p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesUnsubscribe: []string{"fn-a"}}))
	wants(t, p.acks(swap))
	p.sends(typeEndpoint, "e3", map[string][]byte{"fn-a": assignment("fn-a", 2)})
	wants(t, p.up(), "endpoint takes e3")
	if back := p.gets(typeCluster, "fn-a"); isPatched(back.resources[0].version) {
		t.Fatalf("with endpoints envoy gets %s", brief(back))
	}
	// Its endpoints follow, from our copy.
	wants(t, p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeEndpoint, ResourceNamesSubscribe: []string{"fn-a"}}))
	p.gets(typeEndpoint, "fn-a")
}

// TestUnknownTypesPass: what this program knows nothing of passes both ways as it came,
// fields of later versions of the protocol included.
func TestUnknownTypesPass(t *testing.T) {
	const future = "type.googleapis.com/envoy.future.v9.Thing"
	p := play(t, functions(""))
	wants(t, p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: future, ResourceNamesSubscribe: []string{"x"}}), "other +x")
	resource := &discoveryv3.Resource{Name: "x", Version: "1", Aliases: []string{"y"}, Resource: &anypb.Any{TypeUrl: future, Value: []byte("\x01opaque")}}
	later := protowire.AppendString(protowire.AppendTag(nil, 900, protowire.BytesType), "later")
	resource.ProtoReflect().SetUnknown(later)
	sent := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl: future, Nonce: "f1", SystemVersionInfo: "s",
		Resources: []*discoveryv3.Resource{resource}, RemovedResources: []string{"z"},
	}
	sent.ProtoReflect().SetUnknown(later)
	p.sendsFrame(mustMarshal(sent))
	resp := p.gets(future, "x")
	var got discoveryv3.DeltaDiscoveryResponse
	mustUnmarshal(resp.frame().Materialize(), &got)
	sent.Nonce = resp.nonce
	if !proto.Equal(&got, sent) {
		t.Errorf("to envoy goes %v, want %v", &got, sent)
	}
	wants(t, p.acks(resp), "other takes f1")

	// Of a type that Envoy has not asked for there is nothing to pass, and Consul waits for an answer.
	p.sends("type.googleapis.com/envoy.future.v9.Other", "o1", map[string][]byte{"x": nil})
	p.getsNothing()
	wants(t, p.up(), "other takes o1")
}

// TestStarAmongNames: an Envoy that wants all clusters and some that it asked for on
// demand names both in its next stream. To Consul a star is a plain name, by which it
// would find nothing (1.22.5); all are asked for by naming none.
func TestStarAmongNames(t *testing.T) {
	for _, names := range [][]string{nil, {"*"}, {"*", "a"}, {"a", "*"}} {
		p := play(t, functions(""))
		wants(t, p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster, ResourceNamesSubscribe: names}), "cluster")
		p.sends(typeCluster, "c1", map[string][]byte{"a": modelCluster("a", 0), "b": modelCluster("b", 0)})
		p.gets(typeCluster, "a", "b")
	}
}

// TestNoPushWithoutConsul: a stream whose token may have been revoked is given nothing of
// what we know: neither while Consul is away, nor before it has answered again.
func TestNoPushWithoutConsul(t *testing.T) {
	p := play(t, functions("arn-1", "fn-a"))
	p.listening(0, "fn-a")
	p.onLost()
	p.onPatcher(functions("arn-2", "fn-a"), []string{"fn-a"}, false)
	p.getsNothing()
	p.onAttached()
	p.onPatcher(functions("arn-3", "fn-a"), []string{"fn-a"}, false)
	p.getsNothing()
	p.sends(typeListener, "l1", nil) // no clusters: it says little of the token
	p.acks(p.gets(typeListener))
	p.getsNothing()
	p.sends(typeCluster, "c1", nil)
	if got := p.gets(typeCluster, "fn-a"); !strings.Contains(string(got.resources[0].body), "arn-3") {
		t.Errorf("to envoy goes %q", got.resources[0].body)
	}
}

// TestNoPushBeforeListeners: until Envoy has asked for listeners its first clusters stay
// as they are, or it would never finish its initialization (1.40.0).
func TestNoPushBeforeListeners(t *testing.T) {
	p := play(t, functions("", "fn-a"))
	p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster})
	p.sends(typeCluster, "c1", map[string][]byte{"dns-a": modelCluster("dns-a", 0)})
	p.acks(p.gets(typeCluster, "dns-a"))
	p.onPatcher(functions("arn", "dns-a"), []string{"dns-a"}, false)
	p.getsNothing()
	p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeListener})
	p.gets(typeCluster, "dns-a")
}

// TestFirstClustersAreHeld: they wait for the endpoints that decide on one of them, and
// go as they came when those do not come in time.
func TestFirstClustersAreHeld(t *testing.T) {
	for name, end := range map[string]func(*played){
		"told":    func(p *played) { p.sends(typeEndpoint, "e1", map[string][]byte{"fn-a": assignment("fn-a", 0)}) },
		"expired": func(p *played) { p.onHoldExpired() },
	} {
		p := play(t, functions("arn", "fn-a"))
		p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster})
		p.sends(typeCluster, "c1", map[string][]byte{"fn-a": modelCluster("fn-a", 0)})
		p.getsNothing()
		end(p)
		if got := p.gets(typeCluster, "fn-a"); isPatched(got.resources[0].version) != (name == "told") {
			t.Errorf("%s: to envoy goes %s", name, brief(got))
		}
	}
}

// TestUnreadClusterIsReadAgain: Envoy brought along a cluster that Consul had no reason to
// send again; now it is a function's. Only another attachment brings Consul's form of it.
func TestUnreadClusterIsReadAgain(t *testing.T) {
	p := play(t, functions("", "fn-a"))
	p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster, InitialResourceVersions: map[string]string{"fn-a": "v1"}})
	p.sends(typeCluster, "c1", nil)
	if p.wantsReattach() {
		t.Error("it is read again before anybody wants it changed")
	}
	p.onPatcher(functions("arn", "fn-a"), []string{"fn-a"}, false)
	if !p.wantsReattach() {
		t.Error("it is not read again")
	}
}

// TestContainedResponseIsWhole: what is sent again in place of a response that Envoy
// refused for our form takes away what that took away, and has what we do not know.
func TestContainedResponseIsWhole(t *testing.T) {
	p := play(t, functions("arn", "dns-a"))
	p.asks(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster, InitialResourceVersions: map[string]string{"old": "v1"}})
	sent := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl: typeCluster, Nonce: "c1", SystemVersionInfo: "s", RemovedResources: []string{"old"},
		Resources: []*discoveryv3.Resource{{Name: "dns-a", Version: "v1", Resource: &anypb.Any{TypeUrl: typeCluster, Value: modelCluster("dns-a", 0)}}},
	}
	p.sendsFrame(mustMarshal(sent))
	first := p.gets(typeCluster, "dns-a")
	p.up()
	wants(t, p.asks(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: typeCluster, ResponseNonce: first.nonce, ErrorDetail: &status.Status{Code: 13, Message: "dns-a: bad"},
	}))
	again := p.gets(typeCluster, "dns-a")
	var got discoveryv3.DeltaDiscoveryResponse
	mustUnmarshal(again.frame().Materialize(), &got)
	if !slices.Equal(got.GetRemovedResources(), []string{"old"}) || got.GetSystemVersionInfo() != "s" {
		t.Errorf("what is sent again is %v", &got)
	}
	wants(t, p.acks(again), "cluster takes c1")
}
