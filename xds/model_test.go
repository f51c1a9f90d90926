package xds

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
)

// testPatcher patches EDS clusters named fn-... that are in its table while they
// have no endpoints, as direct invocation does, and DNS clusters whatever is in
// the table, as on a gateway. A fronted function's patch lingers. Listeners and
// routes that mention a slow function are patched.
type testPatcher struct {
	table   map[string]string // name to what the patch says
	slow    map[string]string // name to what the patch of what mentions it says
	fronted map[string]bool
}

func (p testPatcher) Subject(name string) string { return strings.TrimPrefix(name, "plain-") }

func (p testPatcher) Since(earlier Patcher) (subjects []string, all bool) {
	was := earlier.(testPatcher)
	for _, name := range modelClusters {
		if p.table[name] != was.table[name] || p.slow[name] != was.slow[name] || p.fronted[name] != was.fronted[name] {
			subjects = append(subjects, name)
		}
	}
	return subjects, false
}

func (p testPatcher) Candidate(typeURL, name string, _ Proxy) bool {
	if typeURL == typeListener {
		return len(p.slow) > 0
	}
	return p.table[name] != ""
}

func (p testPatcher) Unpatched(string, Proxy) *Unpatched { return nil }

func (p testPatcher) Endpoints(assignment []byte) Endpoints {
	var a endpointv3.ClusterLoadAssignment
	if err := proto.Unmarshal(assignment, &a); err != nil {
		panic(err)
	}
	if len(a.GetEndpoints()) == 0 {
		return EndpointsNone
	}
	return EndpointsSome
}

func (p testPatcher) Cluster(name string, raw []byte, _ Proxy, endpoints func(string) Endpoints) Verdict {
	var c clusterv3.Cluster
	if err := proto.Unmarshal(raw, &c); err != nil {
		panic(err)
	}
	switch {
	case c.GetType() == clusterv3.Cluster_LOGICAL_DNS:
		patch := p.patch(&c)
		patch.Transit = true
		return Verdict{Keep: true, Patch: patch}
	case !strings.HasPrefix(name, "fn-"):
		return Verdict{}
	case p.table[name] == "":
		return Verdict{Keep: true}
	case p.fronted[name]:
		return Verdict{Keep: true, Linger: true}
	case endpoints(name) == EndpointsNone:
		patch := p.patch(&c)
		patch.Behind = name == "fn-c"
		return Verdict{Keep: true, Watch: name, Patch: patch}
	}
	return Verdict{Keep: true, Watch: name}
}

// Subjects stand in what a listener or route of the model says, after its content.
func (p testPatcher) Subjects(typeURL string, raw []byte) []string {
	_, names, _ := strings.Cut(said(typeURL, raw), " ")
	return strings.Fields(names)
}

func (p testPatcher) Other(typeURL string, raw []byte, _ Proxy) *Patch {
	says := said(typeURL, raw)
	for _, name := range p.Subjects(typeURL, raw) {
		if p.slow[name] != "" {
			says += " " + p.slow[name]
		}
	}
	if says == said(typeURL, raw) {
		return nil
	}
	return &Patch{Key: typeURL + string(raw) + says, Make: func() Made {
		if strings.Contains(says, "panic") {
			panic("the model's patch fails")
		}
		if typeURL == typeListener {
			l := &listenerv3.Listener{}
			mustUnmarshal(raw, l)
			l.StatPrefix = says
			return Made{Encoded: mustMarshal(l)}
		}
		r := &routev3.RouteConfiguration{}
		mustUnmarshal(raw, r)
		r.InternalOnlyHeaders = []string{says}
		return Made{Encoded: mustMarshal(r)}
	}}
}

// said is what tells listeners and routes of the model apart.
func said(typeURL string, raw []byte) string {
	if typeURL == typeListener {
		l := &listenerv3.Listener{}
		mustUnmarshal(raw, l)
		return l.GetStatPrefix()
	}
	r := &routev3.RouteConfiguration{}
	mustUnmarshal(raw, r)
	return strings.Join(r.GetInternalOnlyHeaders(), "")
}

func (p testPatcher) patch(c *clusterv3.Cluster) *Patch {
	stat := p.table[c.GetName()]
	key := c.GetName() + " " + stat + " " + c.GetConnectTimeout().String()
	return &Patch{Key: key, Make: func() Made {
		if stat == "panic" {
			panic("the model's patch fails")
		}
		form := "" // like one without endpoints, which never lingers
		if stat != "" {
			form = "cluster"
		}
		return Made{Form: form, Cluster: &clusterv3.Cluster{
			Name:                 c.GetName(),
			AltStatName:          stat,
			ConnectTimeout:       c.GetConnectTimeout(),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		}}
	}}
}

// world is an Envoy, a session and a Consul, with what is on its way between them.
type world struct {
	t       *rapid.T
	consul  *modelConsul
	envoy   *modelEnvoy
	session *session
	patcher testPatcher
	inForce testPatcher

	toEnvoy  []*response
	toConsul []*discoveryv3.DeltaDiscoveryRequest

	wire *recorder.Conversation // Envoy's stream, as seen on the wire
}

var (
	modelClusters  = []string{"fn-a", "fn-b", "fn-c", "plain-a", "plain-b", "dns-a"}
	modelListeners = []string{"l-a", "l-b"}
)

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, consul: newModelConsul(), envoy: newModelEnvoy(),
		patcher: testPatcher{table: map[string]string{}, slow: map[string]string{}, fronted: map[string]bool{}},
	}
	for _, name := range modelClusters {
		w.consul.set(typeEndpoint, name, assignment(name, 0))
	}
	for _, name := range modelListeners {
		w.consul.set(typeRoute, "route-"+name, modelRoute("route-"+name, 0))
	}
	w.connect()
	return w
}

// connect begins a stream of Envoy's, as after a restart of lambdamesh.
func (w *world) connect() {
	w.inForce = w.patcher.clone()
	w.session = newSession(&corev3.Node{Id: "model"}, Proxy{}, w.inForce, newForms(prometheus.NewCounter(prometheus.CounterOpts{})))
	w.toEnvoy = nil
	w.wire = recorder.NewConversation()
	w.attach()
	w.envoy.connect()
}

func (w *world) attach() {
	w.consul.reset()
	w.toConsul = nil
	w.session.onAttached()
	w.drain()
}

func (w *world) lose() {
	if !w.session.attached {
		return
	}
	w.session.onLost()
	w.consul.reset()
	w.toConsul = nil
	w.drain()
}

func (p testPatcher) clone() testPatcher {
	return testPatcher{table: maps.Clone(p.table), slow: maps.Clone(p.slow), fronted: maps.Clone(p.fronted)}
}

// drain takes what the session wants sent.
func (w *world) drain() {
	for _, p := range w.session.down {
		frame := p.frame().Materialize()
		resp, err := parseResponse(frame)
		if err != nil {
			w.t.Fatal(err)
		}
		w.toEnvoy = append(w.toEnvoy, resp)
		var decoded discoveryv3.DeltaDiscoveryResponse
		if err := proto.Unmarshal(frame, &decoded); err != nil {
			w.t.Fatal(err)
		}
		w.wire.AddResponse(&decoded)
		w.t.Logf("relay to envoy: %s", brief(resp))
	}
	for _, req := range w.session.up {
		w.t.Logf("relay to consul: %v", req)
	}
	w.toConsul = append(w.toConsul, w.session.up...)
	w.session.down, w.session.up = nil, nil
}

// deliver moves one message; it reports false if there was none.
func (w *world) deliver(queue string) bool {
	switch queue {
	case "envoy to relay":
		if len(w.envoy.out) == 0 {
			return false
		}
		req := w.envoy.out[0]
		w.envoy.out = w.envoy.out[1:]
		w.wire.AddRequest(req)
		w.t.Logf("envoy to relay: %v", req)
		parsed, err := parseRequest(mustMarshal(req))
		if err != nil {
			w.t.Fatal(err)
		}
		w.session.onRequest(parsed)
	case "relay to envoy":
		if len(w.toEnvoy) == 0 {
			return false
		}
		resp := w.toEnvoy[0]
		w.toEnvoy = w.toEnvoy[1:]
		w.envoy.recv(resp)
	case "relay to consul":
		if len(w.toConsul) == 0 {
			return false
		}
		req := w.toConsul[0]
		w.toConsul = w.toConsul[1:]
		w.consul.recv(req)
	case "consul to relay":
		if len(w.consul.out) == 0 || !w.session.attached {
			return false
		}
		resp, err := parseResponse(w.consul.out[0].frame().Materialize())
		if err != nil {
			w.t.Fatal(err)
		}
		w.consul.out = w.consul.out[1:]
		w.t.Logf("consul to relay: %s", brief(resp))
		w.session.onResponse(resp)
	}
	w.drain()
	return true
}

// brief is a response in a line.
func brief(r *response) string {
	line := r.nonce + " " + shortType(r.typeURL)
	for _, res := range r.resources {
		line += " " + res.name + "=" + res.version
	}
	for _, name := range r.removed {
		line += " -" + name
	}
	return line
}

var queues = []string{"envoy to relay", "relay to envoy", "relay to consul", "consul to relay"}

// quiesce lets everything happen that is on its way, and all timers fire.
func (w *world) quiesce() {
	if !w.session.attached {
		w.attach()
	}
	for range 10_000 {
		moved := false
		for _, q := range queues {
			moved = w.deliver(q) || moved
		}
		if moved {
			continue
		}
		switch {
		case w.session.holding != nil:
			w.session.onHoldExpired()
		case len(w.session.parting) > 0:
			w.session.onParted()
		case w.session.wantsTicks():
			w.session.onTick()
		case w.session.wantsReattach():
			w.lose()
			w.attach()
		case slices.ContainsFunc(slices.Collect(maps.Values(w.consul.types)), func(t *modelConsulType) bool { return t.refused }):
			// Consul repeats what was refused at the next request of any type.
			w.toConsul = append(w.toConsul, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster})
		case w.session.waitsForNext():
			w.envoy.out = append(w.envoy.out, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeCluster})
		default:
			return
		}
		w.drain()
	}
	w.t.Fatal("the streams never come to rest")
}

// waitsForNext reports whether something of Consul's waits for Envoy's next request.
func (s *session) waitsForNext() bool {
	for _, t := range s.types {
		for _, r := range t.rejected {
			if !r.ours() {
				return true
			}
		}
	}
	return false
}

// check compares what Envoy has with what it is to have.
func (w *world) check() {
	t := w.t
	for _, v := range recorder.Check(w.wire.Snapshot()) {
		t.Errorf("on the wire: %v", v)
	}
	for _, v := range recorder.Settled(w.wire.Snapshot()) {
		t.Errorf("on the wire, at rest: %v", v)
	}
	for _, err := range append(w.consul.errs, w.envoy.errs...) {
		t.Error(err)
	}
	for url, ct := range w.consul.types {
		if ct.pending != "" {
			t.Errorf("consul's response %s of %s was never answered", ct.pending, shortType(url))
		}
	}
	if n := len(w.session.pending); n != 0 {
		t.Errorf("%d responses are taken for unanswered", n)
	}
	want := map[string]string{}
	for name, res := range w.consul.mesh[typeCluster] {
		want[name] = res.version
		p := w.patcher.clone()
		if p.table[name] == "panic" {
			p.table[name] = "bad"
		}
		v := p.Cluster(name, res.body, Proxy{}, func(name string) Endpoints {
			return p.Endpoints(w.consul.mesh[typeEndpoint][name].body)
		})
		if v.Patch != nil && (p.table[name] == "bad" || w.session.quarantined(typeCluster, name)) {
			// Contained (where Envoy named nothing, others of ours in that response, too):
			// an older form of ours, none with endpoints, or Consul's own if EDS.
			if got := w.envoy.state[typeCluster][name]; isPatched(got) || got == res.version && isEDS(res.body) {
				want[name] = got
			}
		} else if v.Patch != nil {
			made, err := newForm(v.Patch.Make())
			if err != nil {
				t.Fatal(err)
			}
			want[name] = patchedVersion(res.version, made.hash)
		}
	}
	same(t, "clusters", w.envoy.state[typeCluster], want)
	endpoints := map[string]string{}
	for name, version := range want {
		if !isPatched(version) {
			endpoints[name] = w.consul.mesh[typeEndpoint][name].version
		}
	}
	same(t, "endpoints", w.envoy.state[typeEndpoint], endpoints)
	if len(w.envoy.warming) > 0 {
		t.Errorf("clusters still warm: %v", w.envoy.warming)
	}
	listeners, routes := map[string]string{}, map[string]string{}
	for name, res := range w.consul.mesh[typeListener] {
		listeners[name] = w.other(typeListener, res)
		routes["route-"+name] = w.other(typeRoute, w.consul.mesh[typeRoute]["route-"+name])
	}
	same(t, "listeners", w.envoy.state[typeListener], listeners)
	same(t, "routes", w.envoy.state[typeRoute], routes)
	for _, url := range pushOrder {
		patched := 0
		for _, k := range w.session.typed(url).known {
			if k.origin != nil && k.origin.now().patched {
				patched++
			}
			if url == typeRoute && k.origin != nil && !k.wanted {
				t.Errorf("%s %s is remembered for nobody", shortType(url), k.name)
			}
		}
		if counted := w.session.typed(url).patched; patched != counted {
			t.Errorf("%s: %d are patched, counted %d", shortType(url), patched, counted)
		}
	}
	if len(w.envoy.lacksRoutes) > 0 {
		t.Errorf("routes that did not follow a changed listener: %v", w.envoy.lacksRoutes)
	}
	for name, h := range w.session.held {
		if len(h.watchers) == 0 {
			t.Errorf("endpoints %s are held for nobody", name)
		}
	}
}

// other is the version in which Envoy is to have a listener or a route: Consul's if it
// refused ours, or there is none.
func (w *world) other(url string, res resource) string {
	p := w.patcher.Other(url, res.body, Proxy{})
	if p == nil || w.session.quarantined(url, res.name) {
		return res.version
	}
	says := ""
	for _, name := range w.patcher.Subjects(url, res.body) {
		says += w.patcher.slow[name]
	}
	if strings.Contains(says, "bad") || strings.Contains(says, "panic") {
		return res.version
	}
	made, err := newForm(p.Make())
	if err != nil {
		w.t.Fatal(err)
	}
	return patchedVersion(res.version, made.hash)
}

func (s *session) quarantined(url, name string) bool {
	k := s.typed(url).known[name]
	return k != nil && k.origin != nil && len(k.origin.now().quarantine) > 0
}

func same(t *rapid.T, what string, got, want map[string]string) {
	if !maps.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// TestModel plays random histories and checks that they end well. Some kinds of
// events are left out of each history, so that others come close together.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(some(t, w.events()))
		w.t = t
		w.quiesce()
		w.check()
	})
}

// some leaves events out at random. There is always something that goes on.
func some(t *rapid.T, events map[string]func(*rapid.T)) map[string]func(*rapid.T) {
	for _, name := range slices.Sorted(maps.Keys(events)) {
		if name != "deliver" && name != "deliver more" && rapid.IntRange(0, 2).Draw(t, name) == 0 {
			delete(events, name)
		}
	}
	return events
}

// events are what may happen.
func (w *world) events() map[string]func(*rapid.T) {
	cluster := rapid.SampledFrom(modelClusters)
	function := rapid.SampledFrom([]string{"fn-a", "fn-b", "fn-c", "dns-a"})
	listener := rapid.SampledFrom(modelListeners)
	small := rapid.IntRange(0, 3)
	return map[string]func(*rapid.T){
		"deliver": func(t *rapid.T) {
			w.t = t
			w.deliver(rapid.SampledFrom(queues).Draw(t, "queue"))
		},
		"deliver more": func(t *rapid.T) {
			w.t = t
			for range rapid.IntRange(1, 12).Draw(t, "n") {
				for _, q := range queues {
					w.deliver(q)
				}
			}
		},
		"set cluster": func(t *rapid.T) {
			name := cluster.Draw(t, "name")
			w.consul.set(typeCluster, name, modelCluster(name, small.Draw(t, "content")))
		},
		"remove cluster": func(t *rapid.T) {
			w.consul.set(typeCluster, cluster.Draw(t, "name"), nil)
		},
		"set endpoints": func(t *rapid.T) {
			name := cluster.Draw(t, "name")
			w.consul.set(typeEndpoint, name, assignment(name, small.Draw(t, "count")))
		},
		"set listener": func(t *rapid.T) {
			name := listener.Draw(t, "name")
			w.consul.set(typeListener, name, modelListener(name, small.Draw(t, "content")))
		},
		"remove listener": func(t *rapid.T) {
			w.consul.set(typeListener, listener.Draw(t, "name"), nil)
		},
		"set route": func(t *rapid.T) {
			name := listener.Draw(t, "name")
			w.consul.set(typeRoute, "route-"+name, modelRoute("route-"+name, small.Draw(t, "content")))
		},
		"table": func(t *rapid.T) {
			name := function.Draw(t, "name")
			w.patcher.table[name] = []string{"", "arn-1", "arn-2", "bad", "panic"}[rapid.IntRange(0, 4).Draw(t, "arn")]
			w.envoy.names = rapid.Bool().Draw(t, "names")
			w.patcher.fronted[name] = rapid.Bool().Draw(t, "fronted")
			if rapid.Bool().Draw(t, "slower") { // else no listener and no route changes
				w.patcher.slow[name] = []string{"", "slow-1", "slow-2", "bad", "panic"}[rapid.IntRange(0, 4).Draw(t, "slow")]
			}
			next := w.patcher.clone()
			subjects, all := next.Since(w.inForce)
			w.inForce = next
			w.session.onPatcher(next, subjects, all)
			w.drain()
		},
		"envoy refuses": func(*rapid.T) { w.envoy.refuses = true },
		"hold expires":  func(*rapid.T) { w.session.onHoldExpired(); w.drain() },
		"part":          func(*rapid.T) { w.session.onParted(); w.drain() },
		"tick":          func(*rapid.T) { w.session.onTick(); w.drain() },
		"reread": func(*rapid.T) {
			if w.session.wantsReattach() {
				w.lose()
				w.attach()
			}
		},
		"lose consul": func(*rapid.T) { w.lose() },
		"attach": func(*rapid.T) {
			if !w.session.attached {
				w.attach()
			}
		},
		"envoy reconnects": func(*rapid.T) { w.connect() },
		"quiesce":          func(t *rapid.T) { w.t = t; w.quiesce(); w.check() },
	}
}

// modelCluster is a cluster whose content varies: DNS for dns-..., else EDS.
func modelCluster(name string, content int) []byte {
	c := &clusterv3.Cluster{
		Name:                 name,
		ConnectTimeout:       durationpb.New(time.Duration(content+1) * time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
	}
	if strings.HasPrefix(name, "dns-") {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
	}
	return mustMarshal(c)
}

// mentions are what the listeners and routes of the model say: content, then functions.
var mentions = []string{"0", "1 fn-a", "2 fn-a dns-a", "3 fn-b"}

func modelRoute(name string, content int) []byte {
	return mustMarshal(&routev3.RouteConfiguration{Name: name, InternalOnlyHeaders: mentions[content : content+1]})
}

// modelListener is a listener whose content varies; some lead to dns-a by its name.
func modelListener(name string, content int) []byte {
	l := &listenerv3.Listener{Name: name, StatPrefix: mentions[content]}
	if content%2 == 0 {
		l.FilterChains = []*listenerv3.FilterChain{{
			FilterChainMatch: &listenerv3.FilterChainMatch{ServerNames: []string{"dns-a"}},
		}}
	}
	return mustMarshal(l)
}

// assignment lists so many endpoints.
func assignment(name string, count int) []byte {
	a := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	for i := range count {
		a.Endpoints = append(a.Endpoints, &endpointv3.LocalityLbEndpoints{
			LbEndpoints: []*endpointv3.LbEndpoint{{HealthStatus: corev3.HealthStatus_UNHEALTHY}},
			Priority:    uint32(i),
		})
	}
	return mustMarshal(a)
}

func mustUnmarshal(b []byte, m proto.Message) {
	if err := proto.Unmarshal(b, m); err != nil {
		panic(err)
	}
}

func mustMarshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprint(err))
	}
	return b
}
