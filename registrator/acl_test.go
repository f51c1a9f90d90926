package registrator_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	. "github.com/lambdamesh/lambdamesh/registrator"
)

const (
	documentedRules  = `service_prefix "" { policy = "write" }`
	recommendedRules = documentedRules + ` node "lambdas" { policy = "write" }`
)

// as is a client with a new token that has these rules.
func (m *mesh) as(rules string) (*api.Client, *api.ACLToken) {
	m.Helper()
	token, err := m.server.Token(m.Context(), "registrator", rules)
	if err != nil {
		m.Fatal(err)
	}
	return m.server.APIWith(token.SecretID), token
}

func (m *mesh) said(text string) int { return strings.Count(m.log.String(), text) }

func testRecommendedPolicy(t *testing.T, m *mesh) {
	client, token := m.as(recommendedRules)
	m.aws.Put("f", Enabled())
	m.aws.Put("g", Enabled())
	r := m.registrator(func(c *Config) { c.Consul = client })
	m.expect(m.sync(r).Plan, "create f", "create g")
	m.whole("f", m.aws.ARN("f"))

	m.writesNothing(r)
	m.deregister("f")
	m.expect(m.sync(r).Plan, "update f")
	m.whole("f", m.aws.ARN("f"))
	m.aws.Delete("f")
	m.expect(m.sync(r).Plan, "delete f")
	m.gone("f")
	if n := m.said("node_prefix"); n != 1 {
		t.Errorf("what cannot be seen of other nodes was said %d times:\n%s", n, m.log)
	}

	before := m.indexes()
	m.aws.Delete("g")
	if err := m.server.DeleteToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // the server keeps a token for a moment
		if _, err := r.DryRun(t.Context()); err == nil {
			return errors.New("a deleted token still works")
		}
		return nil
	})
	if _, err := r.Sync(t.Context()); err == nil {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, m.indexes()); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
}

func testDocumentedPolicy(t *testing.T, m *mesh) {
	client, _ := m.as(documentedRules)
	limited := func(c *Config) { c.Consul = client }
	m.aws.Put("f", Enabled())
	m.aws.Put("g", Enabled())
	r := m.registrator(limited)
	_, err := r.Sync(t.Context())
	if err == nil || !strings.Contains(err.Error(), `node "lambdas" { policy = "write" }`) {
		t.Errorf("without the node: error %v", err)
	}

	m.register(&api.AgentService{Service: "somebodys"}) // with it, the node is there
	m.expect(m.sync(r).Plan, "update f", "update g")
	m.whole("f", m.aws.ARN("f"))
	m.whole("g", m.aws.ARN("g"))
	m.writesNothing(r)
	if n := m.said("may not read node lambdas"); n != 1 {
		t.Errorf("the missing rule was said %d times:\n%s", n, m.log)
	}

	m.deregister("f") // cannot be seen, but is repaired at the next start
	m.expect(m.sync(m.registrator(limited)).Plan, "update f", "update g")
	m.whole("f", m.aws.ARN("f"))

	m.aws.Put("new", Enabled()) // what is new does not wait for that
	m.expect(m.sync(r).Plan, "create new")
	m.whole("new", m.aws.ARN("new"))

	m.aws.Delete("f")
	m.deregister("g")
	m.aws.Delete("g")
	m.expect(m.sync(r).Plan, "delete f", "delete g")
	m.gone("f")
	m.gone("g")
	if len(m.services("somebodys")) != 1 {
		t.Error("a service that is not ours is gone")
	}
}

// An answer that Consul emptied looks like a Consul where nothing is; it may cost
// writes that are refused, never a deletion.
func testFilteredAnswersDeleteNothing(t *testing.T, m *mesh) {
	for name, rules := range map[string]string{
		"no rights":       "",
		"services only":   `service_prefix "f" { policy = "write" }`,
		"node only":       `node "lambdas" { policy = "write" }`,
		"services read":   `service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }`,
		"anonymous token": "anonymous",
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t, m.server)
			m.aws.Put("f", Enabled())
			m.aws.Put("g", Enabled())
			m.sync(m.registrator(nil))
			before := m.indexes()
			client := m.server.APIWith("")
			if rules != "anonymous" {
				client, _ = m.as(rules)
			}
			r := m.registrator(func(c *Config) { c.Consul = client })
			result, _ := r.Sync(t.Context())
			for _, change := range result.Plan.Changes {
				if change.Kind == KindDelete {
					t.Errorf("it would delete %s", change.Service)
				}
			}
			after := m.indexes()
			if rules == `service_prefix "f" { policy = "write" }` { // f is registered again
				delete(before, "service f")
				delete(after, "service f")
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("something was written:\n%s", diff)
			}
		})
	}
}
