package patch

import (
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Why a proxy does not invoke a function that no gateway fronts is told by the name of its
// cluster; whoever may invoke it, or need not, is told nothing.
func TestUnpatchedByName(t *testing.T) {
	const name = "solo" + domain
	sidecar := Proxy{Kind: kindSidecar, Version: current, Datacenter: "dc1"}
	recording := recordingOf(t, "sidecar-without-gateway")
	solo := *recording.table.Lookup(lambda.NewServiceName("solo", "", ""))
	tests := []struct {
		what   string
		change func(s *lambda.Service, proxy *Proxy, opts *Options)
		want   string // what the reason holds; empty: there is none
	}{
		{"it is invoked", func(*lambda.Service, *Proxy, *Options) {}, ""},
		{"too old", func(_ *lambda.Service, p *Proxy, _ *Options) { p.Version = Version{1, 29, 0} }, "1.30 or later is needed"},
		{"too old, behind a gateway", func(s *lambda.Service, p *Proxy, _ *Options) { p.Version, s.Fronted = Version{1, 29, 0}, true }, ""},
		{"tcp", func(s *lambda.Service, _ *Proxy, _ *Options) {
			s.State, s.Errors = lambda.StateError, []string{`solo: Protocol is "tcp" by service-defaults`}
		}, "its state is error: solo: Protocol is"},
		{"switched off", func(s *lambda.Service, _ *Proxy, _ *Options) { s.State = lambda.StateDisabled }, ""},
		{"never direct", func(_ *lambda.Service, _ *Proxy, o *Options) { o.Direct = DirectNever }, "--direct never"},
		{"another datacenter", func(_ *lambda.Service, p *Proxy, _ *Options) { p.Datacenter = "dc2" }, "of datacenter dc1"},
		{"an unknown datacenter", func(_ *lambda.Service, p *Proxy, _ *Options) { p.Datacenter = "" }, "datacenter of this proxy is not known"},
		{"an unknown kind", func(_ *lambda.Service, p *Proxy, _ *Options) { p.Kind = "" }, "what kind of proxy"},
		{"a sidecar by its clusters", func(_ *lambda.Service, p *Proxy, _ *Options) { p.Kind, p.LocalApp = "", true }, ""},
		{"a terminating gateway", func(_ *lambda.Service, p *Proxy, o *Options) { p.Kind, o.Direct = kindTerminatingGateway, DirectNever }, ""},
		{"a mesh gateway", func(_ *lambda.Service, p *Proxy, o *Options) { p.Kind, o.Direct = kindMeshGateway, DirectNever }, ""},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			s, proxy, opts := solo, sidecar, options(t)
			test.change(&s, &proxy, &opts)
			p, err := New(lambda.NewTable(s).WithIntentions(recording.table.Intentions()), opts)
			if err != nil {
				t.Fatal(err)
			}
			got := p.Unpatched(name, proxy)
			switch {
			case (got != nil) != (test.want != ""):
				t.Fatalf("said %+v, want %q", got, test.want)
			case got != nil && (got.Service != "solo" || !strings.Contains(got.Reason, test.want) || strings.HasSuffix(got.Reason, "no terminating gateway's entry lists it") != (s.State == lambda.StateOK)):
				t.Errorf("said %+v, want %q", got, test.want)
			}
			if p.Unpatched("other"+domain, proxy) != nil || p.Unpatched("local_app", proxy) != nil {
				t.Error("something is said of what is no function")
			}
		})
	}
	p, err := New(lambda.NewTable(solo), options(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Unpatched(name, sidecar); got == nil || !strings.Contains(got.Reason, "intentions are withheld") {
		t.Errorf("without intentions: %+v", got)
	}
}

// What only the cluster or its endpoints tell is in the verdict.
func TestUnpatchedByVerdict(t *testing.T) {
	const name = "solo" + domain
	r := recordingOf(t, "sidecar-without-gateway")
	p := r.patcher(t, options(t))
	if v := r.verdicts(p)[name]; v.Patch == nil || v.Unpatched != nil {
		t.Fatalf("without endpoints: %+v", v)
	}
	r.endpoints[name] = EndpointsSome
	if v := r.verdicts(p)[name]; v.Patch != nil || v.Unpatched == nil || v.Unpatched.Reason != hasEndpoints {
		t.Errorf("with endpoints: %+v", v)
	}
}
