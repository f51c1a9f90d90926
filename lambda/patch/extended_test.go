package patch

import (
	"maps"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Of all recorded clusters those alone that Consul's own extension made are told for it.
func TestIsExtended(t *testing.T) {
	found := map[string]bool{}
	for _, r := range recordings(t) {
		for _, c := range r.clusters {
			if isExtended(c.raw) {
				found[r.name+" "+c.name] = true
			}
		}
	}
	want := []string{"sidecar-without-gateway extended-solo" + domain, "terminating-gateway extended" + domain}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(found))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if isExtended([]byte{0xff}) || isExtended(nil) {
		t.Error("what is no cluster is one of them")
	}
}

// What Consul's own extension made becomes our invocation, of the function that the entry
// names, or a cluster without endpoints, and nothing of it stays but the connect timeout.
func TestExtended(t *testing.T) {
	for _, test := range []struct{ recording, service, path, mode string }{
		{"terminating-gateway", "extended", PathGateway, "ASYNCHRONOUS"},
		{"sidecar-without-gateway", "extended-solo", PathDirect, "SYNCHRONOUS"},
	} {
		r := recordingOf(t, test.recording)
		name := test.service + domain
		v := r.verdicts(r.patcher(t, options(t)))[name]
		if v.Patch == nil || v.Patch.Path != test.path || v.Patch.Transit != (test.path == PathGateway) {
			t.Fatalf("%s: %+v", name, v)
		}
		made := v.Patch.Make()
		c := made.Cluster
		if made.Form != FormCluster || c.GetMetadata() != nil || c.GetConnectTimeout().GetSeconds() != 5 {
			t.Errorf("%s: form %q (%s), metadata %v, connect timeout %v", name, made.Form, made.Reason, c.GetMetadata(), c.GetConnectTimeout())
		}
		entry, err := lambda.ParseARN("arn:aws:lambda:eu-central-1:123456789012:function:" + test.service)
		if err != nil {
			t.Fatal(err)
		}
		f := r.table.Lookup(lambda.NewServiceName(test.service, "", "")).Function
		if f.ARN != entry || f.Asynchronous != (test.mode == "ASYNCHRONOUS") {
			t.Errorf("%s invokes %+v", name, f)
		}
		if err := verify(c, name, f, r.patcher(t, options(t)).targets[placeOf(f)]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Consul's own form never passes, whatever stands against the invocation.
func TestExtendedRefused(t *testing.T) {
	const gateway, sidecar = "terminating-gateway", "sidecar-without-gateway"
	denied := lambda.NewIntentions(false)
	for name, test := range map[string]struct {
		recording string
		proxy     func(*Proxy)
		service   func(*lambda.Service) // nil: it is not in the Table
		options   Options
		denied    bool
		unknown   bool   // intentions
		reason    string // empty: it is invoked
		linger    bool
	}{
		"gateway":                            {recording: gateway, service: func(*lambda.Service) {}},
		"gateway of unknown kind":            {recording: gateway, service: func(*lambda.Service) {}, proxy: func(p *Proxy) { p.Kind = "" }},
		"gateway, whoever may call":          {recording: gateway, service: func(*lambda.Service) {}, denied: true},
		"gateway, not in the Table":          {recording: gateway, reason: "no service-defaults entry of it is known"},
		"gateway, mistaken":                  {recording: gateway, service: func(s *lambda.Service) { s.State, s.Errors = lambda.StateError, []string{"why"} }, reason: "its state is error: why"},
		"gateway, switched off":              {recording: gateway, service: func(s *lambda.Service) { s.State = lambda.StateDisabled }, reason: "switched off in its Meta"},
		"gateway, outside the bounds":        {recording: gateway, service: func(*lambda.Service) {}, options: Options{AllowARNs: Bounds{"arn:aws:lambda:*:*:function:other"}}, reason: "it cannot be invoked"},
		"gateway, old Envoy":                 {recording: gateway, service: func(*lambda.Service) {}, proxy: func(p *Proxy) { p.Version = Version{1, 29, 0} }, reason: "1.30"},
		"sidecar":                            {recording: sidecar, service: func(*lambda.Service) {}},
		"sidecar of unknown kind":            {recording: sidecar, service: func(*lambda.Service) {}, proxy: func(p *Proxy) { p.Kind = "" }},
		"sidecar, not in the Table":          {recording: sidecar, reason: "no service-defaults entry of it is known"},
		"sidecar, mistaken":                  {recording: sidecar, service: func(s *lambda.Service) { s.State, s.Errors = lambda.StateError, []string{"why"} }, reason: "why"},
		"sidecar, old Envoy":                 {recording: sidecar, service: func(*lambda.Service) {}, proxy: func(p *Proxy) { p.Version = Version{1, 29, 0} }, reason: "1.30"},
		"sidecar, never":                     {recording: sidecar, service: func(*lambda.Service) {}, options: Options{Direct: DirectNever}, reason: "switched off"},
		"sidecar, listed":                    {recording: sidecar, service: func(s *lambda.Service) { s.Fronted = true }, reason: "a terminating gateway's entry lists it", linger: true},
		"sidecar, listed and denied":         {recording: sidecar, service: func(s *lambda.Service) { s.Fronted = true }, denied: true, reason: notPermitted},
		"sidecar, listed, auto-failover":     {recording: sidecar, service: func(s *lambda.Service) { s.Fronted = true }, options: Options{Direct: DirectAutoFailover}},
		"sidecar, denied":                    {recording: sidecar, service: func(*lambda.Service) {}, denied: true, reason: notPermitted},
		"sidecar, intentions withheld":       {recording: sidecar, service: func(*lambda.Service) {}, unknown: true, reason: "who may call it is not known"},
		"sidecar of nobody":                  {recording: sidecar, service: func(*lambda.Service) {}, proxy: func(p *Proxy) { p.Service = "" }, reason: "whose sidecar"},
		"sidecar of another datacenter":      {recording: sidecar, service: func(*lambda.Service) {}, proxy: func(p *Proxy) { p.Datacenter = "dc2" }, reason: "of datacenter dc1"},
		"sidecar of another partition":       {recording: sidecar, service: func(*lambda.Service) {}, proxy: func(p *Proxy) { p.Service = "east/default/desk" }, reason: "of partition default"},
		"API gateway, where Consul does not": {recording: sidecar, service: func(*lambda.Service) {}, proxy: func(p *Proxy) { p.Kind, p.Service, p.LocalApp = kindAPIGateway, "", false }, reason: "whose sidecar"},
	} {
		t.Run(name, func(t *testing.T) {
			r := recordingOf(t, test.recording)
			service := map[string]string{gateway: "extended", sidecar: "extended-solo"}[test.recording]
			one := *r.table.Lookup(lambda.NewServiceName(service, "", ""))
			table := lambda.NewTable()
			if test.service != nil {
				test.service(&one)
				table = lambda.NewTable(one)
			}
			switch {
			case test.denied:
				table = table.WithIntentions(denied)
			case !test.unknown:
				table = table.WithIntentions(r.table.Intentions())
			}
			r.table = table
			if test.proxy != nil {
				test.proxy(&r.proxy)
			}
			opts := test.options
			opts.CAs = options(t).CAs
			v := r.verdicts(r.patcher(t, opts))[service+domain]
			if v.Patch == nil || !v.Keep || v.Linger != test.linger {
				t.Fatalf("%+v", v)
			}
			if made := v.Patch.Make(); (made.Form == "") != (test.reason != "") || !strings.Contains(made.Reason, test.reason) {
				t.Errorf("form %q, reason %q, want %q", made.Form, made.Reason, test.reason)
			}
		})
	}
}

// A cluster with that metadata that is no server name of the mesh is somebody else's.
func TestExtendedOfNobody(t *testing.T) {
	r := recordingOf(t, "terminating-gateway")
	for _, c := range r.clusters {
		if !isExtended(c.raw) {
			continue
		}
		var m clusterv3.Cluster
		if err := proto.Unmarshal(c.raw, &m); err != nil {
			t.Fatal(err)
		}
		m.Name = "my-own-lambda"
		raw, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		if v := r.patcher(t, options(t)).Cluster(m.GetName(), raw, r.proxy, nil); v != (Verdict{}) {
			t.Errorf("%+v", v)
		}
	}
}
