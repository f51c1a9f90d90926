package patch

import (
	"path/filepath"
	"slices"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// current is the Envoy that tests use where its version does not matter.
var current = Version{1, 40, 0}

// options are those of tests: a short CA bundle keeps golden files readable.
func options(t testing.TB) Options {
	t.Helper()
	ca, err := golden.PKI(golden.CA)
	if err != nil {
		t.Fatal(err)
	}
	return Options{CAs: []byte(ca)}
}

// recorded is what one proxy heard from a real Consul, ready to be patched.
type recorded struct {
	name      string // the folder's
	proxy     Proxy
	table     *lambda.Table
	clusters  []cluster
	endpoints map[string]Endpoints
	others    []other
}

type cluster struct {
	name string
	raw  []byte
}

// other is a listener or a route configuration.
type other struct {
	typeURL, name string
	raw           []byte
}

// recordings reads all of testdata.
func recordings(t testing.TB) []recorded {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*", "input.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	var all []recorded
	for _, file := range files {
		r, err := golden.ReadRecording(file)
		if err != nil {
			t.Fatal(err)
		}
		one := recorded{
			name:      filepath.Base(filepath.Dir(file)),
			proxy:     Proxy{Kind: r.Kind, Datacenter: r.Datacenter, Service: r.Service, Version: current},
			table:     tableOf(r),
			endpoints: map[string]Endpoints{},
		}
		for _, b := range r.Clusters {
			var c clusterv3.Cluster
			if err := golden.ReadMessage(b, &c); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&c)
			if err != nil {
				t.Fatal(err)
			}
			one.clusters = append(one.clusters, cluster{c.GetName(), raw})
			one.proxy.LocalApp = one.proxy.LocalApp || c.GetName() == "local_app"
		}
		for _, b := range r.Endpoints {
			var e endpointv3.ClusterLoadAssignment
			if err := golden.ReadMessage(b, &e); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			one.endpoints[e.GetClusterName()] = EndpointsNone
			for _, locality := range e.GetEndpoints() {
				if len(locality.GetLbEndpoints()) > 0 {
					one.endpoints[e.GetClusterName()] = EndpointsSome
				}
			}
		}
		for _, b := range r.Listeners {
			one.other(t, TypeListener, b, &listenerv3.Listener{})
		}
		for _, b := range r.Routes {
			one.other(t, TypeRoute, b, &routev3.RouteConfiguration{})
		}
		all = append(all, one)
	}
	return all
}

// other adds a listener or a route configuration, decoded into m.
func (r *recorded) other(t testing.TB, typeURL string, b []byte, m interface {
	proto.Message
	GetName() string
},
) {
	t.Helper()
	if err := golden.ReadMessage(b, m); err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r.others = append(r.others, other{typeURL, m.GetName(), raw})
}

// recordingOf reads one of testdata.
func recordingOf(t testing.TB, name string) recorded {
	t.Helper()
	for _, r := range recordings(t) {
		if r.name == name {
			return r
		}
	}
	t.Fatalf("no recording %s", name)
	return recorded{}
}

// tableOf is the Table as it is made from Consul's config entries.
func tableOf(r golden.Recording) *lambda.Table {
	var services []lambda.Service
	for name, defaults := range r.Defaults {
		entry, found, err := lambda.FromMeta(name, defaults.Meta)
		if !found && defaults.Extension != nil {
			entry.Enabled, found = true, true
			entry.Function, err = lambda.FromExtension(name, defaults.Extension)
		}
		if !found {
			continue
		}
		s := lambda.Service{
			Name: lambda.NewServiceName(name, "", ""), State: lambda.StateOK,
			Function: entry.Function, Extended: defaults.Extension != nil, Fronted: slices.Contains(r.Fronted, name),
		}
		switch {
		case err != nil:
			s.State, s.Errors = lambda.StateError, []string{err.Error()}
		case !entry.Enabled:
			s.State = lambda.StateDisabled
		case defaults.Protocol == "tcp":
			s.State, s.Errors = lambda.StateError, []string{"the protocol is tcp"}
		}
		services = append(services, s)
	}
	return lambda.NewTable(services...).WithIntentions(lambda.NewIntentions(true))
}

// patcher makes the Patcher of a recording.
func (r recorded) patcher(t testing.TB, opts Options) *Patcher {
	t.Helper()
	p, err := New(r.table, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// verdicts asks about each cluster.
func (r recorded) verdicts(p *Patcher) map[string]Verdict {
	all := map[string]Verdict{}
	for _, c := range r.clusters {
		all[c.name] = p.Cluster(c.name, c.raw, r.proxy, func(name string) Endpoints { return r.endpoints[name] })
	}
	return all
}

// patched are the names of the clusters with this form, sorted.
func patched(verdicts map[string]Verdict, form string) []string {
	var names []string
	for name, v := range verdicts {
		if v.Patch != nil && v.Patch.Make().Form == form {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

const domain = ".default.dc1.internal.11111111-2222-3333-4444-555555555555.consul"
