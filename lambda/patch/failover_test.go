package patch

import (
	"slices"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// A member of a failover is reported where no gateway fronts the function that it leads
// to, whichever service it is that fails over; and it is never changed.
func TestFailover(t *testing.T) {
	const spare = "failover-target~0~spare" + domain
	const solo = "failover-target~1~spare" + domain // leads to solo, as its TLS alone says
	recording := recordingOf(t, "sidecar-without-gateway")
	tests := []struct {
		what   string
		change func(r *recorded, table map[string]*lambda.Service, opts *Options)
		want   map[string]string // service by member
	}{
		{"both are functions", nil, map[string]string{spare: "spare", solo: "solo"}},
		{"a gateway fronts one", func(_ *recorded, table map[string]*lambda.Service, _ *Options) { table["spare"].Fronted = true }, map[string]string{solo: "solo"}},
		{"an ordinary service fails over to a function", func(_ *recorded, table map[string]*lambda.Service, _ *Options) { delete(table, "spare") }, map[string]string{solo: "solo"}},
		{"a mistake in Meta is told already", func(_ *recorded, table map[string]*lambda.Service, _ *Options) {
			table["solo"].State = lambda.StateError
		}, map[string]string{spare: "spare"}},
		{"never direct", func(_ *recorded, _ map[string]*lambda.Service, opts *Options) { opts.Direct = DirectNever }, nil},
		{"in another datacenter there may be a gateway", func(r *recorded, _ map[string]*lambda.Service, _ *Options) { r.proxy.Datacenter = "dc2" }, nil},
		{"another kind of proxy", func(r *recorded, _ map[string]*lambda.Service, _ *Options) { r.proxy.Kind = kindMeshGateway }, nil},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			r, opts := recording, options(t)
			table := map[string]*lambda.Service{}
			for s := range recording.table.All() {
				one := *s
				table[one.Name.Name] = &one
			}
			if test.change != nil {
				test.change(&r, table, &opts)
			}
			var services []lambda.Service
			for _, s := range table {
				services = append(services, *s)
			}
			r.table = lambda.NewTable(services...).WithIntentions(recording.table.Intentions())
			for name, v := range r.verdicts(r.patcher(t, opts)) {
				if isMember(name) && v.Patch != nil {
					t.Errorf("%s is patched", name)
				}
				got := ""
				if v.Unpatched != nil {
					got = v.Unpatched.Service
				}
				if got != test.want[name] {
					t.Errorf("%s: reported %q, want %q", name, got, test.want[name])
				}
			}
		})
	}
}

// A Table that differs in anything has members judged again: their names do not tell
// what they depend on.
func TestMembersDependOnEveryService(t *testing.T) {
	r := recordingOf(t, "sidecar-without-gateway")
	before := r.patcher(t, options(t))
	after, err := New(lambda.NewTable(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	member := before.Subject("failover-target~1~spare" + domain)
	if subjects, all := after.Since(before); all || !slices.Contains(subjects, member) {
		t.Errorf("a member's subject %q is not among %v", member, subjects)
	}
	if subjects, _ := before.Since(before); len(subjects) != 0 {
		t.Errorf("the same Table, but %v", subjects)
	}
	// One that Envoy brought along must be seen, to be reported on.
	if !before.Candidate("failover-target~1~spare"+domain, r.proxy) {
		t.Error("a sidecar's member is not looked at")
	}
	if before.Candidate("failover-target~1~spare"+domain, Proxy{Kind: kindMeshGateway, Version: current}) {
		t.Error("a mesh gateway's is")
	}
	if !strings.HasPrefix(member, memberPrefix) {
		t.Errorf("%q may be a service's", member)
	}
}
