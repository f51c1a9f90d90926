package patch

import (
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/lambdamesh/lambdamesh/lambda"
)

var (
	gatewayInvokes = []string{"Report_Daily" + domain, "extended" + domain, "hello-prod" + domain, "hello" + domain}
	gatewayEmpties = []string{"disabled" + domain, "mistaken" + domain, "plain" + domain, "tcp" + domain}
	sidecarInvokes = []string{"a465cebd~solo-b" + domain, "extended-solo" + domain, "solo-b" + domain, "solo" + domain, "v1.subsets" + domain}
)

// What a proxy of unknown kind gets is what is safe by the shape of its clusters.
func TestUnknownKind(t *testing.T) {
	tests := []struct {
		recording string
		localApp  bool
		invokes   []string
		empties   []string
	}{
		{"terminating-gateway", false, gatewayInvokes, gatewayEmpties},
		{"sidecar-without-gateway", true, sidecarInvokes, nil},
		{"sidecar-without-gateway", false, []string{"extended-solo" + domain}, nil}, // as on a gateway
		{"ingress-gateway", false, nil, nil},
		{"mesh-gateway", false, nil, nil},
		{"mesh-gateway", true, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.recording, func(t *testing.T) {
			r := recordingOf(t, test.recording)
			for name := range r.endpoints {
				r.endpoints[name] = EndpointsNone // the hardest case for a mesh gateway
			}
			r.proxy.Kind, r.proxy.LocalApp = "", test.localApp
			got := r.verdicts(r.patcher(t, options(t)))
			if diff := cmp.Diff(test.invokes, patched(got, FormCluster)); diff != "" {
				t.Errorf("invoking (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.empties, patched(got, "")); diff != "" {
				t.Errorf("without endpoints (-want +got):\n%s", diff)
			}
		})
	}
}

// A sidecar whose kind is still unknown may turn out to invoke directly, so its
// clusters have to be remembered; those of a mesh gateway need not.
func TestKeepOfUnknownKind(t *testing.T) {
	for recording, want := range map[string]bool{"sidecar-without-gateway": true, "mesh-gateway": false} {
		r := recordingOf(t, recording)
		r.proxy.Kind, r.proxy.LocalApp = "", false
		for name, v := range r.verdicts(r.patcher(t, options(t))) {
			never := name == "local_app" || name == "spare"+domain // an aggregate
			if v.Keep != (want && !never) {
				t.Errorf("%s: %s: keep = %t", recording, name, v.Keep)
			}
		}
	}
}

func TestEndpointsDecide(t *testing.T) {
	const name = "solo" + domain
	for _, endpoints := range []Endpoints{EndpointsUnknown, EndpointsNone, EndpointsSome} {
		r := recordingOf(t, "sidecar-without-gateway")
		r.endpoints[name] = endpoints
		v := r.verdicts(r.patcher(t, options(t)))[name]
		if (v.Patch != nil) != (endpoints == EndpointsNone) {
			t.Errorf("endpoints %d: patch = %v", endpoints, v.Patch)
		}
		if v.Watch != name || !v.Keep {
			t.Errorf("endpoints %d: watch %q, keep %t", endpoints, v.Watch, v.Keep)
		}
	}
}

// Endpoints are asked for by the name that the cluster gives them.
func TestEndpointsName(t *testing.T) {
	const name = "solo" + domain
	r := recordingOf(t, "sidecar-without-gateway")
	for i, c := range r.clusters {
		if c.name != name {
			continue
		}
		var m clusterv3.Cluster
		if err := proto.Unmarshal(c.raw, &m); err != nil {
			t.Fatal(err)
		}
		m.EdsClusterConfig.ServiceName = "elsewhere"
		raw, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		r.clusters[i].raw = raw
	}
	r.endpoints["elsewhere"], r.endpoints[name] = EndpointsNone, EndpointsSome
	if v := r.verdicts(r.patcher(t, options(t)))[name]; v.Watch != "elsewhere" || v.Patch == nil {
		t.Errorf("watch %q, patch %v", v.Watch, v.Patch)
	}
}

func TestOldEnvoy(t *testing.T) {
	old := Version{Major: 1, Minor: 29, Patch: 11}
	r := recordingOf(t, "terminating-gateway")
	r.proxy.Version = old
	for name, v := range r.verdicts(r.patcher(t, options(t))) {
		if v.Patch != nil && v.Patch.Make().Form != "" {
			t.Errorf("%s invokes", name)
		}
		if strings.HasPrefix(name, "hello.") && !strings.Contains(v.Patch.Make().Reason, "1.30") {
			t.Errorf("%s: reason %q", name, v.Patch.Make().Reason)
		}
	}
	r = recordingOf(t, "sidecar-without-gateway")
	r.proxy.Version = old
	for name, v := range r.verdicts(r.patcher(t, options(t))) {
		if name == "extended-solo"+domain {
			if made := v.Patch.Make(); made.Form != "" || !strings.Contains(made.Reason, "1.30") {
				t.Errorf("%s: form %q, reason %q", name, made.Form, made.Reason)
			}
		} else if v != (Verdict{}) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestDatacenter(t *testing.T) {
	tests := []struct {
		proxy, option string
		direct        bool
	}{
		{"dc1", "", true},
		{"", "dc1", true},
		{"dc1", "dc2", true},
		{"dc2", "dc1", false},
		{"", "dc2", false},
		{"", "", false},
	}
	for _, test := range tests {
		r := recordingOf(t, "sidecar-without-gateway")
		r.proxy.Datacenter = test.proxy
		opts := options(t)
		opts.Datacenter = test.option
		p := r.patcher(t, opts)
		if got := len(patched(r.verdicts(p), FormCluster)) > 0; got != test.direct {
			t.Errorf("proxy %q, option %q: direct = %t", test.proxy, test.option, got)
		}
		if got := p.Candidate("solo"+domain, r.proxy); got != test.direct {
			t.Errorf("proxy %q, option %q: candidate = %t", test.proxy, test.option, got)
		}
	}
}

func TestDirect(t *testing.T) {
	tests := []struct {
		direct Direct
		want   []string
		keep   bool
	}{
		{"", nil, true},
		{DirectAuto, nil, true},
		{DirectAutoFailover, []string{"hello-prod" + domain, "hello" + domain}, true},
		{DirectNever, nil, false},
	}
	for _, test := range tests {
		t.Run(string(test.direct), func(t *testing.T) {
			r := recordingOf(t, "sidecar-with-gateway")
			for name := range r.endpoints {
				r.endpoints[name] = EndpointsNone // the gateway is gone
			}
			opts := options(t)
			opts.Direct = test.direct
			got := r.verdicts(r.patcher(t, opts))
			if diff := cmp.Diff(test.want, patched(got, FormCluster)); diff != "" {
				t.Errorf("invoking (-want +got):\n%s", diff)
			}
			if got["hello"+domain].Keep != test.keep {
				t.Errorf("keep = %t", !test.keep)
			}
		})
	}
}

func TestCandidate(t *testing.T) {
	r := recordingOf(t, "terminating-gateway")
	p := r.patcher(t, options(t))
	tests := []struct {
		name, kind string
		version    Version
		want       bool
	}{
		{"hello" + domain, kindTerminatingGateway, current, true},
		{"v1.hello" + domain, kindTerminatingGateway, current, true},
		{"plain" + domain, kindTerminatingGateway, current, false},
		{"mistaken" + domain, kindTerminatingGateway, current, false},
		{"hello" + domain, kindTerminatingGateway, Version{1, 29, 0}, false},
		{"hello" + domain, kindSidecar, current, false}, // fronted
		{"solo" + domain, kindSidecar, current, true},
		{"0a1b~solo" + domain, kindAPIGateway, current, true},
		{"solo" + domain, kindIngressGateway, current, true},
		{"solo" + domain, kindMeshGateway, current, false},
		{"hello" + domain, "", current, true},
		{"solo.default.dc2.internal.x.consul", kindSidecar, current, false},
		{"failover-target~0~solo" + domain, kindSidecar, current, true}, // to be reported on
		{"failover-target~0~solo" + domain, kindSidecar, Version{1, 29, 0}, false},
		{"failover-target~0~solo" + domain, kindTerminatingGateway, current, false},
		{"local_app", kindSidecar, current, false},
		{"extended" + domain, kindTerminatingGateway, current, true},
		{"extended" + domain, kindTerminatingGateway, Version{1, 30, 0}, true}, // to take away what Consul made of it
		{"extended" + domain, kindSidecar, current, true},                      // though fronted
		{"extended" + domain, kindMeshGateway, current, false},
	}
	for _, test := range tests {
		if got := p.Candidate(test.name, Proxy{Kind: test.kind, Version: test.version, Datacenter: "dc1"}); got != test.want {
			t.Errorf("Candidate(%s, %q, %v) = %t", test.name, test.kind, test.version, got)
		}
	}
}

// A function that Options.Check refuses is never invoked as if it had not asked.
func TestRefusedFunction(t *testing.T) {
	arn, err := lambda.ParseARN("arn:aws:lambda:us-east-1:123456789012:function:hello")
	if err != nil {
		t.Fatal(err)
	}
	wrongPartition := arn
	wrongPartition.Partition = "aws-cn"
	for reason, f := range map[string]lambda.Function{
		"role-arn":            {ARN: arn, RoleARN: "arn:aws:iam::123456789012:role/r"},
		"is in partition aws": {ARN: wrongPartition},
	} {
		r := recordingOf(t, "terminating-gateway")
		r.table = lambda.NewTable(lambda.Service{Name: lambda.NewServiceName("hello", "", ""), State: lambda.StateOK, Function: f})
		got := r.verdicts(r.patcher(t, options(t)))["hello"+domain].Patch.Make()
		if got.Form != "" || !strings.Contains(got.Reason, reason) || len(got.Cluster.GetLoadAssignment().GetEndpoints()) > 0 {
			t.Errorf("%s: form %q, reason %q", reason, got.Form, got.Reason)
		}
	}
}

// To Consul a service's name in another case is the same service, and a cluster is
// named as the upstream spells it.
func TestCase(t *testing.T) {
	r := recordingOf(t, "sidecar-without-gateway")
	for i, c := range r.clusters {
		r.clusters[i].name = strings.Replace(c.name, "solo"+domain, "SOLO"+domain, 1)
	}
	r.endpoints["SOLO"+domain] = EndpointsNone
	if v := r.verdicts(r.patcher(t, options(t)))["SOLO"+domain]; v.Patch == nil || v.Patch.Make().Cluster.GetName() != "SOLO"+domain {
		t.Errorf("verdict = %+v", v)
	}
}

func TestWhatStays(t *testing.T) {
	const name = "hello" + domain
	from := &clusterv3.Cluster{
		Name: name, AltStatName: "hello", ConnectTimeout: durationpb.New(7e9),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS},
		CircuitBreakers:      &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{MaxRequests: wrapperspb.UInt32(9)}}},
		OutlierDetection:     &clusterv3.OutlierDetection{Consecutive_5Xx: wrapperspb.UInt32(3)},
		CommonLbConfig:       &clusterv3.Cluster_CommonLbConfig{},
		Metadata:             &corev3.Metadata{},
		LbPolicy:             clusterv3.Cluster_RING_HASH,
	}
	raw, err := proto.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	r := recordingOf(t, "terminating-gateway")
	for form, p := range map[string]*Patcher{FormCluster: r.patcher(t, options(t)), "": recorded{}.patcher(t, options(t))} {
		v := p.Cluster(name, raw, r.proxy, nil)
		if v.Patch == nil || v.Patch.Make().Form != form {
			t.Fatalf("verdict = %+v, want form %q", v, form)
		}
		got := proto.CloneOf(v.Patch.Make().Cluster)
		got.ClusterDiscoveryType, got.LoadAssignment, got.TransportSocket, got.TypedExtensionProtocolOptions, got.UpstreamConfig = nil, nil, nil, nil, nil
		want := &clusterv3.Cluster{
			Name: name, AltStatName: "hello", ConnectTimeout: from.ConnectTimeout,
			CircuitBreakers: from.CircuitBreakers, OutlierDetection: from.OutlierDetection,
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("form %q: what stays (-want +got):\n%s", form, diff)
		}
	}
}

// What Envoy would not take of Consul's cluster does not stay.
func TestWithoutEndpointsIsAlwaysValid(t *testing.T) {
	const name = "plain" + domain
	raw, err := proto.Marshal(&clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(-1),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []*lambda.Table{nil, recordingOf(t, "terminating-gateway").table} {
		p, err := New(table, options(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{name, "hello" + domain} {
			got := p.Cluster(name, raw, Proxy{Version: current}, nil).Patch.Make()
			if got.Form != "" || got.Reason == "" || got.Cluster.GetName() != name || got.Cluster.ValidateAll() != nil {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

// Whatever the proxy and what is known of endpoints.
func TestInvariants(t *testing.T) {
	all := recordings(t)
	opts := options(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := rapid.SampledFrom(all).Draw(rt, "recording")
		r.proxy = Proxy{
			Kind: rapid.SampledFrom([]string{
				"", kindSidecar, kindAPIGateway, kindIngressGateway, kindTerminatingGateway, kindMeshGateway, "new-gateway",
			}).Draw(rt, "kind"),
			Version:    Version{Major: 1, Minor: uint32(rapid.IntRange(28, 41).Draw(rt, "minor"))},
			Datacenter: rapid.SampledFrom([]string{"", "dc1", "dc2"}).Draw(rt, "datacenter"),
			LocalApp:   rapid.Bool().Draw(rt, "local_app"),
			Service:    rapid.SampledFrom([]string{"", "desk", "east/default/desk"}).Draw(rt, "service"),
		}
		opts := opts
		opts.Direct = rapid.SampledFrom([]Direct{"", DirectAuto, DirectAutoFailover, DirectNever}).Draw(rt, "direct")
		p := r.patcher(t, opts)
		endpoints := map[string]Endpoints{}
		for name := range r.endpoints {
			endpoints[name] = Endpoints(rapid.IntRange(0, 2).Draw(rt, name))
		}
		lookup := func(name string) Endpoints { return endpoints[name] }
		for _, c := range r.clusters {
			before := string(c.raw)
			v := p.Cluster(c.name, c.raw, r.proxy, lookup)
			if string(c.raw) != before {
				rt.Fatalf("%s: the input was changed", c.name)
			}
			if v.Patch == nil {
				if isExtended(c.raw) && r.proxy.Kind != kindMeshGateway {
					rt.Fatalf("%s: Consul's own extension passes", c.name)
				}
				continue
			}
			switch {
			case r.proxy.Kind == kindMeshGateway:
				rt.Fatalf("%s: a mesh gateway's cluster was patched", c.name)
			case !v.Keep:
				rt.Fatalf("%s: patched, but not kept", c.name)
			case v.Patch.Make().Cluster.GetName() != c.name:
				rt.Fatalf("%s: became %s", c.name, v.Patch.Make().Cluster.GetName())
			case v.Patch.Path == PathDirect && endpoints[v.Watch] != EndpointsNone && !isExtended(c.raw):
				rt.Fatalf("%s: direct, with endpoints %d", c.name, endpoints[v.Watch])
			case (v.Patch.Make().Form == "") != (v.Patch.Make().Reason != ""):
				rt.Fatalf("%s: form %q, reason %q", c.name, v.Patch.Make().Form, v.Patch.Make().Reason)
			case v.Patch.Make().Form != "" && !p.Candidate(c.name, r.proxy):
				rt.Fatalf("%s: invokes, but was no candidate", c.name)
			}
			if err := v.Patch.Make().Cluster.ValidateAll(); err != nil {
				rt.Fatalf("%s: %v", c.name, err)
			}
			once, err := proto.MarshalOptions{Deterministic: true}.Marshal(v.Patch.Make().Cluster)
			if err != nil {
				rt.Fatal(err)
			}
			again := p.Cluster(c.name, c.raw, r.proxy, lookup)
			twice, err := proto.MarshalOptions{Deterministic: true}.Marshal(again.Patch.Make().Cluster)
			if err != nil {
				rt.Fatal(err)
			}
			if string(once) != string(twice) {
				rt.Fatalf("%s: another answer to the same", c.name)
			}
		}
	})
}

// Equal keys make equal clusters, whatever else differs: that is what lets Envoys
// share them. And a cluster that differs has another key.
func TestKeyTellsClustersApart(t *testing.T) {
	byKey, byBytes := map[Key]string{}, map[string]Key{}
	for _, r := range recordings(t) {
		for _, version := range []Version{{1, 30, 0}, {1, 35, 2}, {1, 36, 0}, {1, 40, 0}} {
			for _, opts := range []Options{options(t), {}, {EndpointURL: "http://127.0.0.1:4566"}, {EndpointURL: "https://vpce.internal"}} {
				r.proxy.Version = version
				for name, v := range r.verdicts(r.patcher(t, opts)) {
					if v.Patch == nil {
						continue
					}
					made := v.Patch.Make()
					raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(made.Cluster)
					if err != nil {
						t.Fatal(err)
					}
					all := string(raw) + made.Form + made.Reason
					if other, ok := byKey[v.Patch.Key]; ok && other != all {
						t.Fatalf("%s: one key, two clusters", name)
					}
					byKey[v.Patch.Key], byBytes[all] = all, v.Patch.Key
				}
			}
		}
	}
	if len(byKey) < 20 || len(byBytes) < 20 {
		t.Errorf("%d keys and %d clusters are too few to show anything", len(byKey), len(byBytes))
	}
}

// Since names exactly the subjects of the clusters that another Table decides
// otherwise.
func TestSince(t *testing.T) {
	r := recordingOf(t, "terminating-gateway")
	before := r.patcher(t, options(t))
	var services []lambda.Service
	for _, s := range r.table.Services() {
		if s.Name.Name == "hello" {
			s := *s
			s.Function.PayloadPassthrough = !s.Function.PayloadPassthrough
			services = append(services, s)
			continue
		}
		services = append(services, *s)
	}
	verdicts := r.verdicts(before)
	r.table = lambda.NewTable(services...).WithIntentions(r.table.Intentions())
	after := r.patcher(t, options(t))
	subjects, all := after.Since(before)
	if diff := cmp.Diff([]string{"hello", memberSubject}, subjects); diff != "" || all {
		t.Fatalf("Since: all %t (-want +got):\n%s", all, diff)
	}
	for name, v := range r.verdicts(after) {
		same := v.Patch == nil && verdicts[name].Patch == nil || v.Patch != nil && verdicts[name].Patch != nil && v.Patch.Key == verdicts[name].Patch.Key
		if same == slices.Contains(subjects, after.Subject(name)) {
			t.Errorf("%s of %q: same verdict: %t", name, after.Subject(name), same)
		}
	}
	if _, all := r.patcher(t, Options{}).Since(after); !all {
		t.Error("other options, but not all may have changed")
	}
}

// A cluster that is nobody's is judged without being decoded.
func TestCheap(t *testing.T) {
	tests := []struct {
		recording, name string
		limit           float64
	}{
		{"mesh-gateway", "hello" + domain, 0},
		{"sidecar-with-gateway", "local_app", 0},
		{"sidecar-with-gateway", "web" + domain, 0},
		{"terminating-gateway", "named" + domain, 0},
	}
	for _, test := range tests {
		r := recordingOf(t, test.recording)
		p := r.patcher(t, options(t))
		for _, c := range r.clusters {
			if c.name != test.name {
				continue
			}
			got := testing.AllocsPerRun(100, func() {
				if v := p.Cluster(c.name, c.raw, r.proxy, nil); v.Patch != nil {
					t.Error("patched")
				}
			})
			if got > test.limit {
				t.Errorf("%s: %s: %v allocations, at most %v", test.recording, test.name, got, test.limit)
			}
		}
	}
}
