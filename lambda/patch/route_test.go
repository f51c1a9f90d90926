package patch

import (
	"strings"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// timed is a Patcher of functions with these timeouts, in seconds; 0 for unknown.
func timed(t testing.TB, timeouts map[string]int) *Patcher {
	t.Helper()
	var services []lambda.Service
	for name, seconds := range timeouts {
		arn, err := lambda.ParseARN("arn:aws:lambda:us-east-1:123456789012:function:" + name)
		if err != nil {
			t.Fatal(err)
		}
		services = append(services, lambda.Service{
			Name: lambda.NewServiceName(name, "", ""), State: lambda.StateOK,
			Function: lambda.Function{ARN: arn, Timeout: time.Duration(seconds) * time.Second},
		})
	}
	p, err := New(lambda.NewTable(services...).WithIntentions(lambda.NewIntentions(true)), options(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// configOf is a route configuration of one route.
func configOf(t testing.TB, action *routev3.RouteAction) []byte {
	t.Helper()
	return marshal(t, &routev3.RouteConfiguration{Name: "r", VirtualHosts: []*routev3.VirtualHost{{
		Name: "v", Domains: []string{"*"},
		Routes: []*routev3.Route{{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			Action: &routev3.Route_Route{Route: action},
		}},
	}}})
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func to(service string) *routev3.RouteAction {
	return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: service + domain}}
}

func toEach(services ...string) *routev3.RouteAction {
	split := &routev3.WeightedCluster{}
	for _, service := range services {
		split.Clusters = append(split.Clusters, &routev3.WeightedCluster_ClusterWeight{Name: service + domain, Weight: wrapperspb.UInt32(1)})
	}
	return &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: split}}
}

func TestTimeouts(t *testing.T) {
	p := timed(t, map[string]int{"quick": 3, "slow": 20, "slowest": 890, "unknown": 0})
	const none = -1
	with := func(a *routev3.RouteAction, timeout, idle time.Duration) *routev3.RouteAction {
		if timeout != none {
			a.Timeout = durationpb.New(timeout)
		}
		if idle != none {
			a.IdleTimeout = durationpb.New(idle)
		}
		return a
	}
	tests := []struct {
		name          string
		action        *routev3.RouteAction
		timeout, idle time.Duration // what it has afterwards
	}{
		{"the function's", to("slow"), 35 * time.Second, 35 * time.Second},
		{"not below Envoy's default", to("quick"), 18 * time.Second, 18 * time.Second},
		{"at most 900 s", to("slowest"), 900 * time.Second, 900 * time.Second},
		{"unknown", to("unknown"), 900 * time.Second, 900 * time.Second},
		{"another case", to("SLOW"), 35 * time.Second, 35 * time.Second},
		{"a subset", to("v1.slow"), 35 * time.Second, 35 * time.Second},
		{"the slowest of several", toEach("slow", "quick"), 35 * time.Second, 35 * time.Second},
		{"beside an ordinary service", toEach("ordinary", "slow"), 35 * time.Second, 35 * time.Second},
		{"an ordinary service", to("ordinary"), none, none},
		{"a member of a failover", to("failover-target~0~slow"), none, none},
		{"the operator's, shorter", with(to("slow"), time.Second, none), time.Second, 35 * time.Second},
		{"the operator's, longer", with(to("slow"), time.Minute, none), time.Minute, time.Minute},
		{"none, by the operator", with(to("slow"), 0, none), 0, 35 * time.Second},
		{"the operator's idle timeout", with(to("slow"), none, time.Second), 35 * time.Second, time.Second},
		{"no idle timeout, by the operator", with(to("slow"), none, 0), 35 * time.Second, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := with(proto.CloneOf(test.action), test.timeout, test.idle)
			raw := configOf(t, test.action)
			got := &routev3.RouteConfiguration{}
			if err := proto.Unmarshal(amended(p, raw, Proxy{Kind: kindSidecar, Version: Version{1, 31, 0}}), got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.GetVirtualHosts()[0].GetRoutes()[0].GetRoute(), protocmp.Transform()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// amended is what becomes of a route configuration.
func amended(p *Patcher, raw []byte, proxy Proxy) []byte {
	if patch := p.Other(TypeRoute, raw, proxy); patch != nil {
		return patch.Make().Encoded
	}
	return raw
}

// Bodies have room where functions are invoked, if Envoy can be told so.
func TestBodyLimits(t *testing.T) {
	p := timed(t, map[string]int{"hello": 3})
	fronted, err := New(lambda.NewTable(lambda.Service{
		Name: lambda.NewServiceName("hello", "", ""), State: lambda.StateOK, Fronted: true,
		Function: p.table.Lookup(lambda.NewServiceName("hello", "", "")).Function,
	}), options(t))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		patcher *Patcher
		proxy   Proxy
		want    uint64
	}{
		{"terminating gateway", fronted, Proxy{Kind: kindTerminatingGateway, Version: current}, bodyLimit},
		{"sidecar that invokes", p, Proxy{Kind: kindSidecar, Datacenter: "dc1", Version: current}, bodyLimit},
		{"sidecar before a gateway", fronted, Proxy{Kind: kindSidecar, Datacenter: "dc1", Version: current}, 0},
		{"sidecar elsewhere", p, Proxy{Kind: kindSidecar, Datacenter: "dc2", Version: current}, 0},
		{"Envoy 1.36", p, Proxy{Kind: kindTerminatingGateway, Version: Version{1, 36, 2}}, bodyLimit},
		{"Envoy 1.35", p, Proxy{Kind: kindTerminatingGateway, Version: Version{1, 35, 9}}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got routev3.RouteConfiguration
			if err := proto.Unmarshal(amended(test.patcher, configOf(t, to("hello")), test.proxy), &got); err != nil {
				t.Fatal(err)
			}
			route := got.GetVirtualHosts()[0].GetRoutes()[0]
			if limit := route.GetRequestBodyBufferLimit().GetValue(); limit != test.want || (route.GetRequestBodyBufferLimit() == nil) != (test.want == 0) {
				t.Errorf("the limit is %v, want %d", route.GetRequestBodyBufferLimit(), test.want)
			}
		})
	}
}

// A mesh gateway's routes are never touched, nor is what does not lead outward.
func TestUntouchedRouting(t *testing.T) {
	for _, r := range recordings(t) {
		p := r.patcher(t, options(t))
		for _, o := range r.others {
			if patch := p.Other(o.typeURL, o.raw, Proxy{Kind: kindMeshGateway, Version: current}); patch != nil {
				t.Errorf("%s: %s is changed for a mesh gateway", r.name, o.name)
			}
			inbound := strings.HasPrefix(o.name, "public_listener:") || o.typeURL == TypeListener && r.proxy.Kind == kindTerminatingGateway
			if inbound && len(p.Subjects(o.typeURL, o.raw)) > 0 {
				t.Errorf("%s: %s would be remembered, with its keys", r.name, o.name)
			}
		}
	}
}

// Another ARN changes no route and no listener; another timeout does.
func TestRoutingDependsOnTimeoutsAlone(t *testing.T) {
	for _, r := range recordings(t) {
		for name, change := range map[string]func(*lambda.Function){
			"arn":     func(f *lambda.Function) { f.ARN.Name += "-2" },
			"timeout": func(f *lambda.Function) { f.Timeout = 7 * time.Second },
		} {
			var services []lambda.Service
			for _, s := range r.table.Services() {
				changed := *s
				change(&changed.Function)
				services = append(services, changed)
			}
			before, after := r.patcher(t, options(t)), recorded{table: lambda.NewTable(services...).WithIntentions(r.table.Intentions())}.patcher(t, options(t))
			for _, o := range r.others {
				was, is := before.Other(o.typeURL, o.raw, r.proxy), after.Other(o.typeURL, o.raw, r.proxy)
				if (was == nil) != (is == nil) {
					t.Fatalf("%s: %s: %s: changed before: %t, after: %t", r.name, o.name, name, was != nil, is != nil)
				}
				if was == nil || strings.HasPrefix(o.name, "hello-prod") { // its timeout is the operator's
					continue
				}
				if same := was.Key == is.Key; same != (name == "arn") {
					t.Errorf("%s: %s: another %s gives the same: %t", r.name, o.name, name, same)
				}
			}
		}
	}
}

// What Envoy's own rules refuse goes as Consul sent it.
func TestInvalidRouting(t *testing.T) {
	action := to("hello")
	action.HashPolicy = []*routev3.RouteAction_HashPolicy{{}} // its oneof is required
	raw := configOf(t, action)
	made := timed(t, map[string]int{"hello": 3}).Other(TypeRoute, raw, Proxy{Version: current}).Make()
	if string(made.Encoded) != string(raw) || made.Reason == "" {
		t.Errorf("reason %q, changed: %t", made.Reason, string(made.Encoded) != string(raw))
	}
}

// Scanning and writing fields does what decoding and encoding does, on any input.
func FuzzRouting(f *testing.F) {
	for _, r := range recordings(f) {
		for _, o := range r.others {
			f.Add(o.typeURL == TypeListener, o.raw)
		}
	}
	f.Add(false, []byte{0xff})
	p := timed(f, map[string]int{"hello": 3, "solo": 20, "solo-b": 900})
	proxy := Proxy{Kind: kindSidecar, Datacenter: "dc1", Version: current}
	f.Fuzz(func(t *testing.T, listener bool, raw []byte) {
		if listener {
			_ = p.Subjects(TypeListener, raw)
			_ = p.Other(TypeListener, raw, proxy)
			return
		}
		before := &routev3.RouteConfiguration{}
		if proto.Unmarshal(raw, before) != nil {
			_ = p.Other(TypeRoute, raw, proxy)
			return
		}
		joined := marshal(t, before) // messages that came in two parts are one
		changed := p.Other(TypeRoute, joined, proxy)
		if changed == nil {
			return
		}
		after := &routev3.RouteConfiguration{}
		if err := proto.Unmarshal(changed.Make().Encoded, after); err != nil {
			t.Fatal(err)
		}
		for i, host := range after.GetVirtualHosts() {
			for j, route := range host.GetRoutes() {
				was := before.GetVirtualHosts()[i].GetRoutes()[j]
				if was.GetRoute().GetTimeout() == nil && route.GetRoute() != nil {
					route.GetRoute().Timeout = nil
				}
				if was.GetRoute().GetIdleTimeout() == nil && route.GetRoute() != nil {
					route.GetRoute().IdleTimeout = nil
				}
				if was.GetRequestBodyBufferLimit() == nil {
					route.RequestBodyBufferLimit = nil
				}
			}
		}
		if diff := cmp.Diff(before, after, protocmp.Transform()); diff != "" {
			t.Errorf("more than timeouts and limits changed:\n%s", diff)
		}
	})
}
