package admin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/prometheus/client_golang/prometheus"
)

// resourceful is shown, with one resource.
func resourceful() (admin.Sources, []admin.Resource) {
	s := shown()
	all := []admin.Resource{{
		Proxies: []string{"gateway-1", "gateway-2"}, Kind: "terminating-gateway", EnvoyVersion: "1.40.0", Type: "cluster", Name: "checkout.default",
		Before: json.RawMessage(`{"name":"checkout.default","type":"LOGICAL_DNS","connectTimeout":"5s","flag":"true"}`),
		After:  json.RawMessage(`{"name":"checkout.default","filters":[{"arn":"<arn>","code":"function a()\n  return 1\nend\n"},{}]}`),
	}, {
		Proxies: []string{"old-1"}, Kind: "terminating-gateway", EnvoyVersion: "1.36.2", Type: "cluster", Name: "checkout.default",
		Before: json.RawMessage(`{}`), After: json.RawMessage("null"),
	}}
	s.Resources = func(service string) ([]admin.Resource, error) {
		if service == "mail" {
			return nil, errors.New("mail cannot be read")
		}
		return all, nil
	}
	return s, all
}

// TestResources: what a server tells of a service's resources, and to whom.
func TestResources(t *testing.T) {
	sources, want := resourceful()
	h := admin.Handler(sources, prometheus.NewRegistry(), "s3cret")
	for path, code := range map[string]int{
		"/api/v1/resources/Checkout": http.StatusOK,
		"/api/v1/resources/mail":     http.StatusInternalServerError,
		"/api/v1/resources/nobody":   http.StatusNotFound,
		"/api/v1/resources/":         http.StatusNotFound,
	} {
		if got := get(h, path, "Bearer s3cret"); got.Code != code {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
		if got := get(h, path, ""); got.Code != http.StatusUnauthorized {
			t.Errorf("%s, without a token: %d", path, got.Code)
		}
	}
	server := httptest.NewServer(handler(sources))
	defer server.Close()
	got, err := admin.FetchResources(t.Context(), admin.ClientConfig{Addr: server.Listener.Addr().String()}, "default/default/checkout")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := admin.FetchResources(t.Context(), admin.ClientConfig{Addr: server.Listener.Addr().String()}, "nobody"); err == nil {
		t.Error("of nobody there is something")
	}
	if state, err := admin.Fetch(t.Context(), admin.ClientConfig{Addr: server.Listener.Addr().String()}); err != nil || len(state.Services) != len(sources.State(time.Now()).Services) {
		t.Errorf("%v %v", state, err)
	}
}

// TestWriteYAML: a document for each resource, as people write it.
func TestWriteYAML(t *testing.T) {
	_, all := resourceful()
	var out bytes.Buffer
	if err := admin.WriteYAML(&out, all); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "inspect-checkout.yaml"), out.Bytes())
}
