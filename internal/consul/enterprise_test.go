package consul_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// fakeEnterprise stands for Consul Enterprise, which cannot be had for tests: it
// answers what Enterprise is documented to, and nothing that is not asked as that
// demands, of all namespaces or of one, always of a partition.
type fakeEnterprise struct {
	*httptest.Server
	entries []api.ConfigEntry // each names its namespace and partition

	mu      sync.Mutex
	asked   map[string]bool // PATH of PARTITION/NAMESPACE; guarded by mu
	mistook []string        // requests that are wrong; guarded by mu
}

func startEnterprise(t *testing.T, entries ...api.ConfigEntry) *fakeEnterprise {
	t.Helper()
	f := &fakeEnterprise{entries: entries, asked: map[string]bool{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.answer))
	t.Cleanup(func() {
		f.Close()
		if len(f.mistook) > 0 {
			t.Errorf("asked what Enterprise does not answer: %v", f.mistook)
		}
	})
	return f
}

func (f *fakeEnterprise) answer(w http.ResponseWriter, r *http.Request) {
	path, query := r.URL.Path, r.URL.Query()
	partition, namespace := query.Get("partition"), query.Get("ns")
	kind, isList := strings.CutPrefix(path, "/v1/config/")
	service, isService := strings.CutPrefix(path, "/v1/catalog/service/")
	var answer any
	switch {
	case path == "/v1/agent/version":
		answer = map[string]string{"HumanVersion": "1.22.5+ent"}
	case path == "/v1/connect/intentions/match":
		answer = map[string][]any{}
	case path == "/v1/connect/intentions/check":
		answer = map[string]bool{"Allowed": true}
	case isList && namespace == "*" && partition != "" && partition != "*":
		if query.Get("index") != "" {
			<-r.Context().Done() // as a blocking query does
			return
		}
		found := []api.ConfigEntry{}
		for _, e := range f.entries {
			if e.GetKind() == kind && e.GetPartition() == partition {
				found = append(found, e)
			}
		}
		answer = found
	case isService && namespace != "" && namespace != "*" && partition != "":
		answer = []api.CatalogService{{ServiceName: service, ServiceAddress: "10.0.0.1", ServicePort: 8443}}
	case strings.HasPrefix(path, "/v1/catalog/node-services/") && partition == "east" && namespace == "team":
		answer = api.CatalogNodeServiceList{
			Node:     &api.Node{Datacenter: "dc1", Partition: "east"},
			Services: []*api.AgentService{{ID: "web-1", Kind: api.ServiceKindConnectProxy}},
		}
	default:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.mistook = append(f.mistook, r.URL.String())
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[path+" of "+partition+"/"+namespace] = true
	w.Header().Set("X-Consul-Index", "7")
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fakeEnterprise) wasAsked(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[what]
}

func (f *fakeEnterprise) client(t *testing.T) *consul.Client {
	t.Helper()
	client, err := consul.NewClient(consul.ClientConfig{Address: f.URL})
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

// Each partition is read by itself, with all of its namespaces: the entries of two
// services of one name make two functions.
func TestEnterpriseIsReadPerPartition(t *testing.T) {
	function := func(namespace, partition string) *api.ServiceConfigEntry {
		e := defaults("fn", "true")
		e.Namespace, e.Partition = namespace, partition
		return e
	}
	fake := startEnterprise(
		t,
		function("default", "default"), function("team", "default"), function("team", "east"), function("team", "unwatched"),
		&api.TerminatingGatewayConfigEntry{
			Kind: api.TerminatingGateway, Name: "gw", Namespace: "infra", Partition: "east",
			Services: []api.LinkedService{{Name: "*", Namespace: "team"}},
		},
		&api.ServiceIntentionsConfigEntry{
			Kind: api.ServiceIntentions, Name: "fn", Namespace: "team", Partition: "default",
			Sources: []*api.SourceIntention{{Name: "web", Namespace: "team", Partition: "east", Action: api.IntentionActionDeny}},
		},
	)
	for name, test := range map[string]struct {
		partitions []string
		want       []string
	}{
		"the client's":   {nil, []string{"fn", "default/team/fn"}},
		"those it names": {[]string{"default", "east"}, []string{"fn", "default/team/fn", "east/team/fn"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			status, err := consul.ReadOnce(ctx, consul.WatcherConfig{Client: fake.client(t), Partitions: test.partitions, Intentions: true})
			must(t, err)
			var got []string
			for _, s := range status.Table.Services() {
				got = append(got, s.Name.String())
				if want := s.Name.Partition == "east"; s.Fronted != want {
					t.Errorf("%s: fronted is %t", s.Name, s.Fronted)
				}
				denied := s.Name == lambda.NewServiceName("fn", "team", "default")
				if status.Table.Intentions().Allow(lambda.NewServiceName("web", "team", "east"), s.Name) == denied {
					t.Errorf("%s: allowed is %t", s.Name, denied)
				}
			}
			slices.Sort(got)
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if fronts := slices.Contains(test.partitions, "east"); status.Table.IsGateway("10.0.0.1:8443") != fronts {
				t.Errorf("the gateway's address is known: %t", !fronts)
			}
		})
	}
	for _, want := range []string{
		"/v1/config/service-defaults of east/*", "/v1/config/proxy-defaults of default/*",
		"/v1/config/service-intentions of east/*", "/v1/catalog/service/gw of east/infra",
	} {
		if !fake.wasAsked(want) {
			t.Errorf("%s was not asked", want)
		}
	}
}

// A proxy is looked up where its Node says that it is.
func TestEnterpriseProxyIsLookedUpInItsPartition(t *testing.T) {
	fake := startEnterprise(t)
	got, err := fake.client(t).Identify(within(t), consul.ProxyRef{ID: "web-1", NodeName: "vm", Namespace: "team", Partition: "east"})
	if err != nil || got != (consul.Identity{Kind: "connect-proxy", Datacenter: "dc1"}) {
		t.Errorf("%+v, %v", got, err)
	}
}
