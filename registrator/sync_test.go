package registrator_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// mesh is a registrator between a fake AWS and a real Consul.
type mesh struct {
	*testing.T
	aws    *FakeAWS
	server *testmesh.Consul
	consul *api.Client // with all rights
	log    *buffer
}

// buffer may be written by the registrator while a test reads it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newMesh empties the server of what an earlier test left.
func newMesh(t *testing.T, server *testmesh.Consul) *mesh {
	t.Helper()
	m := &mesh{T: t, aws: StartFakeAWS(t), server: server, consul: server.API(), log: &buffer{}}
	entries, _, err := m.consul.ConfigEntries().List(api.ServiceDefaults, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, err := m.consul.ConfigEntries().Delete(api.ServiceDefaults, entry.GetName(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.consul.KV().DeleteTree("lambdamesh/", nil); err != nil {
		t.Fatal(err)
	}
	for kind, name := range map[string]string{api.TerminatingGateway: "gw", api.ExportedServices: "default"} {
		if _, err := m.consul.ConfigEntries().Delete(kind, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range []string{"lambdas", "web1"} {
		if _, err := m.consul.Catalog().Deregister(&api.CatalogDeregistration{Node: node}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// registrator makes one; change may be nil.
func (m *mesh) registrator(change func(*Config)) *Registrator {
	m.Helper()
	config := Config{
		Consul: m.consul, Regions: m.aws.Regions(m, nil),
		Logger: slog.New(slog.NewTextHandler(m.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	r, err := New(config)
	if err != nil {
		m.Fatal(err)
	}
	return r
}

// sync runs once; it must go well.
func (m *mesh) sync(r *Registrator) Result {
	m.Helper()
	result, err := r.Sync(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	return result
}

// kinds are the changes of a plan, as "KIND SERVICE".
func kinds(plan Plan) []string {
	all := []string{}
	for _, change := range plan.Changes {
		all = append(all, fmt.Sprintf("%s %s", change.Kind, change.Service))
	}
	return all
}

func (m *mesh) expect(plan Plan, want ...string) {
	m.Helper()
	if diff := cmp.Diff(append([]string{}, want...), kinds(plan)); diff != "" {
		m.Errorf("plan (-want +got):\n%s%v", diff, plan)
	}
}

// entry is the service-defaults entry; nil if there is none.
func (m *mesh) entry(name string) *api.ServiceConfigEntry {
	m.Helper()
	entry, _, err := m.consul.ConfigEntries().Get(api.ServiceDefaults, name, nil)
	var status api.StatusError
	if errors.As(err, &status) && status.Code == 404 {
		return nil
	}
	if err != nil {
		m.Fatal(err)
	}
	return entry.(*api.ServiceConfigEntry)
}

// services are the instances of a service.
func (m *mesh) services(name string) []*api.CatalogService {
	m.Helper()
	services, _, err := m.consul.Catalog().Service(name, "", nil)
	if err != nil {
		m.Fatal(err)
	}
	return services
}

// whole checks that a service is there as the registrator makes it.
func (m *mesh) whole(name string, arn lambda.ARN) {
	m.Helper()
	entry := m.entry(name)
	if entry == nil {
		m.Fatalf("%s has no service-defaults entry", name)
	}
	got, found, err := lambda.FromMeta(name, entry.Meta)
	if err != nil || !found || !got.Enabled || got.Function.ARN != arn || got.Function.Timeout.Seconds() != 30 {
		m.Errorf("the Meta of %s says %+v, error %v", name, got, err)
	}
	if entry.Meta[lambda.Mark] != "true" || entry.Protocol != "http" {
		m.Errorf("the entry of %s: protocol %q, Meta %v", name, entry.Protocol, entry.Meta)
	}
	services := m.services(name)
	if len(services) != 1 {
		m.Fatalf("%d services %s", len(services), name)
	}
	if s := services[0]; !slices.Contains(s.ServiceTags, lambda.Mark) || s.ServiceAddress != "" || s.Address != "" || s.ServicePort != 0 {
		m.Errorf("service %s: %+v", name, s)
	}
}

// gone checks that nothing of a service is left.
func (m *mesh) gone(name string) {
	m.Helper()
	if entry := m.entry(name); entry != nil {
		m.Errorf("%s still has an entry: %+v", name, entry)
	}
	if services := m.services(name); len(services) > 0 {
		m.Errorf("%s is still registered: %+v", name, services[0])
	}
}

// put writes a service-defaults entry as an operator does.
func (m *mesh) put(entry *api.ServiceConfigEntry) {
	m.Helper()
	entry.Kind = api.ServiceDefaults
	if _, _, err := m.consul.ConfigEntries().Set(entry, nil); err != nil {
		m.Fatal(err)
	}
}

// register registers a service on node lambdas, as somebody else does.
func (m *mesh) register(service *api.AgentService) {
	m.Helper()
	_, err := m.consul.Catalog().Register(&api.CatalogRegistration{Node: "lambdas", SkipNodeUpdate: true, Service: service}, nil)
	if err != nil {
		m.Fatal(err)
	}
}

func (m *mesh) deregister(service string) {
	m.Helper()
	if _, err := m.consul.Catalog().Deregister(&api.CatalogDeregistration{Node: "lambdas", ServiceID: service}, nil); err != nil {
		m.Fatal(err)
	}
}

// indexes are the ModifyIndexes of everything that the registrator writes.
func (m *mesh) indexes() map[string]uint64 {
	m.Helper()
	all := map[string]uint64{}
	entries, _, err := m.consul.ConfigEntries().List(api.ServiceDefaults, nil)
	if err != nil {
		m.Fatal(err)
	}
	for _, entry := range entries {
		all["entry "+entry.GetName()] = entry.GetModifyIndex()
	}
	list, _, err := m.consul.Catalog().NodeServiceList("lambdas", nil)
	if err != nil {
		m.Fatal(err)
	}
	if list.Node != nil {
		all["node"] = list.Node.ModifyIndex
	}
	for _, service := range list.Services {
		all["service "+service.Service] = service.ModifyIndex
	}
	return all
}

// raftIndex is the index of the last write to Consul of any kind.
func (m *mesh) raftIndex() string {
	m.Helper()
	self, err := m.consul.Agent().Self()
	if err != nil {
		m.Fatal(err)
	}
	return self["Stats"]["raft"].(map[string]any)["last_log_index"].(string)
}

// writesNothing syncs and checks that Consul has written nothing of any kind for it.
// Consul writes now and then by itself, hence several tries.
func (m *mesh) writesNothing(r *Registrator) {
	m.Helper()
	before := m.indexes()
	for range 5 {
		raft := m.raftIndex()
		m.expect(m.sync(r).Plan)
		if m.raftIndex() == raft {
			return
		}
	}
	m.Errorf("each sync writes to Raft:\n%s", cmp.Diff(before, m.indexes()))
}

func testSync(t *testing.T, m *mesh) {
	m.aws.Put("f", Enabled("aliases", "live"))
	m.aws.Put("untagged", map[string]string{"team": "a"})
	m.aws.Put("off", map[string]string{lambda.Prefix + "enabled": "false"})
	m.aws.Put("mistaken", Enabled("invocation-mode", "MAYBE"))
	m.aws.Put("enterprise", Enabled("namespace", "team-a"))
	m.aws.Put("there", Enabled("datacenter", "dc2"))
	m.aws.Put("here", Enabled("datacenter", "dc1"))
	r := m.registrator(nil)

	dry, err := r.DryRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.expect(dry, "create f", "create f-live", "create here")
	if len(m.indexes()) > 0 {
		t.Errorf("a dry run wrote %v", m.indexes())
	}

	result := m.sync(r)
	m.expect(result.Plan, "create f", "create f-live", "create here")
	if result.Applied != 3 || result.Functions != 6 {
		t.Errorf("result %+v", result)
	}
	var skipped []string
	for _, skip := range result.Plan.Skipped {
		skipped = append(skipped, skip.Function)
	}
	if diff := cmp.Diff([]string{m.aws.ARN("enterprise").String(), m.aws.ARN("mistaken").String(), m.aws.ARN("there").String()}, skipped); diff != "" {
		t.Error(diff)
	}
	m.whole("f", m.aws.ARN("f"))
	m.whole("f-live", m.aws.ARN("f").WithQualifier("live"))
	m.whole("here", m.aws.ARN("here"))
	for _, name := range []string{"untagged", "off", "mistaken", "enterprise", "there"} {
		m.gone(name)
	}
	node, _, err := m.consul.Catalog().Node("lambdas", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"external-node": "true"}, node.Node.Meta); diff != "" {
		t.Error(diff)
	}

	m.writesNothing(r)
	m.aws.Requests()
	m.expect(m.sync(r).Plan)
	if diff := cmp.Diff([]string{"GetResources 1", "GetResources 1"}, m.aws.Requests()); diff != "" {
		t.Error(diff)
	}

	m.aws.Put("f", Enabled("payload-passthrough", "true"))
	m.expect(m.sync(r).Plan, "update f", "delete f-live")
	m.gone("f-live")
	if got := m.entry("f").Meta[lambda.Prefix+"payload-passthrough"]; got != "true" {
		t.Errorf("payload-passthrough is %q", got)
	}
	m.aws.Delete("f")
	m.aws.Put("here", nil)
	m.expect(m.sync(r).Plan, "delete f", "delete here")
	m.gone("f")
	m.gone("here")
	status := r.Status()
	if status.Error != "" || status.LastSuccess.IsZero() || status.LastRun != status.LastSuccess || len(status.Changes) != 2 {
		t.Errorf("status %+v", status)
	}
}

func testDriftIsRepaired(t *testing.T, m *mesh) {
	m.aws.Put("f", Enabled("retries", "2"))
	r := m.registrator(nil)
	m.sync(r)
	for name, drift := range map[string]func(){
		"Meta changed":     func() { e := m.entry("f"); e.Meta[lambda.Prefix+"retries"] = "9"; m.put(e) },
		"Meta key deleted": func() { e := m.entry("f"); delete(e.Meta, lambda.Prefix+"enabled"); m.put(e) },
		"ARN mangled":      func() { e := m.entry("f"); e.Meta[lambda.Prefix+"arn"] = "nonsense"; m.put(e) },
		"ARN of another account": func() {
			e := m.entry("f")
			e.Meta[lambda.Prefix+"arn"] = Theirs("us-east-1", "f").String()
			m.put(e)
		},
		"mark of the entry deleted": func() { e := m.entry("f"); delete(e.Meta, lambda.Mark); m.put(e) },
		"all Meta deleted":          func() { e := m.entry("f"); e.Meta = nil; m.put(e) },
		"entry written anew":        func() { m.put(&api.ServiceConfigEntry{Name: "f", Protocol: "http"}) },
		"protocol deleted":          func() { e := m.entry("f"); e.Protocol = ""; m.put(e) },
		"entry deleted":             func() { _, _ = m.consul.ConfigEntries().Delete(api.ServiceDefaults, "f", nil) },
		"service deleted":           func() { m.deregister("f") },
		"tag deleted":               func() { m.register(&api.AgentService{Service: "f"}) },
		"service's Meta deleted":    func() { m.register(&api.AgentService{Service: "f", Tags: []string{lambda.Mark}}) },
		"address given":             func() { m.register(&api.AgentService{Service: "f", Tags: []string{lambda.Mark}, Port: 80}) },
	} {
		drift()
		if diff := cmp.Diff([]string{"update f"}, kinds(m.sync(r).Plan)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		m.whole("f", m.aws.ARN("f"))
		if got := m.entry("f").Meta[lambda.Prefix+"retries"]; got != "2" {
			t.Errorf("%s: retries %q", name, got)
		}
		m.expect(m.sync(r).Plan)
	}
}

func testWhatOthersPutThereSurvives(t *testing.T, m *mesh) {
	m.aws.Put("f", Enabled())
	r := m.registrator(nil)
	m.sync(r)
	e := m.entry("f")
	e.Meta["team"] = "payments"
	e.ExternalSNI = "f.example"
	e.Protocol = "http2"
	e.UpstreamConfig = &api.UpstreamConfiguration{Defaults: &api.UpstreamConfig{ConnectTimeoutMs: 250}}
	m.put(e)
	m.register(&api.AgentService{Service: "f", Tags: []string{"canary", lambda.Mark}, Meta: m.services("f")[0].ServiceMeta})
	m.expect(m.sync(r).Plan)

	m.aws.Put("f", Enabled("retries", "1"))
	m.expect(m.sync(r).Plan, "update f")
	survived := func() {
		t.Helper()
		e := m.entry("f")
		if e == nil {
			t.Fatal("the entry is gone")
		}
		if e.Meta["team"] != "payments" || e.ExternalSNI != "f.example" || e.Protocol != "http2" || e.UpstreamConfig.Defaults.ConnectTimeoutMs != 250 {
			t.Errorf("the entry is %+v", e)
		}
	}
	survived()
	if tags := m.services("f")[0].ServiceTags; !slices.Contains(tags, "canary") {
		t.Errorf("tags %v", tags)
	}

	m.aws.Delete("f")
	m.expect(m.sync(r).Plan, "delete f")
	survived()
	if diff := cmp.Diff(map[string]string{"team": "payments"}, m.entry("f").Meta); diff != "" {
		t.Error(diff)
	}
	if services := m.services("f"); len(services) > 0 {
		t.Errorf("services %v", services)
	}
	m.expect(m.sync(r).Plan)
}

func testForeignThingsAreLeftAlone(t *testing.T, m *mesh) {
	arn := m.aws.ARN("by-hand").String()
	hand := map[string]string{lambda.Prefix + "enabled": "true", lambda.Prefix + "arn": arn}
	for _, name := range []string{"elsewhere", "on-our-node", "entry", "by-hand", "extension", "other-account", "no-arn"} {
		m.aws.Put(name, Enabled())
	}
	m.aws.Delete("no-arn")
	_, err := m.consul.Catalog().Register(&api.CatalogRegistration{
		Node: "web1", Address: "127.0.0.2", Service: &api.AgentService{Service: "elsewhere", Port: 80},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.register(&api.AgentService{Service: "on-our-node", Port: 80})
	m.register(&api.AgentService{Service: "by-hand"})
	m.register(&api.AgentService{Service: "no-arn", Tags: []string{lambda.Mark}})
	m.put(&api.ServiceConfigEntry{Name: "entry", Protocol: "grpc"})
	m.put(&api.ServiceConfigEntry{Name: "by-hand", Protocol: "http", Meta: hand})
	m.put(&api.ServiceConfigEntry{Name: "extension", Protocol: "http", EnvoyExtensions: []api.EnvoyExtension{{
		Name: "builtin/aws/lambda", Arguments: map[string]any{"ARN": m.aws.ARN("extension").String()},
	}}})
	other := map[string]string{lambda.Mark: "true", lambda.Prefix + "enabled": "true", lambda.Prefix + "arn": "arn:aws:lambda:us-east-1:210987654321:function:other-account"}
	m.put(&api.ServiceConfigEntry{Name: "other-account", Protocol: "http", Meta: other})
	m.put(&api.ServiceConfigEntry{Name: "other-accounts-alone", Protocol: "http", Meta: other})

	before := m.indexes()
	r := m.registrator(nil)
	result := m.sync(r)
	m.expect(result.Plan, "conflict by-hand", "conflict elsewhere", "conflict entry", "conflict extension", "conflict on-our-node", "conflict other-account")
	if diff := cmp.Diff(before, m.indexes()); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
	if len(result.Plan.Skipped) != 1 || result.Plan.Skipped[0].Function != "no-arn" {
		t.Errorf("skipped %v", result.Plan.Skipped)
	}

	adopting := m.registrator(func(c *Config) { c.Adopt = true })
	m.expect(m.sync(adopting).Plan, "adopt by-hand", "conflict elsewhere", "conflict entry", "adopt extension", "conflict on-our-node", "conflict other-account")
	m.whole("by-hand", m.aws.ARN("by-hand"))
	m.sync(r)
	if got := strings.Count(m.log.String(), "a conflict: nothing is done for a service, a person must decide\" service=entry "); got != 2 { // once for each registrator
		t.Errorf("the conflict was said %d times", got)
	}
}

func testFailedListingDeletesNothing(t *testing.T, m *mesh) {
	m.aws.PageSize = 1
	m.aws.Put("a", Enabled())
	m.aws.Put("b", Enabled())
	r := m.registrator(func(c *Config) { c.NoTimeouts = true })
	m.sync(r)
	before := m.indexes()
	m.aws.Delete("b")
	m.aws.Put("c", Enabled())
	m.aws.Fail(Fault{Operation: "GetResources", Page: 2, Status: 500, Code: "InternalServiceException"})
	m.aws.Requests()
	result, err := r.Sync(t.Context())
	if err == nil || len(result.Plan.Changes) > 0 {
		t.Errorf("plan %v, error %v", result.Plan, err)
	}
	if requests := m.aws.Requests(); !slices.Contains(requests, "GetResources 2") {
		t.Errorf("page two was not asked for: %v", requests)
	}
	if diff := cmp.Diff(before, m.indexes()); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
	status := r.Status()
	if !strings.Contains(status.Error, "page 2") || status.LastSuccess.IsZero() || !status.LastRun.After(status.LastSuccess) {
		t.Errorf("status %+v", status)
	}
	m.aws.Heal()
	m.expect(m.sync(r).Plan, "delete b", "create c")
}

func testDeletionIsConfirmed(t *testing.T, m *mesh) {
	m.aws.Put("f", Enabled())
	m.aws.Put("g", Enabled())
	r := m.registrator(nil)
	m.sync(r)
	before := m.indexes()

	m.aws.Unlist("f", true) // the tagging API lags; the function is there
	result := m.sync(r)
	m.expect(result.Plan)
	if len(result.Plan.Skipped) != 1 || result.Plan.Skipped[0].Function != m.aws.ARN("f").String() {
		t.Errorf("skipped %v", result.Plan.Skipped)
	}
	m.keeps(r, "f aws")
	m.aws.Delete("f") // gone indeed, but AWS does not say so
	m.aws.Fail(Fault{Operation: "ListTags", Status: 500, Code: "ServiceException"})
	if _, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "confirming the removal of service f") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, m.indexes()); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
	m.aws.Heal()
	m.keeps(r, "f aws")
	m.expect(m.sync(r).Plan, "delete f")
	m.keeps(r)
	m.gone("f")
	m.whole("g", m.aws.ARN("g"))

	m.aws.Delete("g")
	never := m.registrator(func(c *Config) { c.Policy = PolicyUpsertOnly })
	m.expect(m.sync(never).Plan)
	m.keeps(never, "g policy")
	m.whole("g", m.aws.ARN("g"))
}

func testMassDeletionStops(t *testing.T, m *mesh) {
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprintf("f%02d", i))
		m.aws.Put(all[i], Enabled())
	}
	r := m.registrator(nil)
	m.sync(r)
	before := m.indexes()
	for _, name := range all[:11] {
		m.aws.Put(name, nil)
	}
	m.aws.Put("new", Enabled())
	m.aws.Requests()
	var massive *MassDeletionError
	if _, err := r.Sync(t.Context()); !errors.As(err, &massive) || massive.Deletes != 11 || massive.Owned != 20 {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, m.indexes()); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
	var kept []string
	for _, name := range all[:11] {
		kept = append(kept, name+" guard")
	}
	m.keeps(r, kept...)
	for _, change := range r.Status().Changes {
		if change.Undone == "" {
			t.Errorf("%s %s is told as done", change.Kind, change.Service)
		}
	}
	if slices.ContainsFunc(m.aws.Requests(), func(r string) bool { return strings.HasPrefix(r, "ListTags") }) {
		t.Error("AWS was asked about functions that are not to be deleted")
	}
	result := m.sync(m.registrator(func(c *Config) { c.Force = true }))
	if result.Applied != 12 {
		t.Errorf("%d changes", result.Applied)
	}
	m.gone("f00")
	m.whole("f19", m.aws.ARN("f19"))
}

func testProtocol(t *testing.T, m *mesh) {
	m.aws.Put("f", Enabled())
	r := m.registrator(nil)
	m.sync(r)
	defaults := &api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "grpc"}}
	if _, _, err := m.consul.ConfigEntries().Set(defaults, nil); err != nil {
		t.Fatal(err)
	}
	e := m.entry("f")
	e.Protocol = "" // the operator's proxy-defaults are enough
	m.put(e)
	m.expect(m.sync(r).Plan)
	if _, err := m.consul.ConfigEntries().Delete(api.ProxyDefaults, api.ProxyConfigGlobal, nil); err != nil {
		t.Fatal(err)
	}
	m.expect(m.sync(r).Plan, "update f") // now it would be tcp
	m.whole("f", m.aws.ARN("f"))
}

func testDatacenterThatConsulDoesNotKnow(t *testing.T, m *mesh) {
	m.aws.Put("f", Enabled())
	_, err := m.registrator(func(c *Config) { c.Datacenter = "dc9" }).Sync(t.Context())
	if err == nil || !strings.Contains(err.Error(), "--datacenter") {
		t.Errorf("error %v", err)
	}
	m.gone("f")
}

func testCaseOfNames(t *testing.T, m *mesh) {
	m.aws.Put("CamelCase", Enabled())
	r := m.registrator(nil)
	m.expect(m.sync(r).Plan, "create CamelCase")
	m.whole("CamelCase", m.aws.ARN("CamelCase"))
	m.expect(m.sync(r).Plan)
	m.aws.Put("camelcase", Enabled()) // one and the same to Consul
	m.expect(m.sync(r).Plan, "conflict CamelCase")
	m.whole("CamelCase", m.aws.ARN("CamelCase"))
	m.aws.Delete("camelcase")
	m.aws.Delete("CamelCase")
	m.expect(m.sync(r).Plan, "delete CamelCase")
	m.gone("CamelCase")
}
