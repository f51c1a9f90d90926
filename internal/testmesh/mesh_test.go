package testmesh

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// TestMeshWithoutLambdamesh proves gateways, sidecars, tokens and intentions of the
// harness with Consul's own xDS and a normal service.
func TestMeshWithoutLambdamesh(t *testing.T) {
	ctx := Context(t)
	m := TestMesh(t, MeshConfig{NoLambdamesh: true})
	// Consul takes a service for TCP unless told; then a denied call would see its
	// connection closed instead of a 403.
	for _, name := range []string{"app", "legacy"} {
		if err := m.Consul.SetEntry(ctx, &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "http"}); err != nil {
			t.Fatal(err)
		}
	}
	direct := ProxyOptions{XDSAddr: m.Consul.GRPCAddr()}

	app, err := m.AddSidecar(ctx, "app", nil, direct)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Addr: loopback(app.AppPort), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "app got %s %s", r.Method, r.URL)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ListenAndServe()
	}()
	t.Cleanup(func() { _ = server.Close(); <-done })
	web, err := m.AddSidecar(ctx, "web", []string{"app", "legacy"}, direct)
	if err != nil {
		t.Fatal(err)
	}

	// Default deny until an intention allows it.
	if _, err := web.WaitStatus(ctx, "app", Request{}, http.StatusForbidden); err != nil {
		t.Fatal(err)
	}
	if err := m.Consul.Allow(ctx, "web", "app"); err != nil {
		t.Fatal(err)
	}
	got, err := web.WaitStatus(ctx, "app", Request{Method: "POST", Path: "/x?y=1"}, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Body) != "app got POST /x?y=1" {
		t.Errorf("the service answered %q", got.Body)
	}

	// A gateway for a service outside the mesh that listens where the application does.
	if _, err := m.Consul.API().Catalog().Register(&api.CatalogRegistration{
		Node: "outside", Address: "127.0.0.1", SkipNodeUpdate: false,
		Service: &api.AgentService{ID: "legacy", Service: "legacy", Address: "127.0.0.1", Port: app.AppPort},
	}, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.Consul.Allow(ctx, "web", "legacy"); err != nil {
		t.Fatal(err)
	}
	gateway, err := m.AddTerminatingGateway(ctx, "gateway", []string{"*"}, direct)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := web.WaitStatus(ctx, "legacy", Request{}, http.StatusOK); err != nil {
		t.Fatal(err)
	}
	for _, e := range []*Envoy{app.Envoy, web.Envoy, gateway.Envoy} {
		rejected, err := e.Rejected(ctx)
		if err != nil {
			t.Fatal(err)
		}
		updates, err := e.Updates(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if rejected != 0 || updates == 0 {
			t.Errorf("%s has %d updates and %d rejected, want some and none", e.LogPath(), updates, rejected)
		}
	}
	if err := gateway.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := web.WaitStatus(ctx, "legacy", Request{}, http.StatusServiceUnavailable); err != nil {
		t.Fatal(err)
	}
}
