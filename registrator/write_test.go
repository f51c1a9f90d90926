package registrator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// Services go by transactions of 64, and a run that finds nothing to do reads
// entries and services once each and writes nothing.
func testTransactions(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	m.aws.Put("first", Enabled())
	m.sync(r) // makes the node
	w.written()
	for i := range 200 {
		m.aws.Put(fmt.Sprintf("f%03d", i), Enabled())
	}
	counted := func(kind Kind) {
		t.Helper()
		if result := m.sync(r); result.Applied != 200 || result.Plan.Changes[0].Kind != kind {
			t.Errorf("%d changes", result.Applied)
		}
		entries, transactions := 0, 0
		for _, write := range w.written() {
			switch {
			case strings.Contains(write, " /v1/config"):
				entries++
			case write == "PUT /v1/txn":
				transactions++
			default:
				t.Errorf("it wrote %s", write)
			}
		}
		if entries != 200 || transactions != 4 {
			t.Errorf("%s: %d writes of entries, %d transactions", kind, entries, transactions)
		}
	}
	counted(KindCreate)
	m.whole("f199", m.aws.ARN("f199"))

	w.read()
	m.expect(m.sync(r).Plan)
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("it wrote %v", writes)
	}
	if diff := cmp.Diff([]string{"/v1/config/service-defaults", "/v1/catalog/node-services/lambdas"}, w.read()); diff != "" {
		t.Error(diff)
	}

	for i := range 200 {
		m.aws.Delete(fmt.Sprintf("f%03d", i))
	}
	r, w = m.wired(func(c *Config) { c.Force = true })
	counted(KindDelete)
	m.gone("f000")
}

// A service that Consul refuses does not keep the others of its transaction back.
func testRefusedOperation(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	m.aws.Put("first", Enabled())
	m.sync(r)
	m.aws.Put("a", Enabled())
	m.aws.Put("b", Enabled())
	m.aws.Put("c", Enabled())
	w.breakWith(func(request *http.Request) error {
		if request.URL.Path == "/v1/txn" {
			w.breakWith(nil)
			m.register(&api.AgentService{Service: "b", Port: 80}) // somebody is quicker
		}
		return nil
	})
	result, err := r.Sync(t.Context())
	if err == nil || !strings.Contains(err.Error(), "service b: writing it: somebody else changed it meanwhile") || result.Applied != 2 {
		t.Errorf("applied %d, error %v", result.Applied, err)
	}
	m.whole("a", m.aws.ARN("a"))
	m.whole("c", m.aws.ARN("c"))
	if s := m.services("b"); len(s) != 1 || s[0].ServicePort != 80 {
		t.Errorf("services %v", s)
	}
}

// Services into which others put more than one transaction takes go by smaller ones.
func testTransactionTooLarge(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	for i := range 64 {
		m.aws.Put(fmt.Sprintf("f%02d", i), Enabled())
	}
	m.sync(r)
	meta := map[string]string{}
	for i := range 20 {
		meta[fmt.Sprintf("team-%d", i)] = strings.Repeat("x", 512)
	}
	for i := range 64 {
		m.register(&api.AgentService{Service: fmt.Sprintf("f%02d", i), Tags: []string{lambda.Mark}, Meta: meta})
	}
	w.written()
	if result := m.sync(r); result.Applied != 64 {
		t.Errorf("%d changes", result.Applied)
	}
	if diff := cmp.Diff([]string{"PUT /v1/txn", "PUT /v1/txn", "PUT /v1/txn"}, w.written()); diff != "" {
		t.Error(diff)
	}
	if got := m.services("f63")[0].ServiceMeta; got["team-19"] != meta["team-19"] || got["lambda-arn"] != m.aws.ARN("f63").String() {
		t.Errorf("Meta %v", got)
	}
}

// A service that somebody changed since it was read is not deregistered.
func testServiceChangedBeforeRemoval(t *testing.T, m *mesh) {
	r, w := m.wired(nil)
	m.aws.Put("f", Enabled())
	m.sync(r)
	m.aws.Delete("f")
	w.breakWith(func(request *http.Request) error {
		if request.URL.Path == "/v1/txn" {
			w.breakWith(nil)
			s := m.services("f")[0]
			m.register(&api.AgentService{Service: "f", Tags: append(s.ServiceTags, "canary"), Meta: s.ServiceMeta})
		}
		return nil
	})
	if _, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody else changed it") {
		t.Errorf("error %v", err)
	}
	if m.entry("f") == nil || len(m.services("f")) == 0 {
		t.Error("something was removed")
	}
	m.expect(m.sync(r).Plan, "delete f")
	m.gone("f")
}

// What Consul's own registrator made becomes ours, with or without its extension.
func testAdoptionFromConsulsRegistrator(t *testing.T, m *mesh) {
	put := func(name string) {
		m.aws.Put(name, Enabled("payload-passthrough", "true"))
		m.put(&api.ServiceConfigEntry{Name: name, Protocol: "http", MaxInboundConnections: 9, EnvoyExtensions: []api.EnvoyExtension{{
			Name:      "builtin/aws/lambda",
			Arguments: map[string]any{"ARN": m.aws.ARN(name).String(), "PayloadPassthrough": true, "InvocationMode": "SYNCHRONOUS"},
		}}})
		m.register(&api.AgentService{Service: name, Tags: []string{lambda.Mark}})
	}
	put("f")
	put("g")
	m.aws.Put("g", nil) // its function is not tagged any more
	before := m.indexes()

	r := m.registrator(func(c *Config) { c.KeepExtensions = true })
	m.expect(m.sync(r).Plan, "adopt f")
	m.whole("f", m.aws.ARN("f"))
	if e := m.entry("f"); len(e.EnvoyExtensions) != 1 || e.MaxInboundConnections != 9 {
		t.Errorf("the entry is %+v", e)
	}
	m.expect(m.sync(r).Plan)

	r = m.registrator(nil)
	m.expect(m.sync(r).Plan, "update f")
	m.whole("f", m.aws.ARN("f"))
	if e := m.entry("f"); len(e.EnvoyExtensions) != 0 || e.MaxInboundConnections != 9 || e.Meta[lambda.Prefix+"payload-passthrough"] != "true" {
		t.Errorf("the entry is %+v", e)
	}
	m.expect(m.sync(r).Plan)

	after := m.indexes()
	if after["entry g"] != before["entry g"] || after["service g"] != before["service g"] {
		t.Error("what belongs to a function that is not tagged was changed")
	}
}

// The longest name that is not refused, and tags as long as AWS takes them, go
// through a real Consul.
func testLongestNamesAndTags(t *testing.T, m *mesh) {
	name, alias := strings.Repeat("f", 61), strings.Repeat("a", 128)
	tags := Enabled("aliases", alias, "credentials-profile", strings.Repeat("p", 256))
	for i := len(tags); i < 50; i++ {
		tags[fmt.Sprintf("%0128d", i)] = strings.Repeat("v", 256)
	}
	m.aws.Put(name, tags)
	m.aws.Put("consul", Enabled())
	r := m.registrator(nil)
	result := m.sync(r)
	m.expect(result.Plan, "create "+name, "create "+name+"-"+alias)
	m.whole(name+"-"+alias, m.aws.ARN(name).WithQualifier(alias))
	if len(result.Plan.Skipped) != 1 || result.Plan.Skipped[0].Function != m.aws.ARN("consul").String() {
		t.Errorf("skipped %v", result.Plan.Skipped)
	}
	m.expect(m.sync(r).Plan)
	m.aws.Put(name, Enabled()) // the alias is gone
	m.expect(m.sync(r).Plan, "update "+name, "delete "+name+"-"+alias)
	m.gone(name + "-" + alias)
}
