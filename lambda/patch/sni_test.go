package patch

import (
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/lambda"
)

func TestParseSNI(t *testing.T) {
	const td = "11111111-2222-3333-4444-555555555555.consul"
	name := lambda.NewServiceName
	tests := []struct {
		in   string
		want sni
		ok   bool
	}{
		{"hello.default.dc1.internal." + td, sni{service: name("hello", "", ""), datacenter: "dc1"}, true},
		{"v1.hello.default.dc1.internal." + td, sni{service: name("hello", "", ""), datacenter: "dc1", subset: "v1"}, true},
		{"hello.team.dc1.internal." + td, sni{service: name("hello", "team", ""), datacenter: "dc1"}, true},
		{"hello.team.part.dc1.internal-v1." + td, sni{service: name("hello", "team", "part"), datacenter: "dc1"}, true},
		{"v1.hello.team.part.dc1.internal-v1." + td, sni{service: name("hello", "team", "part"), datacenter: "dc1", subset: "v1"}, true},
		{"0a1b2c3d~hello.default.dc1.internal." + td, sni{service: name("hello", "", ""), datacenter: "dc1"}, true},
		{"0a1b2c3d~v1.hello.team.part.dc1.internal-v1." + td, sni{service: name("hello", "team", "part"), datacenter: "dc1", subset: "v1"}, true},
		{"My_Function-1.default.dc-1.internal." + td, sni{service: name("My_Function-1", "", ""), datacenter: "dc-1"}, true},
		// Names that are the marker's.
		{"internal.default.dc1.internal." + td, sni{service: name("internal", "", ""), datacenter: "dc1"}, true},
		{"hello.default.internal.internal." + td, sni{service: name("hello", "", ""), datacenter: "internal"}, true},
		{"v1.hello.internal.internal.internal." + td, sni{service: name("hello", "internal", ""), datacenter: "internal", subset: "v1"}, true},
		{"external.external.dc1.internal." + td, sni{service: name("external", "external", ""), datacenter: "dc1"}, true},

		{in: ""},
		{in: "local_app"},
		{in: "local_agent"},
		{in: "prometheus_backend"},
		{in: "original-destination"},
		{in: "passthrough~hello.default.dc1.internal." + td},
		{in: "exported~hello.default.dc1.internal." + td},
		{in: "failover-target~0~hello.default.dc1.internal." + td},
		{in: "failover-target~hello.default.dc1.internal." + td},
		{in: "0a1b~0a1b~hello.default.dc1.internal." + td},
		{in: "~hello.default.dc1.internal." + td},
		{in: "0A1B~hello.default.dc1.internal." + td},
		// Peered.
		{in: "hello.default.peer.external." + td},
		{in: "hello.default.part.peer.external." + td},
		{in: "hello.default.internal.external." + td},
		{in: "hello.default.part.internal.external." + td},
		{in: "hello.default.part.x.internal-v1.external." + td},
		// A mesh gateway's: another datacenter.
		{in: "dc2.internal." + td},
		{in: "part.dc2.internal-v1." + td},
		{in: "hello.default.dc1.internal"},
		{in: "hello.default.dc1.internal."},
		{in: "hello.default.part.dc1.internal." + td + ".internal.x"},
		{in: "a.v1.hello.default.dc1.internal." + td},
		{in: "hello..dc1.internal." + td},
		{in: ".default.dc1.internal." + td},
		{in: "hello.default.dc1.external." + td},
		{in: "hello.default.dc1.internal-v1." + td},
	}
	for _, test := range tests {
		got, ok := parseSNI(test.in)
		if got != test.want || ok != test.ok {
			t.Errorf("parseSNI(%s) = %+v, %t", test.in, got, ok)
		}
	}
}

// What is read from a name stands in it, in Consul's order.
func FuzzParseSNI(f *testing.F) {
	for _, s := range []string{
		"hello.default.dc1.internal.1.consul", "v1.hello.team.part.dc1.internal-v1.1.consul", "0a~hello.default.dc1.internal.1.consul",
		"passthrough~hello.default.dc1.internal.1.consul", "hello.default.part.internal.external.1.consul", "local_app", "...", "~",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseSNI(s)
		if !ok {
			if got != (sni{}) {
				t.Errorf("not ours, and yet %+v", got)
			}
			return
		}
		name := s
		if _, rest, found := strings.Cut(s, "~"); found {
			name = rest
		}
		labels := []string{got.service.Name, got.service.Namespace, got.service.Partition, got.datacenter, "internal-v1"}
		short := []string{got.service.Name, got.service.Namespace, got.datacenter, "internal"}
		if got.subset != "" {
			labels, short = append([]string{got.subset}, labels...), append([]string{got.subset}, short...)
		}
		if !strings.HasPrefix(name, strings.Join(labels, ".")+".") &&
			(got.service.Partition != lambda.DefaultName || !strings.HasPrefix(name, strings.Join(short, ".")+".")) {
			t.Errorf("%q became %+v", s, got)
		}
	})
}

// TestSNI: what SNI writes is read as what it was written of.
func TestSNI(t *testing.T) {
	for _, service := range []lambda.ServiceName{lambda.NewServiceName("hello", "", ""), lambda.NewServiceName("hello", "team", ""), lambda.NewServiceName("hello", "team", "part")} {
		got, ok := parseSNI(SNI(service, "dc1", "11111111-2222-3333-4444-555555555555.consul"))
		if want := (sni{service: service, datacenter: "dc1"}); !ok || got != want {
			t.Errorf("%v: read as %+v", service, got)
		}
	}
}
