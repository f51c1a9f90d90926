package registrator_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	. "github.com/lambdamesh/lambdamesh/registrator"
)

// fronted are the services that the terminating gateway's entry lists.
func (m *mesh) fronted() []string {
	m.Helper()
	entry, _, err := m.consul.ConfigEntries().Get(api.TerminatingGateway, "gw", nil)
	if err != nil {
		m.Fatal(err)
	}
	all := []string{}
	for _, service := range entry.(*api.TerminatingGatewayConfigEntry).Services {
		all = append(all, service.Name+service.SNI)
	}
	return all
}

// exported are the services and consumers of exported-services.
func (m *mesh) exported() []string {
	m.Helper()
	entry, _, err := m.consul.ConfigEntries().Get(api.ExportedServices, "default", nil)
	if err != nil {
		m.Fatal(err)
	}
	all := []string{}
	for _, service := range entry.(*api.ExportedServicesConfigEntry).Services {
		for _, c := range service.Consumers {
			all = append(all, service.Name+" "+c.Peer)
		}
	}
	return all
}

func (m *mesh) lists(fronted, exported []string) {
	m.Helper()
	if diff := cmp.Diff(fronted, m.fronted()); diff != "" {
		m.Errorf("the gateway lists (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(exported, m.exported()); diff != "" {
		m.Errorf("exported (-want +got):\n%s", diff)
	}
}

func listing(c *Config) {
	c.Lists = []List{GatewayList("gw"), ExportList("peer:east"), ExportList("peer:west")}
}

// Our lines come and go with the function; those of others stay.
func testListing(t *testing.T, m *mesh) {
	_, _, err := m.consul.ConfigEntries().Set(&api.TerminatingGatewayConfigEntry{
		Kind: api.TerminatingGateway, Name: "gw", Services: []api.LinkedService{{Name: "legacy", SNI: "-sni"}, {Name: "by-hand"}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.aws.Put("by-hand", Enabled())
	m.aws.Put("f", Enabled())
	m.expect(m.sync(m.registrator(nil)).Plan, "create by-hand", "create f")
	r := m.registrator(listing)
	m.expect(m.sync(r).Plan, "update by-hand", "update f") // only now asked for
	exported := []string{"by-hand east", "by-hand west", "f east", "f west"}
	m.lists([]string{"legacy-sni", "by-hand", "f"}, exported)
	m.whole("f", m.aws.ARN("f"))
	m.writesNothing(r)

	_, _, err = m.consul.ConfigEntries().Set(&api.TerminatingGatewayConfigEntry{
		Kind: api.TerminatingGateway, Name: "gw", Services: []api.LinkedService{{Name: "legacy", SNI: "-sni"}, {Name: "by-hand"}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.expect(m.sync(r).Plan, "update f") // drift
	m.lists([]string{"legacy-sni", "by-hand", "f"}, exported)

	m.aws.Delete("f")
	m.aws.Delete("by-hand")
	m.expect(m.sync(m.registrator(func(c *Config) { listing(c); c.Policy = PolicyUpsertOnly })).Plan)
	m.lists([]string{"legacy-sni", "by-hand", "f"}, exported)
	m.expect(m.sync(r).Plan, "delete by-hand", "delete f")
	m.lists([]string{"legacy-sni", "by-hand"}, []string{})
	m.gone("f")
	m.gone("by-hand")
}

// A gateway's entry that somebody changes meanwhile is not overwritten, and what
// could not be unlisted stays until it can.
func testListChangedMeanwhile(t *testing.T, m *mesh) {
	r, w := m.wired(func(c *Config) { c.Lists = []List{GatewayList("gw")} })
	m.aws.Put("f", Enabled())
	m.sync(r)
	m.aws.Delete("f")
	deregistered := false
	w.breakWith(func(request *http.Request) error {
		if request.Method == http.MethodGet {
			return nil
		}
		if request.URL.Path == "/v1/txn" {
			deregistered = true
			return nil
		}
		w.breakWith(nil)
		_, _, err := m.consul.ConfigEntries().Set(&api.TerminatingGatewayConfigEntry{
			Kind: api.TerminatingGateway, Name: "gw", Services: []api.LinkedService{{Name: "f"}, {Name: "new"}},
		}, nil)
		return err
	})
	if _, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "listing it in terminating-gateway gw") {
		t.Errorf("error %v", err)
	}
	if deregistered || m.entry("f") == nil || len(m.services("f")) == 0 {
		t.Error("it was removed before it was unlisted")
	}
	m.expect(m.sync(r).Plan, "delete f")
	if diff := cmp.Diff([]string{"new"}, m.fronted()); diff != "" {
		t.Error(diff)
	}
	m.gone("f")
}

// Without the right to write lists everything else goes on, and the right is named.
func testListingDenied(t *testing.T, m *mesh) {
	for name, rules := range map[string]string{"gateway": recommendedRules, "exports": recommendedRules} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t, m.server)
			client, _ := m.as(rules)
			m.aws.Put("f", Enabled())
			r := m.registrator(func(c *Config) {
				c.Consul = client
				c.Lists = []List{GatewayList("gw-denied")}
				if name == "exports" {
					c.Lists = []List{ExportList("peer:east")}
				}
			})
			for range 2 {
				if _, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), `mesh = "write"`) {
					t.Errorf("error %v", err)
				}
				m.whole("f", m.aws.ARN("f"))
			}
		})
	}
	client, _ := m.as(recommendedRules + ` mesh = "write"`)
	m.aws.Put("f", Enabled())
	m.sync(m.registrator(func(c *Config) { c.Consul = client; listing(c) }))
	m.lists([]string{"f"}, []string{"f east", "f west"})
}
