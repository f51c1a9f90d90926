package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// migration is a mesh whose functions Consul's own ways made, which goes through the
// steps of docs/migration.md.
type migration struct {
	*walkthrough
	gateway *testmesh.Gateway
	before  *testmesh.Envoy // the gateway's, with Consul's xDS
}

// TestMigration: from Consul's Lambda registrator, its extension by hand, and Meta by
// hand, to lambdamesh, with the page's commands.
//
// Consul's registrator itself is a container for AWS Lambda that is not to be had here: what
// it writes is written in its place, as its source has it (0.1.0 and main,
// upsert_event.go). What the extension makes of it is Consul's own; the address that it
// invokes is AWS's, so no call is made before the gateway has its xDS from lambdamesh.
func TestMigration(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	m := &migration{walkthrough: s.walkthrough("migration.md")}
	made := map[string]string{} // service to ARN
	for _, name := range []string{"hello", "late", "goodbye", "old"} {
		tags, aliases := testmesh.EnabledTags(), []string(nil)
		switch name {
		case "hello":
			tags, aliases = testmesh.EnabledTags("aliases", "blue"), []string{"blue"}
		case "late":
			tags = testmesh.EnabledTags("invocation-mode", "ASYNCHRONOUS")
		}
		made[name] = s.function(name, "hello", tags, aliases...)
	}
	made["hello-blue"] = made["hello"] + ":blue"
	untagged := s.function("untagged", "hello", nil)

	m.asConsulsRegistrator("hello", made["hello"], "SYNCHRONOUS")
	m.asConsulsRegistrator("hello-blue", made["hello-blue"], "SYNCHRONOUS")
	m.asConsulsRegistrator("late", made["late"], "ASYNCHRONOUS")
	m.asConsulsRegistrator("untagged", untagged, "SYNCHRONOUS")
	s.must(s.Consul.RegisterLambda(s.ctx, "goodbye"))
	by := extended("goodbye", made["goodbye"], "synchronous")
	by.Meta, by.MaxInboundConnections = map[string]string{"owner": "team"}, 7
	s.must(s.Consul.SetEntry(s.ctx, by))
	s.byHand("old", meta(made["old"]))
	services := []string{"goodbye", "hello", "hello-blue", "late", "old"}
	s.allow("web", append(services, "untagged")...)

	// Not old: with Consul's own xDS its cluster has an empty address, and Envoy refuses
	// that update whole, so a gateway that lists it never becomes ready.
	m.startBefore("goodbye", "hello", "hello-blue", "late", "untagged")
	entries := s.defaults()

	s.run("1. Look", func(t *testing.T) {
		out := m.follow("1. Look")
		for _, name := range services {
			if !strings.Contains(out, "adopt") || !strings.Contains(out, name) {
				t.Errorf("the plan does not name %s:\n%s", name, out)
			}
		}
		if strings.Contains(out, "conflict") {
			t.Errorf("the plan has a conflict:\n%s", out)
		}
		m.unchanged(entries)
	})
	s.run("2. Keep a copy", func(*testing.T) { m.follow("2. Keep a copy") })
	s.run("3. Start lambdamesh", func(t *testing.T) {
		s.known(services...)
		if out := m.follow("3. Start lambdamesh"); !strings.Contains(out, made["hello"]) {
			t.Errorf("inspect says\n%s", out)
		}
	})
	var web *testmesh.Sidecar
	s.run("4. Send a gateway to it", func(t *testing.T) {
		s.must(m.before.Stop())
		s.must(m.gateway.StartEnvoy(s.ctx))
		s.healthy(m.gateway.Envoy)
		s.must(m.gateway.Front(s.ctx, append(services, "untagged")...))
		web = s.sidecar("web", append(services, "untagged")...)
		m.answer(web, made)
		s.until(web, "untagged", untagged)
		m.unchanged(entries)
	})
	s.run("6. Take the functions over", func(t *testing.T) {
		stop := s.load(web, "hello", 4)
		m.follow("6. Take the functions over")
		s.known(services...)
		m.ours(services)
		m.consulsOwn(services, false)
		m.answer(web, made)
		if calls, failures := stop(); len(failures) > 0 {
			t.Errorf("%d of %d calls were lost: %v", len(failures), calls, failures)
		}
		entry := s.defaults()["goodbye"]
		if entry.MaxInboundConnections != 7 || entry.Meta["owner"] != "team" {
			t.Errorf("the entry of goodbye lost what others put there: %+v", entry)
		}
		out, err := s.Lambdamesh.Run(s.ctx, "sync", "--dry-run", "-o", "json")
		s.must(err)
		var p plan
		s.must(json.Unmarshal([]byte(out), &p))
		if len(p.Changes) != 0 {
			t.Errorf("there is something left to do: %s", out)
		}
		if len(p.Skipped) != 1 || p.Skipped[0].Function != "untagged" {
			t.Errorf("skipped: %s", out)
		}
		if got := s.defaults()["untagged"]; got.ModifyIndex != entries["untagged"].ModifyIndex {
			t.Errorf("the entry of a function that is not tagged was written: %+v", got)
		}
		s.until(web, "untagged", untagged)
	})
	s.run("The way back", func(t *testing.T) {
		m.follow("The way back")
		for name, entry := range s.defaults() {
			if len(entry.EnvoyExtensions) != len(entries[name].EnvoyExtensions) || len(entry.Meta) != len(entries[name].Meta) {
				t.Errorf("%s is %+v, and was %+v", name, entry, entries[name])
			}
		}
		m.consulsOwn(services[:len(services)-1], true)
		m.answer(web, made)
	})
	s.signed()
}

// asConsulsRegistrator writes what Consul's Lambda registrator writes for a function.
func (m *migration) asConsulsRegistrator(name, arn, mode string) {
	m.t.Helper()
	m.must(m.Consul.SetEntry(m.ctx, extended(name, arn, mode)))
	_, err := m.Consul.API().Catalog().Register(&api.CatalogRegistration{
		Node: "lambdas", SkipNodeUpdate: true,
		NodeMeta: map[string]string{"external-node": "true", "external-probe": "true"},
		Service:  &api.AgentService{ID: name, Service: name, Tags: []string{"managed-by-lambda-registrator"}},
	}, nil)
	m.must(err)
}

func extended(name, arn, mode string) *api.ServiceConfigEntry {
	return &api.ServiceConfigEntry{
		Kind: api.ServiceDefaults, Name: name, Protocol: "http",
		EnvoyExtensions: []api.EnvoyExtension{{
			Name:      api.BuiltinAWSLambdaExtension,
			Arguments: map[string]any{"arn": arn, "invocationMode": mode, "payloadPassthrough": false},
		}},
	}
}

// startBefore starts the gateway as it was: with Consul's xDS.
func (m *migration) startBefore(services ...string) {
	m.t.Helper()
	var err error
	m.gateway, err = m.AddTerminatingGateway(m.ctx, "lambda-gateway", services, testmesh.ProxyOptions{
		Rules: `service_prefix "" { policy = "write" } node_prefix "" { policy = "read" } agent_prefix "" { policy = "read" }`, NoEnvoy: true,
	})
	m.must(err)
	admin, err := m.Ports().Get()
	m.must(err)
	bootstrap, err := m.Consul.Bootstrap(m.ctx, testmesh.BootstrapConfig{
		GRPCAddr: m.Consul.GRPCAddr(), AdminAddr: fmt.Sprintf("127.0.0.1:%d", admin),
		ProxyID: "lambda-gateway", NodeName: m.Consul.ProxyNode(), Token: m.gateway.Token.SecretID,
	})
	m.must(err)
	m.before = testmesh.TestEnvoy(m.t, testmesh.EnvoyConfig{
		Bin: testmesh.Bin(m.t, (*parts.Cache).Envoy), Dir: m.t.TempDir(), Name: "envoy-before", Bootstrap: bootstrap, AdminPort: admin,
	})
	m.must(m.before.WaitReady(m.ctx))
	m.must(testmesh.Poll(m.ctx, func(ctx context.Context) error {
		dump, err := m.before.ConfigDump(ctx, "dynamic_active_clusters")
		if err == nil && !strings.Contains(string(dump), "lambda.us-east-1.amazonaws.com") {
			err = errors.New("Consul's extension is not at work")
		}
		return err
	}))
}

// defaults are the service-defaults entries by name.
func (s *story) defaults() map[string]*api.ServiceConfigEntry {
	s.t.Helper()
	list, _, err := s.Consul.API().ConfigEntries().List(api.ServiceDefaults, nil)
	s.must(err)
	entries := map[string]*api.ServiceConfigEntry{}
	for _, e := range list {
		entries[e.GetName()] = e.(*api.ServiceConfigEntry)
	}
	return entries
}

func (m *migration) unchanged(before map[string]*api.ServiceConfigEntry) {
	m.t.Helper()
	for name, entry := range m.defaults() {
		if entry.ModifyIndex != before[name].ModifyIndex {
			m.t.Errorf("the entry of %s was written", name)
		}
	}
}

// ours checks that a registrator owns all of them now, in entry and catalog, and that
// nothing of the extension is left.
func (m *migration) ours(services []string) {
	m.t.Helper()
	entries := m.defaults()
	for _, name := range services {
		if e := entries[name]; len(e.EnvoyExtensions) != 0 || e.Meta["managed-by-lambda-registrator"] != "true" {
			m.t.Errorf("the entry of %s is %+v", name, e)
		}
		instances, _, err := m.Consul.API().Catalog().Service(name, "", nil)
		m.must(err)
		if len(instances) != 1 || !slices.Contains(instances[0].ServiceTags, "managed-by-lambda-registrator") {
			m.t.Errorf("the catalog has %s as %+v", name, instances)
		}
	}
}

// known waits until lambdamesh has these functions.
func (s *story) known(services ...string) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		state := s.state()
		for _, name := range services {
			if got := state.service(name); got.State != "ok" {
				return fmt.Errorf("%s is no function yet: %v", name, got)
			}
		}
		return nil
	}))
}

// answer checks that every function answers, each as its tags say.
func (m *migration) answer(web *testmesh.Sidecar, made map[string]string) {
	m.t.Helper()
	for name, arn := range made {
		if name != "late" {
			m.until(web, name, arn)
			continue
		}
		before := len(m.AWS.Invoke.Calls())
		m.answers(web, name, testmesh.Request{}, http.StatusAccepted)
		if !slices.ContainsFunc(m.AWS.Invoke.Calls()[before:], func(c call) bool {
			return invocationOf(arn)(c) && c.Header.Get("X-Amz-Invocation-Type") == "Event"
		}) {
			m.t.Error("late answers 202 and was not invoked asynchronously")
		}
	}
}

// consulsOwn waits until Consul makes, or makes no more, clusters of its extension for
// them, as a second gateway of the same name that has Consul's xDS is sent them.
func (m *migration) consulsOwn(services []string, want bool) {
	m.t.Helper()
	l := m.listen(m.Consul.GRPCAddr(), m.gateway.Name, m.gateway.Token.SecretID)
	m.must(testmesh.Poll(m.ctx, func(context.Context) error {
		clusters := 0
		for key, r := range l.all() {
			name, ok := strings.CutPrefix(key, recorder.ClusterType+" ")
			if !ok || !slices.ContainsFunc(services, func(s string) bool { return strings.HasPrefix(name, s+".") }) {
				continue
			}
			var cluster clusterv3.Cluster
			if err := r.GetResource().UnmarshalTo(&cluster); err != nil {
				return err
			}
			if extended := cluster.GetMetadata().GetFilterMetadata()["com.amazonaws.lambda"] != nil; extended != want {
				return fmt.Errorf("%s: by Consul's extension: %v", name, extended)
			}
			clusters++
		}
		if clusters != len(services) {
			return fmt.Errorf("%d clusters for %v", clusters, services)
		}
		return nil
	}))
}
