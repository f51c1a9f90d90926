package consul_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
)

const arn = "arn:aws:lambda:us-east-1:123456789012:function:one"

func meta(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[lambda.Prefix+pairs[i]] = pairs[i+1]
	}
	return m
}

func good() map[string]string { return meta("enabled", "true", "arn", arn, "region", "us-east-1") }

func global(protocol string) []*api.ProxyConfigEntry {
	return []*api.ProxyConfigEntry{{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": protocol}}}
}

func TestBuildTableState(t *testing.T) {
	for name, test := range map[string]struct {
		entry   api.ServiceConfigEntry
		proxies []*api.ProxyConfigEntry
		check   func(lambda.Function) error
		busy    bool // instances of its own
		absent  bool
		state   lambda.State
		errors  []string // a part of each
	}{
		"whole":                        {entry: api.ServiceConfigEntry{Protocol: "http", Meta: good()}, state: lambda.StateOK},
		"protocol of proxy-defaults":   {entry: api.ServiceConfigEntry{Meta: good()}, proxies: global("grpc"), state: lambda.StateOK},
		"protocol in capitals":         {entry: api.ServiceConfigEntry{Protocol: "HTTP2", Meta: good()}, state: lambda.StateOK},
		"own protocol goes first":      {entry: api.ServiceConfigEntry{Protocol: "tcp", Meta: good()}, proxies: global("http"), state: lambda.StateError, errors: []string{`"tcp" by service-defaults`}},
		"tcp by proxy-defaults":        {entry: api.ServiceConfigEntry{Meta: good()}, proxies: global("tcp"), state: lambda.StateError, errors: []string{`"tcp" by proxy-defaults`}},
		"no protocol at all":           {entry: api.ServiceConfigEntry{Meta: good()}, state: lambda.StateError, errors: []string{"means tcp"}},
		"somebody else's Meta":         {entry: api.ServiceConfigEntry{Protocol: "http", Meta: map[string]string{"team": "blue"}}, absent: true},
		"no Meta":                      {entry: api.ServiceConfigEntry{Protocol: "http"}, absent: true},
		"switched off":                 {entry: api.ServiceConfigEntry{Protocol: "http", Meta: meta("enabled", "false", "arn", arn)}, state: lambda.StateDisabled},
		"switched off, with a mistake": {entry: api.ServiceConfigEntry{Protocol: "http", Meta: meta("enabled", "false", "arn", "x")}, state: lambda.StateDisabled, errors: []string{"arn"}},
		"an unreadable switch":         {entry: api.ServiceConfigEntry{Protocol: "http", Meta: meta("enabled", "perhaps", "arn", arn)}, state: lambda.StateError, errors: []string{"perhaps"}},
		"no switch":                    {entry: api.ServiceConfigEntry{Protocol: "http", Meta: meta("arn", arn)}, state: lambda.StateError, errors: []string{"enabled"}},
		"two mistakes":                 {entry: api.ServiceConfigEntry{Protocol: "http", Meta: meta("enabled", "true", "arn", "x", "retries", "many")}, state: lambda.StateError, errors: []string{"arn", "retries"}},
		"instances of its own":         {entry: api.ServiceConfigEntry{Protocol: "http", Meta: good()}, busy: true, state: lambda.StateConflict, errors: []string{"instances of it"}},
		"instances and a mistake":      {entry: api.ServiceConfigEntry{Protocol: "tcp", Meta: good()}, busy: true, state: lambda.StateError, errors: []string{"tcp", "instances of it"}},
		"instances, switched off":      {entry: api.ServiceConfigEntry{Protocol: "http", Meta: meta("enabled", "false", "arn", arn)}, busy: true, state: lambda.StateDisabled},
		"refused": {
			entry: api.ServiceConfigEntry{Protocol: "http", Meta: good()}, state: lambda.StateError, errors: []string{"svc: not here"},
			check: func(lambda.Function) error { return errors.New("not here") },
		},
		"refused for a key": {
			entry: api.ServiceConfigEntry{Protocol: "http", Meta: good()}, state: lambda.StateError, errors: []string{"svc: KEY: why"},
			check: func(lambda.Function) error {
				return errors.Join(&lambda.Mistake{Subject: "fn", Key: "KEY", Reason: "why"})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.entry.Name = "svc"
			table := consul.BuildTable(consul.Entries{
				Services: []*api.ServiceConfigEntry{&test.entry}, Proxies: test.proxies,
				WithInstances: map[lambda.ServiceName]bool{lambda.NewServiceName("svc", "", ""): test.busy},
			}, test.check)
			s := table.Lookup(lambda.NewServiceName("svc", "", ""))
			if (s == nil) != test.absent {
				t.Fatalf("in the Table: %v, want %v", s != nil, !test.absent)
			}
			if s == nil {
				return
			}
			if s.State != test.state {
				t.Errorf("state %s, want %s; errors %q", s.State, test.state, s.Errors)
			}
			if len(s.Errors) != len(test.errors) {
				t.Fatalf("errors %q, want %d", s.Errors, len(test.errors))
			}
			for i, part := range test.errors {
				if !strings.Contains(s.Errors[i], part) {
					t.Errorf("error %q does not say %q", s.Errors[i], part)
				}
			}
		})
	}
}

func TestBuildTableFronted(t *testing.T) {
	gateway := func(namespace string, services ...api.LinkedService) []*api.TerminatingGatewayConfigEntry {
		return []*api.TerminatingGatewayConfigEntry{{Name: "gw", Namespace: namespace, Services: services}}
	}
	for name, test := range map[string]struct {
		namespace string // of the service
		gateways  []*api.TerminatingGatewayConfigEntry
		want      bool
	}{
		"no gateway":                {want: false},
		"by name":                   {gateways: gateway("", api.LinkedService{Name: "svc"}), want: true},
		"in another case":           {gateways: gateway("", api.LinkedService{Name: "SVC"}), want: true},
		"another":                   {gateways: gateway("", api.LinkedService{Name: "svc2"}), want: false},
		"by the wildcard":           {gateways: gateway("", api.LinkedService{Name: "*"}), want: true},
		"in another namespace":      {namespace: "blue", gateways: gateway("", api.LinkedService{Name: "*"}), want: false},
		"in the gateway's":          {namespace: "blue", gateways: gateway("blue", api.LinkedService{Name: "svc"}), want: true},
		"in a namespace it names":   {namespace: "blue", gateways: gateway("", api.LinkedService{Name: "*", Namespace: "blue"}), want: true},
		"default written out":       {gateways: gateway("default", api.LinkedService{Name: "svc", Namespace: "default"}), want: true},
		"a gateway without service": {gateways: gateway(""), want: false},
	} {
		t.Run(name, func(t *testing.T) {
			table := consul.BuildTable(consul.Entries{
				Services: []*api.ServiceConfigEntry{{Name: "svc", Namespace: test.namespace, Protocol: "http", Meta: good()}},
				Gateways: test.gateways,
			}, nil)
			if got := table.Services()[0].Fronted; got != test.want {
				t.Errorf("fronted: %v, want %v", got, test.want)
			}
		})
	}
}

func TestBuildTableWarns(t *testing.T) {
	entry := &api.ServiceConfigEntry{
		Name: "svc", Protocol: "http",
		Meta: map[string]string{"serverless.consul.hashicorp.com/alpha/lambda/payload-passthrough": "true"},
	}
	for k, v := range good() {
		entry.Meta[k] = v
	}
	s := consul.BuildTable(consul.Entries{Services: []*api.ServiceConfigEntry{entry}}, nil).Services()[0]
	if s.State != lambda.StateOK || !s.Function.PayloadPassthrough {
		t.Errorf("the misprinted prefix is not read: %+v", s)
	}
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "the prefix is") {
		t.Errorf("warnings %q: want the prefix", s.Warnings)
	}
}

// A partition has proxy-defaults of its own.
func TestBuildTablePartitions(t *testing.T) {
	proxies := global("http")
	proxies[0].Partition = "east"
	table := consul.BuildTable(consul.Entries{
		Services: []*api.ServiceConfigEntry{
			{Name: "svc", Partition: "east", Meta: good()},
			{Name: "svc", Partition: "west", Meta: good()},
		},
		Proxies: proxies,
	}, nil)
	got := map[string]lambda.State{}
	for _, s := range table.Services() {
		got[s.Name.Partition] = s.State
	}
	if diff := cmp.Diff(map[string]lambda.State{"east": lambda.StateOK, "west": lambda.StateError}, got); diff != "" {
		t.Error(diff)
	}
}
